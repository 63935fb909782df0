//! `cargo xtask deploy --kubernetes`.

use std::path::Path;

use anyhow::Result;

use crate::deploy::cluster::{ClusterArgs, ClusterDeployment};
use crate::smoke_test::print;
use build::push::digests::Digests;
use engine::context::Context;
use engine::environment::require_engine;
use engine::variables::Variables;
use host::failure::{Failure, FailureClass};
use host::plural;
use model::manifest::{Manifest, Service};
use stack::kubernetes::apply;
use stack::kubernetes::images::ImageSource;
use stack::kubernetes::kubectl::{self, Kubectl};
use stack::kubernetes::plan::KubernetesPlan;
use stack::kubernetes::planner::{self, PlanInput};
use stack::kubernetes::tree::{Overlay, Tree};
use stack::kubernetes::{Common, is_name, is_size, smoke, write};
use stack::probes::plan::{ProbePlan, unique_word, values};
use stack::secrecy::SecretFinder;

/// The default folder, in the repository's root.
const FOLDER: &str = "kubernetes";

/// Writes the tree and, with `--apply`, applies it.
///
/// # Errors
/// Invalid options, images without a digest, files not written by this program, a failed apply, or failed probes.
pub(super) fn run(deployment: &ClusterDeployment<'_>, variables: Variables) -> Result<()> {
    let ClusterDeployment { args, manifest, registry, context, .. } = deployment;
    refuse_invalid(args)?;
    // Checked before anything is written.
    let kubectl = args.apply.then(|| kubectl(args, context)).transpose()?;
    require_engine(context)?;
    let variables = deployment.make_secrets(&variables)?.unwrap_or(variables);
    let project = deployment.project(&variables);
    project.ready()?;
    let cluster = project.for_cluster()?;
    let references: Vec<String> = cluster.services.values().map(|service| service.image.clone()).collect();
    let images = context.docker.inspect(&references)?;
    let set = super::cluster::set(&variables);
    let secrets = SecretFinder::new(manifest, &set)?;
    let plan = planner::plan(&PlanInput {
        project: &cluster,
        manifest,
        images: &images,
        variables: &set,
        secrets: &secrets,
    })?;
    plan.mask(&context.docker.runner.secrets);
    let pinned = ImageSource {
        project: &cluster,
        manifest,
        images: &images,
        pushed: &Digests::read(&context.repository)?,
        registry: registry.as_ref(),
        docker: &context.docker,
        by_tag: args.by_tag,
    }
    .pin()?;
    let overlay = Overlay { name: &args.overlay, namespace: args.namespace.as_deref(), images: &pinned };
    let tree = Tree::new(&plan, &common(args, &plan), &overlay)?;
    let output = args.output.clone().unwrap_or_else(|| context.repository.root().join(FOLDER));
    let written = write::write(&tree, &output, &args.overlay)?;
    report(&plan, &tree, &written, kubectl.is_some(), context);
    let Some(kubectl) = kubectl else { return Ok(()) };
    apply::apply(&plan, &written, &kubectl, args.deadline(), &context.terminal)?;
    smoke_test(&plan, &kubectl, args, manifest, &variables, context)
}

fn kubectl(args: &ClusterArgs, context: &Context) -> Result<Kubectl> {
    kubectl::require(&context.docker.runner)?;
    Kubectl::new(&context.docker.runner, args.context.as_deref(), args.namespace.as_deref())
}

fn smoke_test(
    plan: &KubernetesPlan,
    kubectl: &Kubectl,
    args: &ClusterArgs,
    manifest: &Manifest,
    variables: &Variables,
    context: &Context,
) -> Result<()> {
    let is_planned =
        |service: &&Service| plan.workloads.iter().any(|workload| service.is_compose(&workload.service));
    let services: Vec<&Service> = manifest.services.iter().filter(is_planned).collect();
    let probes = ProbePlan::new(manifest, &services, None);
    let values = values(manifest, variables, &unique_word());
    let runner = &context.docker.runner;
    let report = smoke::run(&probes, plan, kubectl, &values, args.deadline(), runner)?;
    print(&report, &context.terminal)?;
    Ok(probes.refuse_silence(&report)?)
}

fn common(args: &ClusterArgs, plan: &KubernetesPlan) -> Common {
    Common {
        project: plan.project.clone(),
        volume_size: args.volume_size.clone(),
        pull_secrets: args.pull_secrets.clone(),
    }
}

fn refuse_invalid(args: &ClusterArgs) -> Result<(), Failure> {
    let names = [("--overlay", Some(&args.overlay)), ("--namespace", args.namespace.as_ref())];
    let names = names.into_iter().chain(args.pull_secrets.iter().map(|name| ("--pull-secret", Some(name))));
    let invalid = |what: String, remedy: &str| Err(Failure::new(FailureClass::Usage, what, remedy));
    for (option, name) in names {
        if let Some(name) = name.filter(|name| !is_name(name)) {
            return invalid(
                format!("{option}: invalid name `{name}`"),
                "use lower-case letters, digits and dashes, and start with a letter",
            );
        }
    }
    if !is_size(&args.volume_size) {
        return invalid(
            format!("--volume-size: invalid size `{}`", args.volume_size),
            "write a number and a unit, such as 10Gi",
        );
    }
    Ok(())
}

fn report(plan: &KubernetesPlan, tree: &Tree, written: &Path, applies: bool, context: &Context) {
    let terminal = &context.terminal;
    for gap in &plan.gaps {
        terminal.warn(gap.to_string());
    }
    let count = plural::count(tree.base.len() + tree.overlay.len(), "file");
    terminal.say(format!("wrote {count}; the overlay is {}", written.display()));
    if !applies {
        let command = format!("kubectl apply --server-side -k {}", written.display());
        terminal.say(format!("apply it with `{command}`, or run this again with --apply"));
    }
}
