//! Subcommand: `cargo xtask push`.

use anyhow::Result;
use host::failure::{Failure, FailureClass};

use crate::args::{self, Format, RequestArgs};
use build::attest::Attestor;
use build::push::execute::{self, JOBS};
use build::push::request::PushRequest;
use build::request::TaggedImage;
use engine::builds;
use engine::context::Context;
use engine::environment::require_engine;
use model::image_ref::{Registry, Tag};
use model::manifest::Manifest;

/// Push built images to a private registry and record their digests
///
/// Unchanged images are skipped; a tag on another image is overwritten.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Services whose images to push [default: all]
    services: Vec<String>,
    /// Registry, HOST[:PORT][/PATH] [default: $SUTRA_REGISTRY]
    #[arg(long)]
    registry: Option<String>,
    #[command(flatten)]
    request: RequestArgs,
    /// Push only edition tags, not the plain NAME:TAG[-optimized] tags that follow the default edition; for registries with
    /// immutable tags
    #[arg(long)]
    fixed_tags: bool,
    /// Push nothing if a tag already exists in the registry for a different image; for releases
    #[arg(long)]
    no_overwrite: bool,
    /// Also push fingerprint tags, NAME:built-…, for `build-images --pull-built` on other machines
    #[arg(long)]
    built_tags: bool,
    /// Sign the pushed images and attach a bill of materials and provenance; needs cosign
    #[arg(long, requires = "key", conflicts_with = "dry_run")]
    attest: bool,
    /// Private key for --attest: a file, such as cosign.key, or a reference that cosign understands; set its password in
    /// COSIGN_PASSWORD
    #[arg(long, value_name = "FILE|REFERENCE", requires = "attest")]
    key: Option<String>,
    /// Maximum parallel pushes
    #[arg(long, default_value_t = JOBS as u32, value_parser = clap::value_parser!(u32).range(1..))]
    jobs: u32,
    /// Print what would be pushed without pushing
    #[arg(long)]
    dry_run: bool,
    /// Output format
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

const EXAMPLES: &str = "Examples:
  # Push every optimized image; run it again after a failure
  cargo xtask push --registry registry.company.com/team
  # Show what would be pushed, compared with what the registry has
  cargo xtask push --registry 127.0.0.1:5000 --dry-run
  # Push to a registry with immutable tags
  cargo xtask push --registry hub.example/t --tag 1.1 --fixed-tags
  # Push a release, unless a tag already exists for a different image
  cargo xtask push --registry hub.example/t --tag 1.1 --no-overwrite
  # Let other machines pull these images instead of building them
  cargo xtask push --registry hub.example/t --built-tags
  # Sign the images and attach their bills of materials and provenance
  cargo xtask push --registry hub.example/t --attest --key cosign.key
  # Push every edition of one service
  cargo xtask push api --edition all --tag 1.1 --registry hub.example/t";

/// # Errors
/// Wrong usage, missing images, or a failed push.
pub fn run(args: &Args, context: &Context) -> Result<()> {
    let manifest = builds::manifest(context)?;
    let request = args.request.resolve(&manifest, args::services(&manifest, &args.services)?)?;
    let registry = required(
        args::registry(&manifest, args.registry.as_deref())?,
        &manifest,
        "push",
        "nothing was pushed",
    )?;
    let images = tags_to_push(request.tagged_images(), args.fixed_tags, &request.tag)?;
    require_engine(context)?;
    // Fail before anything is pushed.
    let attestor = match args.key.as_deref().filter(|_| args.attest) {
        Some(key) => Some(Attestor::prepare(key, &images, &manifest, context)?),
        None => None,
    };
    let run = if args.dry_run { execute::dry_run } else { execute::push };
    let push = PushRequest {
        images: &images,
        tag: &request.tag,
        registry: &registry,
        jobs: args.jobs as usize,
        keeps_tags: args.no_overwrite,
        built: args.built_tags.then_some(manifest.project.as_str()),
    };
    let report = run(push, context)?;
    context.terminal.print(args.format.of(&report)?);
    report.check()?;
    attestor.map_or(Ok(()), |attestor| attestor.attest(&report, context))
}

/// The images with the tags to push.
///
/// # Errors
/// When fixed tags are requested for the moving tag `latest`.
pub(super) fn tags_to_push(images: Vec<TaggedImage>, fixed: bool, tag: &Tag) -> Result<Vec<TaggedImage>> {
    match (fixed, tag.as_str()) {
        (false, _) => Ok(images),
        (true, "latest") => Err(Failure::new(
            FailureClass::Usage,
            "--fixed-tags needs a fixed tag, but latest moves with every build",
            "add --tag VERSION",
        )
        .into()),
        (true, _) => Ok(images.into_iter().map(TaggedImage::with_fixed_tag).collect()),
    }
}

/// The registry to push to.
///
/// # Errors
/// When there is none; `effect` says what was not done because of it.
pub(super) fn required(
    registry: Option<Registry>,
    manifest: &Manifest,
    what: &str,
    effect: &str,
) -> Result<Registry> {
    let missing = || {
        Failure::new(
            FailureClass::Usage,
            format!("{what} needs a registry; {effect}"),
            format!("add --registry HOST[:PORT][/PATH] or set {}", manifest.variable("REGISTRY")),
        )
    };
    Ok(registry.ok_or_else(missing)?)
}
