//! `deploy` to a cluster instead of the local engine.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use crate::args;
use crate::deploy::swarm::SwarmArgs;
use crate::deploy::{kubernetes, swarm};
use engine::compose::Project;
use engine::context::Context;
use engine::variables::Variables;
use host::failure::Failure;
use host::program::PROGRAM;
use model::image_ref::Registry;
use model::manifest::Manifest;
use stack::deploy;

const KUBERNETES: &str = "Kubernetes";

/// Options for clusters.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Clusters", group = clap::ArgGroup::new("cluster"))]
pub struct ClusterArgs {
    /// Write a kustomize base and overlay for Kubernetes
    #[arg(long, group = "cluster")]
    kubernetes: bool,
    /// Deploy to the swarm of the current Docker context
    #[arg(
        long,
        group = "cluster",
        conflicts_with_all = ["output", "apply", "context", "namespace", "by_tag", "pull_secrets"]
    )]
    swarm: bool,
    #[command(flatten)]
    pub(super) swarm_options: SwarmArgs,
    /// Output folder [default: kubernetes]
    #[arg(long, value_name = "DIR", requires = "kubernetes", help_heading = KUBERNETES)]
    pub(super) output: Option<PathBuf>,
    /// Apply the tree: server-side dry run, apply, wait for the rollout, send probes
    #[arg(long, requires = "kubernetes", help_heading = KUBERNETES)]
    pub(super) apply: bool,
    /// kubectl context to apply to [default: the current context]
    #[arg(long, value_name = "NAME", requires = "apply", help_heading = KUBERNETES)]
    pub(super) context: Option<String>,
    /// Namespace of all objects [default: the context's namespace]
    #[arg(long, value_name = "NAME", requires = "kubernetes", help_heading = KUBERNETES)]
    pub(super) namespace: Option<String>,
    /// Overlay that holds the images and secrets
    #[arg(long, value_name = "NAME", default_value = "production", help_heading = KUBERNETES)]
    pub(super) overlay: String,
    /// Registry for image references without one, HOST[:PORT][/PATH] [default: $SUTRA_REGISTRY]
    #[arg(long, requires = "cluster")]
    pub(super) registry: Option<String>,
    /// Name images by tag instead of digest
    #[arg(long, requires = "kubernetes", help_heading = KUBERNETES)]
    pub(super) by_tag: bool,
    /// Storage request of each volume, a Kubernetes quantity such as 10Gi
    #[arg(long, value_name = "SIZE", default_value = "1Gi", help_heading = KUBERNETES)]
    pub(super) volume_size: String,
    /// Secret with the registry's credentials; can be repeated
    #[arg(long = "pull-secret", value_name = "NAME", requires = "kubernetes", help_heading = KUBERNETES)]
    pub(super) pull_secrets: Vec<String>,
    /// An edition [default: $SUTRA_EDITION, else that of the plain tag]
    #[arg(long, requires = "cluster")]
    pub(super) edition: Option<String>,
    /// Tag [default: $SUTRA_VERSION, else latest]
    #[arg(long, requires = "cluster")]
    pub(super) tag: Option<String>,
    /// Seconds to wait for the rollout
    #[arg(long, value_name = "SECONDS", default_value = "300")]
    timeout: u64,
}

impl ClusterArgs {
    /// How long to wait for the rollout.
    pub(super) fn deadline(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }

    /// # Errors
    /// When `--swarm` or `--kubernetes` is used with a subcommand; subcommands act on the local engine.
    pub(super) fn refuse_with_subcommand(&self) -> Result<(), Failure> {
        if self.swarm {
            return Err(Failure::usage(format!(
                "--swarm has no subcommands\nhelp: deploy with `{PROGRAM} deploy --swarm`; manage the running \
                 services with `docker service`"
            )));
        }
        if self.kubernetes {
            return Err(Failure::usage(format!(
                "--kubernetes has no subcommands\nhelp: write the tree with `{PROGRAM} deploy --kubernetes`; add --apply to apply it"
            )));
        }
        Ok(())
    }
}

/// All non-empty variables.
pub(super) fn set(variables: &Variables) -> BTreeMap<String, String> {
    let names = variables.all().map(|(name, _)| name);
    names.filter_map(|name| Some((name.to_owned(), variables.get(name)?.to_owned()))).collect()
}

/// Deploys to Kubernetes or a swarm.
pub(super) fn run(
    args: &ClusterArgs,
    profiles: &[String],
    manifest: &Manifest,
    variables: Variables,
    context: &Context,
) -> Result<()> {
    if !args.kubernetes && !args.swarm {
        let help = format!("see `{PROGRAM} help deploy`");
        let what = "deploy needs a subcommand, --swarm or --kubernetes";
        return Err(Failure::usage(format!("{what}\nhelp: {help}")).into());
    }
    let version = super::version(args.edition.as_deref(), args.tag.as_deref(), manifest, &variables)?;
    let registry = args::registry(manifest, args.registry.as_deref())?;
    let deployment = ClusterDeployment { args, profiles, manifest, version, registry, context };
    if args.kubernetes { kubernetes::run(&deployment, variables) } else { swarm::run(&deployment, variables) }
}

/// A deployment to a cluster.
pub(super) struct ClusterDeployment<'a> {
    pub(super) args: &'a ClusterArgs,
    profiles: &'a [String],
    pub(super) manifest: &'a Manifest,
    /// The value of the version variable.
    version: String,
    /// The registry of this repository's images.
    pub(super) registry: Option<Registry>,
    pub(super) context: &'a Context,
}

impl ClusterDeployment<'_> {
    /// The Compose project with the chosen version.
    pub(super) fn project(&self, variables: &Variables) -> Project {
        let project = deploy::project(variables, self.manifest, self.context).profiles(self.profiles);
        project.variable(self.manifest.variable("VERSION"), &self.version)
    }

    /// Generates missing secrets. If there were any, rereads all variables and returns them.
    pub(super) fn make_secrets(&self, variables: &Variables) -> Result<Option<Variables>> {
        let configured = self.project(variables).services()?;
        let made = super::make_secrets(&configured, self.manifest, variables, self.context)?;
        made.then(|| Variables::read(self.context)).transpose()
    }
}
