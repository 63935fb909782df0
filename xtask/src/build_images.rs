//! Subcommand: `cargo xtask build-images`.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::args::{self, BasesChoice, CacheArgs, RequestArgs, ServicesArgs};
use crate::compare::compared;
use crate::push;
use build::bake::BuildOptions;
use build::bases::{self, BaseSource, BasesMode};
use build::direct::{self, Destination};
use build::environment::BuildEnvironment;
use build::package_date::{self, PackageDateChoice};
use build::plan::{BuildPlan, PlannedImage};
use build::planner::Planner;
use build::push::execute::{JOBS, push as push_images};
use build::push::request::PushRequest;
use build::reproducibility;
use build::request::BuildRequest;
use build::secret_arguments;
use build::shared_cache;
use build::{builds, upstreams};
use engine::bake::BakeOptions;
use engine::builds as engine_builds;
use engine::context::Context;
use host::failure::{self, Failure};
use host::plural::count;
use host::printable::printable;
use host::render::Render as _;
use model::image_ref::Registry;
use model::manifest::{Manifest, Service};

/// Build images and compare their sizes
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    services: ServicesArgs,
    #[command(flatten)]
    request: RequestArgs,
    /// Registry to push to or pull from, HOST[:PORT][/PATH] [default: $SUTRA_REGISTRY]
    #[arg(long)]
    registry: Option<String>,
    /// Push the built images
    #[arg(long)]
    push: bool,
    /// Push only edition tags, like `push --fixed-tags`
    #[arg(long, requires = "push")]
    fixed_tags: bool,
    /// Push nothing if a tag already exists for a different image, like `push --no-overwrite`
    #[arg(long, requires = "push")]
    no_overwrite: bool,
    /// Also push NAME:built-… tags, like `push --built-tags`
    #[arg(long, requires = "push")]
    built_tags: bool,
    /// Push from the builder, without storing images in the engine; needs a builder created with `docker buildx create`
    #[arg(long, requires = "push", conflicts_with_all = ["pull_built", "no_overwrite", "twice", "dry_run", "break_lock"])]
    no_load: bool,
    /// Pull images that another machine built from the same inputs, and build only the others
    #[arg(long, conflicts_with_all = ["no_cache", "pull", "refresh", "write_cache"])]
    pull_built: bool,
    /// Ignore the build cache
    #[arg(long)]
    no_cache: bool,
    /// Build a second time without the cache; if an image differs, fail and push nothing
    #[arg(long, conflicts_with = "dry_run")]
    twice: bool,
    /// Maximum parallel builds [default: no limit]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    jobs: Option<u32>,
    /// Build and tag the other images when one fails
    #[arg(long)]
    keep_going: bool,
    /// Pull newer base images
    #[arg(long)]
    pull: bool,
    /// Maximum age of unpinned packages and downloads, such as 7d or 12h; rounded to fixed periods that start on a Monday
    #[arg(long, value_name = "DURATION", default_value = "7d")]
    max_age: String,
    /// Get the newest packages and base images now, regardless of age
    #[arg(long, conflicts_with = "max_age")]
    refresh: bool,
    /// Require packages from DATE or later, instead of --max-age
    #[arg(long, value_name = "DATE", conflicts_with_all = ["max_age", "refresh"])]
    packages_as_of: Option<String>,
    /// Take over the tag lock of a killed run on another machine; complete or revert its moves
    #[arg(long)]
    break_lock: bool,
    /// Print the plan and the bake definition without building
    #[arg(long)]
    dry_run: bool,
    /// Source of upstream base images
    #[arg(long, value_enum, default_value = "auto")]
    bases: BasesChoice,
    /// Show the slowest build steps
    #[arg(long)]
    timings: bool,
    #[command(flatten)]
    cache: CacheArgs,
}

const EXAMPLES: &str = "Examples:
  # Build every image in the default edition
  cargo xtask build-images
  # Build two services, each in every edition
  cargo xtask build-images api storage --edition all
  # Build the originals too, for measured comparisons
  cargo xtask build-images --variant both
  # Print the plan and the bake definition
  cargo xtask build-images --dry-run
  # Build only the services that this branch changed
  cargo xtask build-images --changed-since origin/main
  # Share the build cache with other machines
  cargo xtask build-images --cache-registry hub.example/t --write-cache
  # Get today's fixes of Debian
  cargo xtask build-images --edition all --refresh
  # Show the slowest build steps
  cargo xtask build-images --timings
  # Check that a second build produces the same image
  cargo xtask build-images api --twice
  # Build and push
  cargo xtask build-images --push --registry registry.company.com/team
  # Push from a remote builder, without storing images on this machine
  cargo xtask build-images --builder far --push --no-load --registry hub.example
  # Pull images that another machine pushed with --built-tags
  cargo xtask build-images --pull-built --registry registry.company.com/team";

