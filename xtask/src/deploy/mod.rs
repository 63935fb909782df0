//! Subcommand: `cargo xtask deploy`.

mod cluster;
mod kubernetes;
mod missing_images;
mod swarm;

use host::program::PROGRAM;
use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::args;
use crate::locked_volumes;
use engine::builds;
use engine::compose::{ComposeService, Project, default_files};
use engine::context::Context;
use engine::environment::require_engine;
use engine::variables::Variables;
use host::failure::Failure;
use host::files::Lock;
use host::plural;
use host::table::{Align, Table};
use model::image_ref::Tag;
use model::manifest::Manifest;
use stack::deploy::health::{self, ServiceHealth};
use stack::deploy::up::{ChangeKind, StackChange};
use stack::deploy::{self, deployed, logs, names, rollback, secrets};

/// Run the stack of all services, here or on a cluster
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    /// Include the services of a Compose profile; can be repeated [default: $COMPOSE_PROFILES]
    #[arg(long = "profile", value_name = "NAME", global = true)]
    profiles: Vec<String>,
    #[command(flatten)]
    cluster: cluster::ClusterArgs,
}

const EXAMPLES: &str = "Examples:
  # Start all services and wait until they are healthy
  cargo xtask deploy install
  # Update to another tag
  cargo xtask deploy update --tag 1.1
  # Update one service and what it needs
  cargo xtask deploy update api
  # Return to the images that ran before the last update
  cargo xtask deploy rollback
  # Follow the log of a service
  cargo xtask deploy logs storage --follow
  # Stop all services and keep their data
  cargo xtask deploy down
  # Write the stack for Kubernetes, with the pushed images
  cargo xtask deploy --kubernetes --registry hub.example/t
  # Apply it to the cluster of a kubectl context
  cargo xtask deploy --kubernetes --apply --context staging
  # Deploy the pushed images to a swarm, and publish one port
  cargo xtask deploy --swarm --publish web:8080";

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Generate missing secrets, start all services, and wait until they are healthy
    Install(StartArgs),
    /// Replace changed containers, and wait until their services are healthy
    Update {
        /// Services to update, with their dependencies [default: all]
        services: Vec<String>,
        #[command(flatten)]
        start: StartArgs,
    },
    /// Restart containers, and wait until their services are healthy
    Restart(ChangeArgs),
    /// Roll back to the previous images; run it again to undo the rollback
    Rollback(ChangeArgs),
    /// Show the health of all services
    Status,
    /// Show the services' logs
    Logs {
        /// Services [default: all]
        services: Vec<String>,
        /// Follow the log
        #[arg(short, long)]
        follow: bool,
        /// Lines to show of each service
        #[arg(long, default_value = "50")]
        tail: u32,
    },
    /// Stop and remove the containers of all profiles; keep the data
    Down {
        /// Also remove the services' data
        #[arg(long)]
        volumes: bool,
    },
}

#[derive(Debug, clap::Args)]
struct StartArgs {
    /// An edition [default: $SUTRA_EDITION, else that of the plain tag]
    #[arg(long)]
    edition: Option<String>,
    /// Tag; `latest-optimized` means `latest` [default: $SUTRA_VERSION, else latest]
    #[arg(long)]
    tag: Option<String>,
    #[command(flatten)]
    wait: WaitArgs,
}

#[derive(Debug, clap::Args)]
struct ChangeArgs {
    /// Services [default: all]
    services: Vec<String>,
    #[command(flatten)]
    wait: WaitArgs,
}

#[derive(Debug, clap::Args)]
struct WaitArgs {
    /// Seconds for all services to become healthy
    #[arg(long, default_value = "180")]
    timeout: u64,
}

impl WaitArgs {
    fn deadline(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }
}

/// How long `down` waits for a running deployment.
const DOWN_TIMEOUT: Duration = Duration::from_secs(180);

/// How to continue after a failed change.
struct Advice {
    again: String,
    help: String,
}

/// Context shared by all actions.
struct Deployment<'a> {
    manifest: Manifest,
    variables: Variables,
    profiles: &'a [String],
    context: &'a Context,
}

pub fn run(args: &Args, context: &Context) -> Result<()> {
    let manifest = builds::manifest(context)?;
    let variables = Variables::read(context)?;
    let Some(action) = &args.action else {
        return cluster::run(&args.cluster, &args.profiles, &manifest, variables, context);
    };
    args.cluster.refuse_with_subcommand()?;
    // Invalid arguments are reported even without an engine.
    let version = match action {
        Action::Install(start) | Action::Update { start, .. } => {
            version(start.edition.as_deref(), start.tag.as_deref(), &manifest, &variables)?
        }
        _ => String::new(),
    };
    require_engine(context)?;
    let mut deployment = Deployment { manifest, variables, profiles: &args.profiles, context };
    let result = deployment.run(action, &version);
    result.inspect_err(|error| locked_volumes::warn(error, &deployment.manifest, context))
}

