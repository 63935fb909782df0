//! `deploy` to a cluster instead of this machine's engine.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use crate::deploy::swarm::SwarmArgs;
use crate::deploy::{kubernetes, swarm};
use engine::context::Context;
use engine::variables::Variables;
use host::failure::Failure;
use host::program::PROGRAM;
use model::manifest::Manifest;

const KUBERNETES: &str = "Kubernetes";

/// Which cluster, and how.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Clusters", group = clap::ArgGroup::new("cluster"))]
pub struct ClusterArgs {
    /// Write a kustomize base and overlay for Kubernetes
    #[arg(long, group = "cluster")]
    kubernetes: bool,
    /// Deploy to the swarm that the current docker context manages
    #[arg(
        long,
        group = "cluster",
        conflicts_with_all = ["output", "apply", "context", "namespace", "by_tag", "pull_secrets"]
    )]
    swarm: bool,
    #[command(flatten)]
    pub(super) swarm_options: SwarmArgs,
    /// Folder to write to [default: kubernetes]
    #[arg(long, value_name = "DIR", requires = "kubernetes", help_heading = KUBERNETES)]
    pub(super) output: Option<PathBuf>,
    /// Apply the tree: server-side dry run, apply, wait for the rollout, send probes
    #[arg(long, requires = "kubernetes", help_heading = KUBERNETES)]
    pub(super) apply: bool,
    /// kubectl's context to apply to [default: the current one]
    #[arg(long, value_name = "NAME", requires = "apply", help_heading = KUBERNETES)]
    pub(super) context: Option<String>,
    /// Namespace of all objects [default: that of the context]
    #[arg(long, value_name = "NAME", requires = "kubernetes", help_heading = KUBERNETES)]
    pub(super) namespace: Option<String>,
    /// Overlay that holds the images and secrets
    #[arg(long, value_name = "NAME", default_value = "production", help_heading = KUBERNETES)]
    pub(super) overlay: String,
    /// Registry for images whose reference has none, HOST[:PORT][/PATH] [default: $SUTRA_REGISTRY]
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
    /// When a cluster is named before a subcommand, which acts on this machine's engine.
    pub(super) fn refuse_with_subcommand(&self) -> Result<(), Failure> {
        if self.swarm {
            return Err(Failure::usage(format!(
                "--swarm has no subcommands\nhelp: deploy with `{PROGRAM} deploy --swarm`; `docker service` shows \
                 and changes what runs there"
            )));
        }
        if self.kubernetes {
            return Err(Failure::usage(format!(
                "--kubernetes has no subcommands\nhelp: write with `{PROGRAM} deploy --kubernetes`, apply with --apply"
            )));
        }
        Ok(())
    }
}

/// The values of all variables that are not empty.
pub(super) fn set(variables: &Variables) -> BTreeMap<String, String> {
    let names = variables.all().map(|(name, _)| name);
    names.filter_map(|name| Some((name.to_owned(), variables.get(name)?.to_owned()))).collect()
}

/// Writes the stack for a cluster and, if asked to, applies it.
pub(super) fn run(
    args: &ClusterArgs,
    profiles: &[String],
    manifest: &Manifest,
    variables: Variables,
    context: &Context,
) -> Result<()> {
    if args.kubernetes {
        return kubernetes::run(args, profiles, manifest, variables, context);
    }
    if args.swarm {
        return swarm::run(args, profiles, manifest, variables, context);
    }
    Err(Failure::usage(format!(
        "deploy needs a subcommand, --swarm or --kubernetes\nhelp: see `{PROGRAM} help deploy`"
    ))
    .into())
}
