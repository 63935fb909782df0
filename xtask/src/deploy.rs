//! Subcommand: `cargo xtask deploy`.

use std::time::Duration;

use anyhow::{Result, bail};

use crate::args;
use engine::compose::Project;
use engine::context::Context;
use engine::environment::require_engine;
use engine::variables::{VERSION, Variables};
use host::table::{Align, Table};
use model::edition::Edition;
use model::manifest::Manifest;
use model::reader;
use stack::deploy::health::{self, ServiceHealth};
use stack::deploy::{self, deployed, logs, secrets, up};

/// Run the stack of all services
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

const EXAMPLES: &str = "Examples:
  # Start all services and wait until they are healthy
  cargo xtask deploy install
  # Update to another tag
  cargo xtask deploy update --tag 1.1
  # Follow the log of a service
  cargo xtask deploy logs storage-server --follow
  # Stop all services and keep their data
  cargo xtask deploy down";

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Generate missing secrets, start all services, and wait until they are healthy
    Install(StartArgs),
    /// Replace changed containers, and wait until all services are healthy
    Update(StartArgs),
    /// Show the health of all services
    Status,
    /// Show the services' logs
    Logs {
        /// Services, by their names in the Compose file [default: all]
        services: Vec<String>,
        /// Follow the log
        #[arg(short, long)]
        follow: bool,
        /// Lines to show of each service
        #[arg(long, default_value = "50")]
        tail: u32,
    },
    /// Stop and remove the containers; keep the data
    Down {
        /// Also remove the services' data
        #[arg(long)]
        volumes: bool,
    },
}

#[derive(Debug, clap::Args)]
struct StartArgs {
    /// simple, community or enterprise [default: $SUTRA_EDITION, else the edition of the plain tag]
    #[arg(long)]
    edition: Option<String>,
    /// Tag; `latest-optimized` means `latest` [default: $SUTRA_VERSION, else latest]
    #[arg(long)]
    tag: Option<String>,
    /// Seconds for all services to become healthy
    #[arg(long, default_value = "180")]
    timeout: u64,
}

pub fn run(args: &Args, context: &Context) -> Result<()> {
    let manifest = reader::load(&context.repository)?;
    let variables = Variables::read(&context.repository)?;
    // Invalid arguments are reported even without an engine.
    let start_args = match &args.action {
        Action::Install(args) | Action::Update(args) => Some((args, version(args, &variables)?)),
        _ => None,
    };
    require_engine(context)?;
    let project = deploy::project(&variables, &manifest, context);
    match (&args.action, start_args) {
        (_, Some((args, version))) => start(args, &version, &manifest, &variables, context),
        (Action::Logs { services, follow, tail }, _) => logs(services, *follow, *tail, &project, context),
        (Action::Down { volumes }, _) => down(*volumes, &project, context),
        (_, None) => status(&project, context),
    }
}

/// The Compose file's tag: tag and edition. The file itself appends the variant.
fn version(args: &StartArgs, variables: &Variables) -> Result<String> {
    let tag = match &args.tag {
        Some(tag) => args::tag(Some(tag))?,
        None => args::tag(variables.get(VERSION).or(Some("latest")))?,
    };
    let edition = args.edition.as_deref().or(variables.get("SUTRA_EDITION"));
    Ok(match edition {
        Some(name) => {
            let edition = args::edition(Some(name))?;
            let bare = tag.as_str().rsplit_once('-').filter(|(_, end)| end.parse::<Edition>().is_ok());
            format!("{}-{edition}", bare.map_or(tag.as_str(), |(bare, _)| bare))
        }
        None => tag.to_string(),
    })
}

fn start(
    args: &StartArgs,
    version: &str,
    manifest: &Manifest,
    variables: &Variables,
    context: &Context,
) -> Result<()> {
    let project = deploy::project(variables, manifest, context).variable(VERSION, version);
    let configured = project.services()?;
    let image_of = |service: &str| configured.get(service).map(|service| service.image.clone());
    let images = configured.values().map(|service| service.image.clone()).collect();
    refuse_missing(images, variables, context)?;
    deployed::prepare(&context.repository)?;
    let env_file = context.repository.dot_env();
    for secret in secrets::ensure(manifest, variables, &image_of, &context.docker, &context.repository)? {
        let (variable, plain, path) = (secret.variable, secret.plain, env_file.display());
        context.terminal.say(format!("generated {variable}; sign in with {plain} from {path}"));
    }
    if args.tag.is_some() || args.edition.is_some() {
        // So that `update`, `status` and Compose use the same images from now on.
        secrets::store(&[(VERSION, version)], &context.repository)?;
    }
    let variables = Variables::read(&context.repository)?;
    let project = deploy::project(&variables, manifest, context).variable(VERSION, version);
    let deadline = Duration::from_secs(args.timeout);
    let services = up::up(&project, deadline, &context.docker.runner.interrupt, &context.terminal)?;
    deployed::write(manifest, &project, context)?;
    context.terminal.say(format!("all {} services are healthy", services.len()));
    Ok(())
}

fn refuse_missing(images: Vec<String>, variables: &Variables, context: &Context) -> Result<()> {
    let found = context.docker.inspect(&images)?;
    let mut missing: Vec<String> = images.into_iter().filter(|image| !found.contains_key(image)).collect();
    missing.sort();
    missing.dedup();
    if missing.is_empty() || variables.get("SUTRA_PULL_POLICY").is_some_and(|policy| policy != "never") {
        return Ok(());
    }
    bail!(
        "images not found: {}\nhelp: build them with `cargo xtask build-images`; if the Compose file names a registry, set SUTRA_PULL_POLICY=missing",
        missing.join(", ")
    )
}

fn status(project: &Project, context: &Context) -> Result<()> {
    let services = health::of(&project.services()?, &project.containers()?);
    let mut table = Table::new(&[("service", Align::Left), ("health", Align::Left), ("image", Align::Left)]);
    for ServiceHealth { service, condition, image } in &services {
        table.row(vec![service.clone(), condition.name().to_owned(), image.clone()]);
    }
    context.terminal.print(table.text());
    let unhealthy = services.iter().filter(|service| !service.is_healthy());
    let names: Vec<&str> = unhealthy.map(|service| service.service.as_str()).collect();
    if names.is_empty() { Ok(()) } else { bail!("not healthy: {}", names.join(", ")) }
}

fn logs(services: &[String], follow: bool, tail: u32, project: &Project, context: &Context) -> Result<()> {
    let mut cmd = project.cmd(["logs", "--tail"]).arg(tail.to_string());
    if follow {
        cmd = cmd.arg("--follow");
    }
    logs::show(&cmd.args(services.iter().cloned()), context)
}

fn down(volumes: bool, project: &Project, context: &Context) -> Result<()> {
    project.down(volumes)?;
    context.terminal.say(if volumes {
        "removed the stack and its data"
    } else {
        "removed the stack, kept its data"
    });
    Ok(())
}
