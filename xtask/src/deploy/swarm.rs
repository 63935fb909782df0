//! `deploy --swarm`.

use anyhow::Result;

use crate::deploy::cluster::ClusterDeployment;
use crate::smoke_test;
use build::push::digests::Digests;
use engine::environment::require_engine;
use engine::variables::Variables;
use host::plural;
use model::manifest::Manifest;
use stack::deploy::{self, deployed};
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

pub(super) fn run(deployment: &ClusterDeployment<'_>, mut variables: Variables) -> Result<()> {
    let ClusterDeployment { args, context, .. } = deployment;
    require_engine(context)?;
    let swarm = Swarm { deployment, cluster: Cluster::of(&context.docker)? };
    let _lock = deploy::lock(args.deadline(), context)?;
    // Report all problems before generating secrets.
    let mut plan = swarm.plan(&variables)?;
    if !args.swarm_options.dry_run
        && let Some(all) = deployment.make_secrets(&variables)?
    {
        variables = all;
        plan = swarm.plan(&variables)?;
    }
    context.terminal.print(plan.text(&swarm.cluster));
    let file = context.repository.stack_file();
    if args.swarm_options.dry_run {
        host::files::write_private(&file, plan.stack_file()?.as_bytes())?;
        context.terminal.say(format!("nothing was deployed; the stack file is {}", file.display()));
        return Ok(());
    }
    swarm.deploy(&plan, &variables)
}

/// A deployment to a swarm.
struct Swarm<'a> {
    deployment: &'a ClusterDeployment<'a>,
    cluster: Cluster,
}

impl Swarm<'_> {
    /// Computes the plan without changing anything. Missing secrets have placeholders.
    fn plan(&self, variables: &Variables) -> Result<SwarmPlan> {
        let ClusterDeployment { args, manifest, registry, context, .. } = self.deployment;
        let docker = &context.docker;
        let project = self.deployment.project(variables).for_cluster()?;
        let secrets = SecretFinder::new(manifest, &super::cluster::set(variables))?;
        secrets.mask(&project, &docker.runner.secrets);
        apply::refuse_compose(&project.name, docker)?;
        apply::refuse_missing_contents(&project, docker)?;
        let pushed = Digests::read(&context.repository)?;
        let mut own = OwnImages::known(manifest, variables, &pushed, &context.repository)?;
        own.extend(registry.iter().map(ToString::to_string));
        let images = images::pinned(&project, &own, &pushed, registry.as_ref(), docker)?;
        let running = cluster::services(&project.name, docker)?;
        let contents = apply::read_contents(&project, variables, docker);
        let file_variables = file_variables(manifest);
        Ok(plan(&PlanInput {
            project: &project,
            cluster: &self.cluster,
            running: &running,
            images: &images,
            contents: &contents,
            file_variables: &file_variables,
            secrets: &secrets,
            publish: &args.swarm_options.publish,
        })?)
    }

    /// Applies the plan, waits, and sends the probes.
    fn deploy(&self, plan: &SwarmPlan, variables: &Variables) -> Result<()> {
        let ClusterDeployment { args, manifest, context, .. } = self.deployment;
        let docker = &context.docker;
        deployed::prepare(&context.repository)?;
        // Rejects placeholders, which may remain in the values of services without an image.
        self.deployment.project(variables).ready()?;
        apply::apply(plan, &context.repository.stack_file(), docker)?;
        converge::wait(plan, args.deadline(), docker, &context.terminal)?;
        apply::clean(plan, docker)?;
        match smoke::run(plan, manifest, variables, context)? {
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
