//! The options of `trace` and `diet` for any image, without a manifest.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use engine::context::Context;
use engine::environment::require_engine;
use host::failure::{Failure, FailureClass};
use host::files;
use host::paths::Repository;
use model::manifest::Manifest;
use model::reader;
use stack::throwaway::{AnyImage, Runner};

/// What runs the image, and the requests to it.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Any image (needs no manifest)")]
pub struct AnyImageArgs {
    /// Use this image instead of a service from the manifest
    #[arg(long, value_name = "IMAGE", conflicts_with = "compose")]
    image: Option<String>,
    /// Use SERVICE from this Compose file
    #[arg(long, value_name = "FILE")]
    compose: Option<PathBuf>,
    /// File of [[probe]] tables [default: check the command's exit code and output]
    #[arg(long, value_name = "FILE")]
    requests: Option<PathBuf>,
    /// The port that serves the requests [default: the only port that the image exposes]
    #[arg(long, value_name = "N", requires = "requests")]
    port: Option<u16>,
    /// Replaces the image's CMD [default: the image's own]
    #[arg(last = true, requires = "image")]
    command: Vec<String>,
}

impl AnyImageArgs {
    /// Whether the command needs a manifest.
    pub fn needs_manifest(&self) -> bool {
        self.image.is_none() && self.compose.is_none()
    }

    /// A manifest for this image and a context for its stacks; `None` if neither `--image` nor `--compose` is given.
    ///
    /// # Errors
    /// Wrong usage, an unreadable file, or a missing image.
    pub fn manifest(&self, services: &[String], context: &Context) -> Result<Option<(Manifest, Context)>> {
        let mut context = context.clone();
        let runner = match (&self.image, &self.compose) {
            (Some(reference), _) => {
                if !services.is_empty() {
                    return Err(
                        Failure::usage("--image takes no SERVICE; a command starts after `--`").into()
                    );
                }
                if self.requests.is_none() && self.command.is_empty() {
                    let what = "no probe: --image needs requests or a command";
                    let remedy = "add --requests FILE, or a command that exits: `-- COMMAND`";
                    return Err(Failure::new(FailureClass::Usage, what, remedy).into());
                }
                Runner::Image { reference: reference.clone(), command: self.command.clone() }
            }
            (None, Some(file)) => {
                let [service] = services else {
                    return Err(Failure::usage("--compose needs one SERVICE of the file").into());
                };
                let file = files::real_path(file).with_context(|| file.display().to_string())?;
                // Compose resolves relative paths from the file's folder.
                context.repository = Repository::locate_or_here(file.parent())?;
                Runner::Compose { file, service: service.clone() }
            }
            (None, None) if self.requests.is_some() => {
                return Err(Failure::usage("--requests needs --image or --compose").into());
            }
            (None, None) => return Ok(None),
        };
        let requests = match &self.requests {
            None => None,
            Some(file) => {
                let name = file.display().to_string();
                Some(reader::requests(&files::read(file)?, &name, runner.service())?)
            }
        };
        require_engine(&context)?;
        let any = AnyImage { runner, port: self.port, requests };
        Ok(Some((any.manifest(&context)?, context)))
    }
}
