//! Subcommand: `cargo xtask verify`.

use anyhow::Result;

use crate::args::{self, Format};
use build::attest::verify::{self, Expected};
use engine::context::Context;
use engine::cosign::Verifier;
use host::failure::Failure;

/// Verify signatures, bills of materials and provenance of images in a registry
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Images in a registry, by tag or digest
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
    /// Public key: a file, such as cosign.pub, or a reference that cosign understands
    #[arg(long, value_name = "FILE|REFERENCE")]
    key: String,
    /// Also require that the provenance names this commit of the checkout
    #[arg(long, value_name = "COMMIT")]
    commit: Option<String>,
    /// Output format
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

const EXAMPLES: &str = "Examples:
  # Verify an image and what is attached to it
  cargo xtask verify hub.example/team/api:1.0 --key cosign.pub
  # Require that it was built from a specific commit
  cargo xtask verify hub.example/team/api:1.0 --key cosign.pub --commit v1.0";

/// # Errors
/// Wrong usage, an image that cannot be verified, or a registry that does not answer.
pub fn run(args: &Args, context: &Context) -> Result<()> {
    let manifest = args::manifest_if_any(context)?;
    let commit = match &args.commit {
        Some(name) => Some(
            context
                .git()
                .resolve(name)?
                .ok_or_else(|| Failure::usage(format!("--commit: no commit `{name}` in this checkout")))?,
        ),
        None => None,
    };
    let key = Verifier::new(&args.key, &context.docker.runner)?;
    let expected = Expected { key, commit: commit.as_deref() };
    let report = verify::verify(&args.images, &expected, manifest.as_ref(), context)?;
    context.terminal.print(args.format.of(&report)?);
    report.check()
}