/// The value of the variable for versions: tag and edition. The Compose file appends the variant.
fn version(
    edition: Option<&str>,
    tag: Option<&str>,
    manifest: &Manifest,
    variables: &Variables,
) -> Result<String> {
    let name = manifest.variable("VERSION");
    let (text, source) = match (tag, variables.get(&name)) {
        (Some(tag), _) => (tag, "--tag".to_owned()),
        (None, Some(tag)) => (tag, format!("{name} in {}", variables.source(&name))),
        (None, None) => ("latest", String::new()),
    };
    let tag: Tag = text.parse().map_err(|error| Failure::usage(format!("{source}: {error}")))?;
    let default = manifest.variable("EDITION");
    let edition = edition.or(variables.get(&default).filter(|_| manifest.has_editions()));
    Ok(match edition {
        Some(name) => {
            let edition = args::edition(manifest, Some(name))?;
            let bare = tag.as_str().rsplit_once('-').filter(|(_, end)| manifest.edition(end).is_ok());
            format!("{}-{edition}", bare.map_or(tag.as_str(), |(bare, _)| bare))
        }
        None => tag.to_string(),
    })
}

impl Deployment<'_> {
    fn run(&mut self, action: &Action, version: &str) -> Result<()> {
        match action {
            Action::Install(args) => self.start("install", &[], args, version),
            Action::Update { services, start } => self.start("update", services, start, version),
            Action::Restart(args) => self.restart(args),
            Action::Rollback(args) => self.rollback(args),
            Action::Logs { services, follow, tail } => self.logs(services, *follow, *tail),
            Action::Down { volumes } => self.down(*volumes),
            Action::Status => status(&self.project(), self.context),
        }
    }

    fn project(&self) -> Project {
        deploy::project(&self.variables, &self.manifest, self.context).profiles(self.profiles)
    }

    /// The project with the services of all profiles.
    fn whole_project(&self) -> Project {
        self.project().profiles(&["*".to_owned()])
    }

    fn named(&self, names: &[String]) -> Result<Vec<String>> {
        names::in_compose(names, &self.manifest, &self.project())
    }

    fn start(&mut self, action: &str, names: &[String], args: &StartArgs, version: &str) -> Result<()> {
        let only = self.named(names)?;
        let variable = self.manifest.variable("VERSION");
        let project = self.project().variable(&variable, version).only(only.clone());
        let configured = project.services()?;
        let is_unused_missing = missing_images::refuse_needed(&configured, &self.variables, self.context)?;
        let lock = deploy::lock(args.wait.deadline(), self.context)?;
        // The deployment that held the lock may have created secrets.
        self.variables = Variables::read(self.context)?;
        deployed::prepare(&self.context.repository)?;
        make_secrets(&configured, &self.manifest, &self.variables, self.context)?;
        if args.tag.is_some() || args.edition.is_some() {
            // `update`, `status` and Compose then use the same images.
            secrets::store(&[(&variable, version)], &self.context.repository)?;
        }
        self.variables = Variables::read(self.context)?;
        let project = self.project().variable(&variable, version).only(only);
        let project = if is_unused_missing { project.without_pull() } else { project };
        // Find configuration errors before tagging images.
        let config = project.ready()?;
        let kept = rollback::keep(&config, &self.context.docker, &self.context.repository)?;
        let options = [("--tag", &args.tag), ("--edition", &args.edition)];
        let options =
            options.into_iter().filter_map(|(name, value)| Some(format!(" {name} {}", value.as_ref()?)));
        let again = self.command(action, names) + &options.collect::<String>();
        let mut help = format!("fix the errors above, then run `{again}` again");
        if !kept.is_empty() {
            help += &format!(", or `{PROGRAM} deploy rollback` to return to the previous images");
        }
        let services =
            self.change(ChangeKind::Up, &project, args.wait.deadline(), &lock, &Advice { again, help })?;
        rollback::record_healthy(&config, &self.context.docker, &self.context.repository)?;
        deployed::write(&self.manifest, &project, self.context)?;
        self.context.terminal.say(format!("all {} services are healthy", services.len()));
        Ok(())
    }

    fn restart(&self, args: &ChangeArgs) -> Result<()> {
        let project = self.project().only(self.named(&args.services)?).without_dependencies();
        let lock = deploy::lock(args.wait.deadline(), self.context)?;
        let again = self.command("restart", &args.services);
        let help = format!("fix the errors above, then run `{again}` again");
        let services =
            self.change(ChangeKind::Restart, &project, args.wait.deadline(), &lock, &Advice { again, help })?;
        self.context
            .terminal
            .say(format!("restarted {}; all are healthy", plural::count(services.len(), "service")));
        Ok(())
    }

    fn rollback(&self, args: &ChangeArgs) -> Result<()> {
        let (context, docker) = (self.context, &self.context.docker);
        let project = self.project().only(self.named(&args.services)?).without_dependencies();
        let lock = deploy::lock(args.wait.deadline(), context)?;
        let config = project.ready()?;
        let steps = rollback::plan(&config, !args.services.is_empty(), docker)?;
        context.docker.runner.interrupt.check()?;
        rollback::begin(&config.name, &steps, docker, &context.repository)?;
        let mut files = default_files(&context.repository, &self.variables);
        files.push(context.repository.rollback_file());
        let services = steps.iter().map(|step| step.service.clone()).collect();
        let project = project.files(files).only(services);
        let again = self.command("rollback", &args.services);
        let help = format!(
            "fix the errors above, or run `{PROGRAM} deploy update` to return to the Compose file's images"
        );
        let result =
            self.change(ChangeKind::Up, &project, args.wait.deadline(), &lock, &Advice { again, help });
        // Settle even if some services are unhealthy.
        let settled = rollback::settle(&config, docker);
        // If both failed, report the first error.
        result?;
        settled?;
        rollback::record_healthy(&config, docker, &context.repository)?;
        deployed::write(&self.manifest, &self.project(), context)?;
        context
            .terminal
            .say(format!("rolled back {} to the previous images", plural::count(steps.len(), "service")));
        Ok(())
    }

    fn change(
        &self,
        kind: ChangeKind,
        project: &Project,
        deadline: Duration,
        lock: &Lock,
        advice: &Advice,
    ) -> Result<Vec<ServiceHealth>> {
        let change = StackChange {
            kind,
            project,
            deadline,
            interrupt: &self.context.docker.runner.interrupt,
            terminal: &self.context.terminal,
            lock: Some(lock),
            again: &advice.again,
            help: &advice.help,
        };
        change.execute()
    }

    /// The command line of an action.
    fn command(&self, action: &str, names: &[String]) -> String {
        let profiles = self.profiles.iter().map(|profile| format!(" --profile {profile}"));
        let names = names.iter().map(|name| format!(" {name}"));
        format!("{PROGRAM} deploy {action}{}", names.chain(profiles).collect::<String>())
    }

    fn logs(&self, names: &[String], follow: bool, tail: u32) -> Result<()> {
        let services = self.named(names)?;
        let mut cmd = self.whole_project().cmd(["logs", "--tail"]).arg(tail.to_string());
        if follow {
            cmd = cmd.arg("--follow");
        }
        logs::show(&cmd.args(services), self.context)
    }

    fn down(&self, volumes: bool) -> Result<()> {
        let _lock = deploy::lock(DOWN_TIMEOUT, self.context)?;
        self.whole_project().down(volumes)?;
        self.context.terminal.say(if volumes {
            "removed the stack and its data"
        } else {
            "removed the stack, kept its data"
        });
        Ok(())
    }
}

