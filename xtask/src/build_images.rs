//! Subcommand: `cargo xtask build-images`.

use anyhow::Result;

use crate::args;
use crate::args::{BasesChoice, CacheArgs, ServicesArgs, VariantChoice};
use crate::push;
use build::bases;
use build::bases::{Mode, Source};
use build::compare::compare;
use build::failure::ended_by;
use build::plan;
use build::plan::Request;
use build::produce;
use build::push::plan::built;
use build::push::run::{JOBS, push as push_images};
use build::run::Policy;
use build::shared_cache;
use build::shared_cache::RegistryCache;
use engine::bake::BakeOptions;
use engine::context::Context;
use model::image_ref::Registry;
use model::manifest::Manifest;
use model::reader;

/// Build every image, or those of some services, and compare what was built
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    services: ServicesArgs,
    /// simple, community, enterprise or all [default: $SUTRA_EDITION, else simple]
    #[arg(long)]
    edition: Option<String>,
    /// Which Dockerfiles to build
    #[arg(long, value_enum, default_value = "optimized")]
    variant: VariantChoice,
    /// Tag; edition and variant are appended [default: $SUTRA_VERSION, else latest]
    #[arg(long)]
    tag: Option<String>,
    /// Registry to push to, HOST[:PORT][/PATH] [default: $SUTRA_REGISTRY]
    #[arg(long)]
    registry: Option<String>,
    /// Push what was built
    #[arg(long)]
    push: bool,
    /// Ignore the build cache
    #[arg(long)]
    no_cache: bool,
    /// Build at most so many images at once [default: as many as the engine likes]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    jobs: Option<u32>,
    /// Build what can be built when something fails
    #[arg(long)]
    keep_going: bool,
    /// Ask registries for newer bases
    #[arg(long)]
    pull: bool,
    /// Print the plan and the bake definition, and build nothing
    #[arg(long)]
    dry_run: bool,
    /// Another builder than the current one
    #[arg(long)]
    builder: Option<String>,
    /// Where upstream bases come from
    #[arg(long, value_enum, default_value = "auto")]
    bases: BasesChoice,
    #[command(flatten)]
    cache: CacheArgs,
}

const EXAMPLES: &str = "Examples:
  cargo xtask build-images                            every optimized image, as the default edition
  cargo xtask build-images api storage --edition all  two services, each in three editions
  cargo xtask build-images --variant both             originals too, for a measured comparison
  cargo xtask build-images --dry-run                  the plan and the bake definition
  cargo xtask build-images --changed-since origin/main
                                                      what this branch changed, and no other service
  cargo xtask build-images --cache-registry registry.company.com/team --builder NAME --write-cache
                                                      hand the cache of this build on to other machines
  cargo xtask build-images --push --registry registry.company.com/team
                                                      build, and push what was built";

/// Runs it.
///
/// # Errors
/// Wrong words, a build that failed, or a machine that cannot build.
pub fn run(args: &Args, context: &Context) -> Result<()> {
    let manifest = reader::load(&context.repository)?;
    let request = Request {
        services: args.services.resolve(&manifest, context)?,
        editions: args::editions(args.edition.as_deref())?,
        variants: args.variant.resolve(),
        tag: args::tag(args.tag.as_deref())?,
        default_edition: args::default_edition()?,
    };
    let registry = registry_to_push_to(args)?;
    let policy = Policy {
        options: BakeOptions { no_cache: args.no_cache, pull: args.pull, builder: args.builder.clone() },
        keep_going: args.keep_going,
        jobs: args.jobs.and_then(|jobs| usize::try_from(jobs).ok()),
        cache: args.cache.resolve()?,
    };
    if request.services.is_empty() {
        context.terminal.say("There is nothing to build.");
        return Ok(());
    }
    if args.dry_run {
        return dry_run(&manifest, &request, args.bases.resolve(), policy.cache.as_ref(), context);
    }
    let produced = produce::produce(&manifest, &request, args.bases.resolve(), &policy, context)?;
    let pushed = match &registry {
        Some(registry) => {
            let built = built(&produced.images);
            Some(push_images(&built, &request.tag, registry, JOBS, context)?)
        }
        None => None,
    };
    for &edition in &request.editions {
        let comparison = compare(&manifest, &request.services, edition, &request.tag, context)?;
        print!("{}", build::comparison_text::text(&comparison));
    }
    if let Some(report) = &pushed {
        print!("{}", build::push::text::text(report));
    }
    let pushed = pushed.as_ref().map_or(Ok(()), push::judge);
    if produced.failures.is_empty() {
        return pushed;
    }
    if let Err(error) = pushed {
        context.terminal.error(format!("{error:#}"));
    }
    Err(ended_by(&produced.failures).into())
}

/// Where to push, when that was asked for: known before anything is built.
fn registry_to_push_to(args: &Args) -> Result<Option<Registry>> {
    // A registry that is none is a mistake even where nothing is pushed.
    let given = args::registry(args.registry.as_deref())?;
    match args.push {
        false => Ok(None),
        true => push::needed(given, "--push", "nothing was built").map(Some),
    }
}

/// Prints what would be built: the plan as narration, the bake definition as data. Asks nothing of the machine but what
/// an earlier run remembered.
fn dry_run(
    manifest: &Manifest,
    request: &Request<'_>,
    mode: Mode,
    cache: Option<&RegistryCache>,
    context: &Context,
) -> Result<()> {
    let upstreams = plan::upstreams(manifest, request, &context.repository);
    let source = match mode {
        Mode::Upstream => Source::Upstream,
        Mode::StandIn => Source::StandIn,
        Mode::Auto => bases::remembered(&upstreams, None, &context.repository)
            .map_or(Source::Upstream, |choice| choice.source),
    };
    let world = produce::world_of(&upstreams, source, context)?;
    let mut plan = plan::plan(manifest, request, &world, &context.repository);
    if let Some(cache) = cache {
        shared_cache::attach(&mut plan, cache, &manifest.project);
    }
    context.terminal.say(format!("Would build {} images on {} bases:", plan.images.len(), source.name()));
    for image in &plan.images {
        let tags: Vec<String> = image.tags.iter().map(ToString::to_string).collect();
        context.terminal.say(format!("  {} from {} as {}", image.target, image.dockerfile, tags.join(", ")));
    }
    println!("{}", serde_json::to_string_pretty(&plan.definition)?);
    Ok(())
}
