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
use stack::deploy;
use stack::deploy::health;
use stack::deploy::health::{Condition, ServiceHealth};
use stack::deploy::{deployed, secrets, up};

/// Run the stack of all services
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

const EXAMPLES: &str = "Examples:
  cargo xtask deploy install                start all services, and wait until they are healthy
  cargo xtask deploy update --tag 1.1       replace what changed
  cargo xtask deploy logs storage --follow  what a service says
  cargo xtask deploy down                   stop all, and keep the data";

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Make the secrets that are missing, start every service, and wait until all are healthy
    Install(Rise),
    /// Replace what changed, and wait until all are healthy
    Update(Rise),
    /// Say how every service is
    Status,
    /// Show the services' logs
    Logs {
        /// Services, by their names in the Compose file; none means all
        services: Vec<String>,
        /// Go on as lines come
        #[arg(short, long)]
        follow: bool,
        /// Lines of each service
        #[arg(long, default_value = "50")]
        tail: u32,
    },
    /// Stop and remove the containers; data stays
    Down {
        /// Remove what the services have stored, too
        #[arg(long)]
        volumes: bool,
    },
}

#[derive(Debug, clap::Args)]
struct Rise {
    /// simple, community or enterprise [default: $SUTRA_EDITION, else what the plain tag holds]
    #[arg(long)]
    edition: Option<String>,
    /// Tag; `latest-optimized` means `latest` [default: $SUTRA_VERSION, else latest]
    #[arg(long)]
    tag: Option<String>,
    /// Seconds until every service must be healthy
    #[arg(long, default_value = "180")]
    timeout: u64,
}

/// Runs it.
///
/// # Errors
/// A service that is not healthy, wrong words, or no engine that answers.
pub fn run(args: &Args, context: &Context) -> Result<()> {
    let manifest = reader::load(&context.repository)?;
    let variables = Variables::read(&context.repository)?;
    // What was typed wrong is said on any machine.
    let rise = match &args.action {
        Action::Install(rise) | Action::Update(rise) => Some((rise, version(rise, &variables)?)),
        _ => None,
    };
    require_engine(context)?;
    let project = deploy::project(&variables, &manifest, context);
    match (&args.action, rise) {
        (_, Some((rise, version))) => start(rise, &version, &manifest, &variables, context),
        (Action::Logs { services, follow, tail }, _) => logs(services, *follow, *tail, &project),
        (Action::Down { volumes }, _) => down(*volumes, &project, context),
        (_, None) => status(&project),
    }
}

/// What the Compose file is given as the tag: tag and edition, never the variant, which it appends itself (DESIGN: "Tags").
fn version(args: &Rise, variables: &Variables) -> Result<String> {
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
    args: &Rise,
    version: &str,
    manifest: &Manifest,
    variables: &Variables,
    context: &Context,
) -> Result<()> {
    let reading = deploy::project(variables, manifest, context).variable(VERSION, version);
    let configured = reading.services()?;
    let image_of = |service: &str| configured.get(service).map(|service| service.image.clone());
    let images = configured.values().map(|service| service.image.clone()).collect();
    refuse_missing(images, variables, context)?;
    deployed::prepare(&context.repository)?;
    let made = secrets::ensure(manifest, variables, &image_of, &context.docker, &context.repository)?;
    for made in made {
        let file = context.repository.dot_env();
        context.terminal.say(format!(
            "made {}; sign in with {} in {}",
            made.variable,
            made.plain,
            file.display()
        ));
    }
    if args.tag.is_some() || args.edition.is_some() {
        // So that `update`, `status` and Compose itself mean the same images from now on.
        secrets::remember(VERSION, version, &context.repository)?;
    }
    let variables = Variables::read(&context.repository)?;
    let project = deploy::project(&variables, manifest, context).variable(VERSION, version);
    let deadline = Duration::from_secs(args.timeout);
    let risen = up::rise(&project, deadline, &context.docker.runner.interrupt, &context.terminal)?;
    deployed::write(manifest, &project, context)?;
    context.terminal.say(format!("all {} services are healthy", risen.len()));
    Ok(())
}

fn refuse_missing(images: Vec<String>, variables: &Variables, context: &Context) -> Result<()> {
    let there = context.docker.inspect(&images)?;
    let mut missing: Vec<String> = images.into_iter().filter(|image| !there.contains_key(image)).collect();
    missing.sort();
    missing.dedup();
    if missing.is_empty() || variables.get("SUTRA_PULL_POLICY").is_some_and(|policy| policy != "never") {
        return Ok(());
    }
    bail!(
        "these images are not here: {}\n  build them (cargo xtask build-images), or set SUTRA_PULL_POLICY=missing where the Compose file names a registry",
        missing.join(", ")
    )
}

fn status(project: &Project) -> Result<()> {
    let services = health::of(&project.services()?, &project.containers()?);
    print!("{}", table(&services).text());
    let unwell: Vec<&str> = services
        .iter()
        .filter(|service| service.condition != Condition::Healthy)
        .map(|service| service.service.as_str())
        .collect();
    if unwell.is_empty() { Ok(()) } else { bail!("not healthy: {}", unwell.join(", ")) }
}

fn table(services: &[ServiceHealth]) -> Table {
    let mut table = Table::new(&[("service", Align::Left), ("health", Align::Left), ("image", Align::Left)]);
    for service in services {
        table.row(vec![service.service.clone(), service.condition.words().to_owned(), service.image.clone()]);
    }
    table
}

fn logs(services: &[String], follow: bool, tail: u32, project: &Project) -> Result<()> {
    let mut cmd = project.cmd(["logs", "--tail"]).arg(tail.to_string());
    if follow {
        cmd = cmd.arg("--follow");
    }
    if cmd.args(services.iter().cloned()).inherit()? {
        Ok(())
    } else {
        bail!("docker compose could not show the logs")
    }
}

fn down(volumes: bool, project: &Project, context: &Context) -> Result<()> {
    project.down(volumes)?;
    context.terminal.say(if volumes {
        "the stack and its data are removed"
    } else {
        "the stack is down; its data stays"
    });
    Ok(())
}