/// Generates these services' missing secrets and reports where they are stored. Returns whether any were missing.
fn make_secrets(
    configured: &BTreeMap<String, ComposeService>,
    manifest: &Manifest,
    variables: &Variables,
    context: &Context,
) -> Result<bool> {
    let image_of = |service: &str| configured.get(service).map(|service| service.image.clone());
    let env_file = context.repository.dot_env();
    let made = secrets::ensure(manifest, variables, &image_of, &context.docker, &context.repository)?;
    for secret in &made {
        let (variable, plain, path) = (&secret.variable, &secret.plain, env_file.display());
        context.terminal.say(format!("generated {variable}; sign in with {plain} from {path}"));
    }
    Ok(!made.is_empty())
}

fn status(project: &Project, context: &Context) -> Result<()> {
    let services = health::look(project)?;
    let mut table = Table::new(&[("service", Align::Left), ("health", Align::Left), ("image", Align::Left)]);
    for service in &services {
        table.row(vec![service.service.clone(), service.to_string(), service.image.clone()]);
    }
    context.terminal.print(table.text());
    let unhealthy = services.iter().filter(|service| !service.is_fine());
    let names: Vec<&str> = unhealthy.map(|service| service.service.as_str()).collect();
    if names.is_empty() { Ok(()) } else { bail!("not healthy: {}", names.join(", ")) }
}