/// # Errors
/// Wrong usage, a failed build, or a machine that cannot build.
pub fn run(args: &Args, context: &Context) -> Result<()> {
    let manifest = engine_builds::manifest(context)?;
    let request = args.request.resolve(&manifest, args.services.resolve(&manifest, context)?)?;
    let registry = registry_to_push_to(args, &manifest)?;
    let pull_built = registry_to_pull_from(args, &manifest)?;
    let mode = args.bases.resolve();
    // Fail before anything is built.
    push::tags_to_push(Vec::new(), args.fixed_tags, &request.tag)?;
    let options = BuildOptions {
        bake: BakeOptions {
            pull: args.pull || args.refresh,
            metadata: args.no_load.then(|| context.repository.bake_metadata()),
        },
        no_cache: args.no_cache,
        keep_going: args.keep_going,
        jobs: args.jobs.and_then(|jobs| usize::try_from(jobs).ok()),
        break_lock: args.break_lock,
        packages: packages(args)?,
        pull_built,
        cache: args.cache.resolve(&manifest)?,
    };
    say_pulled(&request.services, context);
    warn_of_left_out(&request.services, context);
    if request.images().next().is_none() {
        context.terminal.say("Nothing to build.");
        return Ok(());
    }
    if args.dry_run {
        return dry_run(&manifest, &request, mode, &options, context);
    }
    if let (true, Some(registry)) = (args.no_load, &registry) {
        return build_and_push(args, &manifest, &request, &options, registry, context);
    }
    let built = builds::images(&manifest, &request, mode, &options, context)?;
    if built.pulled > 0 && built.kept + built.pulled == built.images.len() {
        context.terminal.say("Nothing was built.");
    }
    if built.kept > 0 && built.kept == built.images.len() {
        context.terminal.say(format!("Up to date: {}. Nothing was built.", count(built.kept, "image")));
    }
    if args.twice {
        let found = reproducibility::build_again(&manifest, &request, &built.images, mode, &options, context);
        let checked = found.and_then(|found| {
            context.terminal.print(printable(&found.to_string()));
            found.check()
        });
        if let Err(error) = checked {
            return finish(Err(error), built.failure, context);
        }
    }
    let listed = built.listed;
    let pushed = match &registry {
        Some(registry) => {
            let images = push::tags_to_push(built.images, args.fixed_tags, &request.tag)?;
            let built = args.built_tags.then_some(manifest.project.as_str());
            let push = PushRequest {
                images: &images,
                tag: &request.tag,
                registry,
                jobs: JOBS,
                keeps_tags: args.no_overwrite,
                built,
            };
            Some(push_images(push, context)?)
        }
        None => None,
    };
    let services = &request.services;
    for &edition in &request.editions {
        context
            .terminal
            .print(compared(&manifest, services, edition, &request.tag, listed.as_ref(), context)?.text());
    }
    if let Some(report) = &pushed {
        context.terminal.print(report.text());
    }
    if args.timings {
        context.terminal.print(printable(&built.timings.text()));
    }
    finish(pushed.map_or(Ok(()), |report| report.check()), built.failure, context)
}

/// Builds images that the builder pushes.
fn build_and_push(
    args: &Args,
    manifest: &Manifest,
    request: &BuildRequest<'_>,
    options: &BuildOptions,
    registry: &Registry,
    context: &Context,
) -> Result<()> {
    let to = Destination { registry, fixed_tags: args.fixed_tags, built_tags: args.built_tags };
    let done = direct::build_and_push(manifest, request, args.bases.resolve(), options, to, context)?;
    context.terminal.print(done.report.text());
    if args.timings {
        context.terminal.print(printable(&done.timings.text()));
    }
    finish(done.report.check(), done.failure, context)
}

/// The result of a run whose builds and next step, such as the push, may both have failed.
fn finish(pushed: Result<()>, failure: Option<Failure>, context: &Context) -> Result<()> {
    let Some(failure) = failure else { return pushed };
    if let Err(error) = pushed {
        let secrets = &context.docker.runner.secrets;
        context.terminal.error(secrets.mask(&failure::report(&error)));
    }
    Err(failure.into())
}

