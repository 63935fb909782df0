//! `deploy --kubernetes`.

use std::path::PathBuf;

use anyhow::Result;

use crate::args;
use crate::deploy::cluster::ClusterArgs;
use build::push::digests::Digests;
use engine::compose::Project;
use engine::context::Context;
use engine::environment::require_engine;
use engine::variables::Variables;
use host::failure::{Failure, FailureClass};
use host::plural;
use host::program::PROGRAM;
use model::manifest::Manifest;
use stack::deploy;
use stack::kubernetes::images::ImageSource;
use stack::kubernetes::plan::KubernetesPlan;
use stack::kubernetes::planner::{self, PlanInput};
use stack::kubernetes::secrecy::SecretFinder;
use stack::kubernetes::tree::{Overlay, Tree};
use stack::kubernetes::{Common, is_name, is_size, write};

/// The default folder, in the repository's root.
const FOLDER: &str = "kubernetes";

/// Writes the tree and, if asked to, applies it.
///
/// # Errors
/// Invalid options, images without a digest, files that were not written by this program, or a failed apply.
pub(super) fn run(
    args: &ClusterArgs,
    profiles: &[String],
    manifest: &Manifest,
    variables: Variables,
    context: &Context,
) -> Result<()> {
    refuse_invalid(args)?;
    let version = super::version(args.edition.as_deref(), args.tag.as_deref(), manifest, &variables)?;
    let registry = args::registry(manifest, args.registry.as_deref())?;
    require_engine(context)?;
    let name = manifest.variable("VERSION");
    let project = |variables: &Variables| -> Project {
        deploy::project(variables, manifest, context).profiles(profiles).variable(&name, &version)
    };
    super::make_secrets(&project(&variables).services()?, manifest, &variables, context)?;
    let variables = Variables::read(context)?;
    let project = project(&variables);
    project.ready()?;
    let cluster = project.for_cluster()?;
    let references: Vec<String> = cluster.services.values().map(|service| service.image.clone()).collect();
    let images = context.docker.inspect(&references)?;
    let secrets = SecretFinder::new(manifest, &variables)?;
    let plan = planner::plan(&PlanInput {
        project: &cluster,
        manifest,
        images: &images,
        variables: &variables,
        secrets: &secrets,
    })?;
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
    report(&plan, &tree, &written, args, context);
    Ok(())
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

fn report(plan: &KubernetesPlan, tree: &Tree, written: &PathBuf, args: &ClusterArgs, context: &Context) {
    let terminal = &context.terminal;
    for gap in &plan.gaps {
        terminal.warn(gap.to_string());
    }
    let count = plural::count(tree.base.len() + tree.overlay.len(), "file");
    terminal.say(format!("wrote {count}: {}", written.display()));
    if !args.apply {
        terminal.say(format!(
            "apply it with `{PROGRAM} deploy --kubernetes --apply`, or `kubectl apply --server-side -k {}`",
            written.display()
        ));
    }
}
