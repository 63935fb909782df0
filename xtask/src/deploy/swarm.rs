//! `deploy --swarm`.

use anyhow::Result;

use crate::args;
use crate::deploy::cluster::ClusterArgs;
use crate::smoke_test;
use build::push::digests::Digests;
use engine::compose::Project;
use engine::context::Context;
use engine::environment::require_engine;
use engine::variables::Variables;
use host::plural;
use model::image_ref::Registry;
use model::manifest::Manifest;
use stack::deploy::{self, deployed, secrets};
use stack::secrecy::SecretFinder;
use stack::swarm::cluster::{self, Cluster};
use stack::swarm::plan::{FileVariable, PlanInput, SwarmPlan, plan};
use stack::swarm::ports::PublishRequest;
use stack::swarm::{apply, converge, images, smoke};
use stack::switch::own_images::OwnImages;

/// Options of `--swarm`.
#[derive(Debug, clap::Args)]
pub struct SwarmArgs {
    /// Publish a port that Compose binds to one address, on all nodes; can be repeated
    #[arg(
        long,
        value_name = "SERVICE:PORT",
        requires = "swarm",
        conflicts_with = "kubernetes",
        help_heading = "Swarm"
    )]
    publish: Vec<PublishRequest>,
    /// Print the plan and write the stack file without deploying
    #[arg(long, requires = "swarm", conflicts_with = "kubernetes", help_heading = "Swarm")]
    dry_run: bool,
}

pub(super) fn run(
    args: &ClusterArgs,
    profiles: &[String],
    manifest: &Manifest,
    variables: Variables,
    context: &Context,
) -> Result<()> {
    let version = super::version(args.edition.as_deref(), args.tag.as_deref(), manifest, &variables)?;
    let registry = args::registry(manifest, args.registry.as_deref())?;
    require_engine(context)?;
    let cluster = Cluster::of(&context.docker)?;
    let swarm = Swarm { args, profiles, manifest, version: &version, registry, cluster, context };
    let _lock = deploy::lock(args.deadline(), context)?;
    let mut plan = swarm.plan(&variables)?;
    let mut variables = variables;
    if !args.swarm_options.dry_run && swarm.make_secrets(&variables)? {
        variables = Variables::read(context)?;
        plan = swarm.plan(&variables)?;
    }
    context.terminal.print(plan.text(&swarm.cluster));
    let file = context.repository.stack_file();
    if args.swarm_options.dry_run {
        host::files::write_private(&file, plan.stack_file().as_bytes())?;
        context.terminal.say(format!("nothing was deployed; the stack file is {}", file.display()));
        return Ok(());
    }
    swarm.deploy(&plan, &variables)
}

/// What every step needs.
struct Swarm<'a> {
    args: &'a ClusterArgs,
    profiles: &'a [String],
    manifest: &'a Manifest,
    version: &'a str,
    registry: Option<Registry>,
    cluster: Cluster,
    context: &'a Context,
}

impl Swarm<'_> {
    fn project(&self, variables: &Variables) -> Project {
        let project = deploy::project(variables, self.manifest, self.context).profiles(self.profiles);
        project.variable(self.manifest.variable("VERSION"), self.version)
    }

    /// Generates secrets that are not set. False if there are none.
    fn make_secrets(&self, variables: &Variables) -> Result<bool> {
        let (context, docker) = (self.context, &self.context.docker);
        let configured = self.project(variables).services()?;
        let image_of = |service: &str| configured.get(service).map(|service| service.image.clone());
        let made = secrets::ensure(self.manifest, variables, &image_of, docker, &context.repository)?;
        for secret in &made {
            let path = context.repository.dot_env();
            let (variable, plain, path) = (&secret.variable, &secret.plain, path.display());
            context.terminal.say(format!("generated {variable}; sign in with {plain} from {path}"));
        }
        Ok(!made.is_empty())
    }

    /// Plans without changing anything. A secret that is not set has a placeholder.
    fn plan(&self, variables: &Variables) -> Result<SwarmPlan> {
        let (context, docker) = (self.context, &self.context.docker);
        let project = self.project(variables).for_cluster()?;
        let secrets = SecretFinder::new(self.manifest, &super::cluster::set(variables))?;
        secrets.mask(&project, &docker.runner.secrets);
        apply::refuse_compose(&project.name, docker)?;
        apply::refuse_missing_contents(&project, docker)?;
        let pushed = Digests::read(&context.repository)?;
        let mut own = OwnImages::known(self.manifest, variables, &pushed, &context.repository)?;
        own.extend(self.registry.iter().map(ToString::to_string));
        let images = images::pinned(&project, &own, &pushed, self.registry.as_ref(), docker)?;
        let running = cluster::services(&project.name, docker)?;
        let contents = apply::read_contents(&project, variables, docker);
        let file_variables = file_variables(self.manifest);
        Ok(plan(&PlanInput {
            project: &project,
            cluster: &self.cluster,
            running: &running,
            images: &images,
            contents: &contents,
            file_variables: &file_variables,
            secrets: &secrets,
            publish: &self.args.swarm_options.publish,
        })?)
    }

    /// Applies the plan, waits, and sends the probes.
    fn deploy(&self, plan: &SwarmPlan, variables: &Variables) -> Result<()> {
        let (context, docker) = (self.context, &self.context.docker);
        deployed::prepare(&context.repository)?;
        // Refuses placeholders, which the values of services without an image would still have.
        self.project(variables).ready()?;
        apply::apply(plan, &context.repository.stack_file(), docker)?;
        converge::wait(plan, self.args.deadline(), docker, &context.terminal)?;
        apply::clean(plan, docker)?;
        match smoke::run(plan, self.manifest, variables, context)? {
            Some(report) => smoke_test::print(&report, &context.terminal)?,
            None => context.terminal.warn("nothing was probed: the manifest declares no probes"),
        }
        let count = plural::count(plan.services.len(), "service");
        context.terminal.say(format!("stack {} is up: {count} as planned", plan.stack));
        Ok(())
    }
}

/// The manifest's secrets.
fn file_variables(manifest: &Manifest) -> Vec<FileVariable> {
    let all =
        manifest.services.iter().filter_map(|service| Some((service.compose.as_ref()?, &service.secrets)));
    let all = all.flat_map(|(compose, secrets)| secrets.iter().map(move |secret| (compose, secret)));
    all.map(|(compose, secret)| FileVariable {
        service: compose.clone(),
        variable: secret.variable.clone(),
        file_variable: secret.file_variable.clone(),
    })
    .collect()
}