/// The platform that an image is built for; `None` for the engine's own.
fn target_platform<'p>(plan: &'p BuildPlan, image: &PlannedImage) -> Option<&'p str> {
    plan.definition.target.get(&image.target)?.platforms.first().map(String::as_str)
}

/// Lists the requested services that are pulled, not built.
fn say_pulled(services: &[&Service], context: &Context) {
    for (service, reference) in
        services.iter().filter_map(|service| Some((service, service.pulled.as_ref()?)))
    {
        context.terminal.say(format!("{}: pulled, not built: {reference}", service.name));
    }
}

/// Lists what Compose and bake files declare for a build and this program cannot pass on.
fn warn_of_left_out(services: &[&Service], context: &Context) {
    for (service, build) in
        services.iter().filter_map(|service| Some((service, service.build(service.shipped())?)))
    {
        let left_out = &build.settings.left_out;
        if !left_out.is_empty() {
            context.terminal.warn(format!(
                "{}: these parts of its build are ignored: {}\nhelp: build it with Compose or bake if it needs them",
                service.name,
                left_out.join(", ")
            ));
        }
    }
}

fn packages(args: &Args) -> Result<PackageDateChoice> {
    Ok(match &args.packages_as_of {
        Some(text) => {
            let date = text.parse().map_err(|error| Failure::usage(format!("--packages-as-of: {error}")))?;
            PackageDateChoice::Given(date)
        }
        None if args.refresh => PackageDateChoice::Refresh,
        None => PackageDateChoice::MaxAge(
            package_date::parse_age(&args.max_age)
                .map_err(|error| Failure::usage(format!("--max-age: {error}")))?,
        ),
    })
}

/// The registry for `--push`, checked before anything is built.
fn registry_to_push_to(args: &Args, manifest: &Manifest) -> Result<Option<Registry>> {
    // An invalid registry is an error even without --push.
    let given = args::registry(manifest, args.registry.as_deref())?;
    match args.push {
        false => Ok(None),
        true => push::required(given, manifest, "--push", "nothing was built").map(Some),
    }
}

/// The registry for `--pull-built`.
fn registry_to_pull_from(args: &Args, manifest: &Manifest) -> Result<Option<Registry>> {
    let given = args::registry(manifest, args.registry.as_deref())?;
    args.pull_built.then(|| push::required(given, manifest, "--pull-built", "nothing was built")).transpose()
}

/// Prints what would be built: the plan to stderr, the bake definition to stdout. Needs no engine: the source of bases is
/// the one an earlier run chose.
fn dry_run(
    manifest: &Manifest,
    request: &BuildRequest<'_>,
    mode: BasesMode,
    options: &BuildOptions,
    context: &Context,
) -> Result<()> {
    let upstreams = upstreams::of_request(manifest, request, &context.repository);
    let source = bases::known(mode, &upstreams, context).unwrap_or(BaseSource::Upstream);
    let environment = BuildEnvironment::detect(&upstreams, source, &options.packages, context)?;
    let mut plan = Planner::new(manifest, &environment, &context.repository).images(request);
    if let Some(cache) = &options.cache {
        shared_cache::attach(&mut plan, cache, &manifest.project);
    }
    context.terminal.say(format!(
        "Would build {} on {} bases:",
        count(plan.images.len(), "image"),
        source.name()
    ));
    for image in &plan.images {
        let tags: Vec<String> = image.tagged.tags.iter().map(ToString::to_string).collect();
        let from = image.dockerfile.as_deref().unwrap_or("an inline Dockerfile");
        let on = target_platform(&plan, image).map(|platform| format!(" for {platform}")).unwrap_or_default();
        context.terminal.say(format!("  {} from {from}{on} as {}", image.target, tags.join(", ")));
    }
    let plain: BTreeSet<String> =
        plan.images.iter().flat_map(|image| &image.tagged.plain).map(ToString::to_string).collect();
    if !plain.is_empty() {
        let names = plain.into_iter().collect::<Vec<_>>().join(", ");
        context.terminal.say(format!("The image for the engine's own platform also becomes {names}"));
    }
    let secrets = &context.docker.runner.secrets;
    context.terminal.print(secret_arguments::printable(&plan.definition, secrets)? + "\n");
    Ok(())
}
