//! Subcommand: `cargo xtask compose-switch`.

mod services;

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::{args, diff};
use build::push::digests::Digests;
use check::overrides::REMEDY;
use engine::builds;
use engine::compose::ComposeInput;
use engine::context::Context;
use engine::environment::require_engine;
use engine::variables::Variables;
use host::failure::{Failure, FailureClass, class_of};
use host::files::Lock;
use model::image_ref::Registry;
use model::manifest::Manifest;
use model::variant::Variant;
use stack::switch::edits::ForeignReference;
use stack::switch::files::{self, PlannedFile, UnreadFile};
use stack::switch::local_images::{digest_of, refuse_missing};
use stack::switch::own_images::{OwnImages, registry_of};
use stack::switch::proof::{MissedService, Proof, Switch};
use stack::switch::reference::SwitchRequest;
use stack::switch::{edits, last_switch, registries};

/// Switch the image references in Compose files between the variants
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Images that the services will run
    #[arg(value_enum, required_unless_present = "undo", conflicts_with = "undo")]
    variant: Option<VariantArg>,
    /// Edition to put in every tag
    #[arg(long)]
    edition: Option<String>,
    /// Tag to put before edition and variant
    #[arg(long)]
    tag: Option<String>,
    /// Registry to put before every name, HOST[:PORT][/PATH]
    #[arg(long)]
    registry: Option<String>,
    /// Pin every reference to the image's registry digest
    #[arg(long)]
    pin: bool,
    /// Compose file; may be repeated [default: the files that Compose reads]
    #[arg(long, value_name = "FILE")]
    file: Vec<PathBuf>,
    /// Print the changes as a unified diff without writing them
    #[arg(long)]
    dry_run: bool,
    /// Write nothing; exit with 1 if something would change
    #[arg(long)]
    check: bool,
    /// Allow images that this engine does not have
    #[arg(long)]
    allow_missing: bool,
    /// Restore the files of the last switch, unless they changed since
    #[arg(long, conflicts_with_all = ["edition", "tag", "registry", "pin", "file", "dry_run", "check", "allow_missing"])]
    undo: bool,
}

const EXAMPLES: &str = "Examples:
  # Show the changes as a diff
  cargo xtask compose-switch original --dry-run
  # Switch to the optimized images
  cargo xtask compose-switch optimized
  # Switch to the pushed images, pinned by digest
  cargo xtask compose-switch optimized --registry hub.example/t --pin
  # Undo the last switch
  cargo xtask compose-switch --undo";

#[derive(Debug, Clone, Copy, ValueEnum)]
enum VariantArg {
    /// NAME:TAG-optimized
    Optimized,
    /// NAME:TAG
    Original,
}

pub fn run(args: &Args, context: &Context) -> Result<()> {
    let _lock = Lock::take(&context.repository.compose_lock())?;
    let Some(variant) = args.variant else { return undo(context) };
    let manifest = builds::manifest(context)?;
    let request = request(variant, args, &manifest)?;
    say_without_variants(args, &manifest, context);
    let input = input(args, context)?;
    let variables = &input.variables;
    let pushed = Digests::read(&context.repository)?;
    let mut own = OwnImages::known(&manifest, &input.root, &pushed, &context.repository)?;
    own.extend(request.registry.iter().map(Registry::to_string));
    let fill = |text: &str| variables.fill(text);
    let pin = |reference: &str| digest_of(reference, variables, &context.docker, &pushed);
    let needs_images = args.pin || !(args.allow_missing || args.check || args.dry_run);
    if needs_images {
        require_engine(context)?;
    }
    let pin = args.pin.then_some(&pin as edits::DigestOf<'_>);
    let plan = |text: &str| edits::plan(text, &own, &request, pin, &fill);
    let (found, unread) = files::collect(&context.repository, &input.files, &plan, &fill)?;
    report_left(&found, &unread, context);
    let mut own_now = own.clone();
    own_now.extend(named_registries(&found, &fill));
    require_images(args, &found, variables, context)?;
    let switch = Switch { files: &found, input: &input, own: &own_now, request: &request, digest_of: pin };
    let proof = prove(&switch, &manifest, context)?;
    let programs = missing_programs(&proof, &found, &own_now, &manifest, needs_images, context)?;
    let writes = !(args.dry_run || args.check);
    if writes && !programs.is_empty() {
        let what = format!(
            "services run programs that their images do not have; no file was changed:\n  {}",
            programs.join("\n  ")
        );
        return Err(Failure::new(FailureClass::Failed, what, REMEDY).into());
    }
    apply(&found, writes, request.registry.as_ref(), context)?;
    programs.iter().for_each(|text| context.terminal.warn(text));
    conclude(&found, unread.len(), proof.missed.len(), args.check, context)?;
    match programs.len() {
        0 => Ok(()),
        1 => bail!("1 program is missing from its image\nhelp: {REMEDY}"),
        count => bail!("{count} programs are missing from their images\nhelp: {REMEDY}"),
    }
}

/// Refuses a switch to images that do not exist or, with `--pin`, have no digest.
fn require_images(
    args: &Args,
    found: &[PlannedFile],
    variables: &Variables,
    context: &Context,
) -> Result<()> {
    if args.allow_missing {
        return Ok(());
    }
    if args.pin {
        return refuse_unpinned(found);
    }
    if args.check && !args.dry_run {
        return Ok(());
    }
    let missing = || {
        require_engine(context)?;
        let edits = found.iter().flat_map(|file| &file.plan.edits);
        let references: Vec<&str> = edits.map(|edit| edit.after.as_str()).collect();
        refuse_missing(&references, variables, &context.docker)
    };
    match missing() {
        Err(error) if args.dry_run => {
            context.terminal.warn(format!("without --dry-run, this would fail: {error:#}"));
            Ok(())
        }
        result => result,
    }
}

/// Writes the changes, or prints them as a diff.
fn apply(found: &[PlannedFile], writes: bool, registry: Option<&Registry>, context: &Context) -> Result<()> {
    let changed: Vec<&PlannedFile> = found.iter().filter(|file| !file.plan.edits.is_empty()).collect();
    if !writes {
        context.terminal.print(changed.iter().map(|file| difference(file)).collect::<String>());
    } else if !changed.is_empty() {
        last_switch::write(&context.repository, &changed)?;
        if let Some(registry) = registry {
            registries::add(registry, &context.repository)?;
        }
        for file in changed {
            for edit in &file.plan.edits {
                let place = format!("{}:{}", file.name, edit.line);
                context.terminal.say(format!("{place}: {} -> {}", edit.before, edit.after));
            }
        }
    }
    Ok(())
}

/// Proves the switch, and reports what it leaves behind.
fn prove(switch: &Switch<'_>, manifest: &Manifest, context: &Context) -> Result<Proof> {
    let terminal = &context.terminal;
    let Some(proof) = switch.prove(context)? else {
        terminal.warn("not verified: docker compose is not installed");
        return Ok(Proof::default());
    };
    if let Some(error) = &proof.unread_profiles {
        terminal
            .warn(format!("services of inactive profiles are not verified; Compose rejects them: {error}"));
    }
    for MissedService { service, image } in &proof.missed {
        let reason = "its reference is in none of the files that were read";
        terminal.warn(format!("service {service}: `{image}` left unchanged: {reason}"));
    }
    for text in services::wrong_builds(&proof, switch.files, switch.own, manifest, switch.request.variant) {
        terminal.warn(text);
    }
    Ok(proof)
}

fn missing_programs(
    proof: &Proof,
    found: &[PlannedFile],
    own: &OwnImages<'_>,
    manifest: &Manifest,
    needs_images: bool,
    context: &Context,
) -> Result<Vec<String>> {
    match services::missing_programs(proof, found, own, manifest, context) {
        Err(error) if !needs_images && class_of(&error).is_environment() => {
            let what = "the services' commands were not compared with their images";
            context.terminal.warn(format!("{what}: {error}"));
            Ok(Vec::new())
        }
        programs => programs,
    }
}

/// Registries of references to our images, with variables replaced.
fn named_registries(found: &[PlannedFile], fill: edits::Fill<'_>) -> BTreeSet<String> {
    let plans = found.iter().map(|file| &file.plan);
    let texts = plans.flat_map(|plan| {
        let skipped = plan.skipped.iter().map(|skipped| &skipped.text);
        plan.edits.iter().flat_map(|edit| [&edit.before, &edit.after]).chain(&plan.unchanged).chain(skipped)
    });
    texts.filter_map(|text| Some(registry_of(&fill(text).ok()?).to_owned())).collect()
}

/// Prints a note if no service has an optimized build and no other change is requested.
fn say_without_variants(args: &Args, manifest: &Manifest, context: &Context) {
    let has_other = args.edition.is_some() || args.tag.is_some() || args.registry.is_some() || args.pin;
    if !manifest.has_twins() && !has_other {
        let what = "nothing to switch: no service has both an original and an optimized build";
        context.terminal.say(format!("{what}; --tag, --registry and --pin still apply"));
    }
}

fn request(variant: VariantArg, args: &Args, manifest: &Manifest) -> Result<SwitchRequest> {
    Ok(SwitchRequest {
        variant: match variant {
            VariantArg::Optimized => Variant::Optimized,
            VariantArg::Original => Variant::Original,
        },
        edition: args.edition.as_deref().map(|name| args::edition(manifest, Some(name))).transpose()?,
        tag: args.tag.as_deref().map(|tag| args::tag(manifest, Some(tag))).transpose()?,
        // Only from the command line: the environment's registry is for pushes.
        registry: match args.registry.as_deref() {
            Some(registry) => args::registry(manifest, Some(registry))?,
            None => None,
        },
        editions: manifest.editions.clone(),
    })
}

fn input(args: &Args, context: &Context) -> Result<ComposeInput> {
    if let Some(missing) = args.file.iter().find(|path| !path.is_file()) {
        return Err(Failure::usage(format!("--file {}: no such file", missing.display())).into());
    }
    let input = ComposeInput::read(&args.file, context)?;
    if input.files.is_empty() {
        let root = context.repository.root().display();
        return Err(Failure::usage(format!("no Compose file in {root}: name one with --file")).into());
    }
    Ok(input)
}

fn refuse_unpinned(found: &[PlannedFile]) -> Result<()> {
    let mut unpinned = Vec::new();
    for file in found {
        for skipped in file.plan.skipped.iter().filter(|skipped| skipped.unpinned) {
            unpinned.push(format!("{}:{}: `{}`: {}", file.name, skipped.line, skipped.text, skipped.reason));
        }
    }
    if unpinned.is_empty() {
        return Ok(());
    }
    bail!(
        "cannot pin; no file was changed:\n  {}\nhelp: --allow-missing pins the others",
        unpinned.join("\n  ")
    )
}

fn difference(file: &PlannedFile) -> String {
    diff::unified(&file.text, &file.switched(), [&format!("a/{}", file.name), &format!("b/{}", file.name)])
}

/// Reports the files that were not read and the references that were left unchanged.
fn report_left(found: &[PlannedFile], unread: &[UnreadFile], context: &Context) {
    let terminal = &context.terminal;
    for file in unread {
        terminal.warn(format!("{}: `{}` was not read: {}", file.by, file.name, file.reason));
    }
    for (file, skip) in found.iter().flat_map(|file| file.plan.skipped.iter().map(move |skip| (file, skip))) {
        let place = format!("{}:{}", file.name, skip.line);
        terminal.warn(format!("{place}: `{}` left unchanged: {}", skip.text, skip.reason));
    }
    for (file, ForeignReference { line, text }) in
        found.iter().flat_map(|file| file.plan.foreign.iter().map(move |foreign| (file, foreign)))
    {
        let (place, registry, manifest) = (&file.name, registry_of(text), context.repository.manifest_name());
        terminal.warn(format!(
            "{place}:{line}: `{text}` left unchanged: {registry} is not one of the `registries` in {manifest}\nhelp: if it has this repository's images, add it there"
        ));
    }
}

/// Decides the exit code.
fn conclude(
    found: &[PlannedFile],
    unread: usize,
    missed: usize,
    check: bool,
    context: &Context,
) -> Result<()> {
    let (mut edits, mut unchanged, mut skipped) = (0, 0, missed);
    for plan in found.iter().map(|file| &file.plan) {
        edits += plan.edits.len();
        unchanged += plan.unchanged.len();
        skipped += plan.skipped.len();
    }
    if edits + unchanged + skipped == 0 {
        context.terminal.warn("no service in these files runs an image of this repository");
    } else if edits == 0 && skipped == 0 {
        context.terminal.say(format!("nothing to change: {} already as requested", references(unchanged)));
    }
    match (check, edits, skipped) {
        (_, _, 1..) => bail!("{} left unchanged", references(skipped)),
        (true, 1.., _) => bail!("{} would change", references(edits)),
        _ if unread == 0 => Ok(()),
        _ if unread == 1 => bail!("1 file was not read"),
        _ => bail!("{unread} files were not read"),
    }
}

fn references(count: usize) -> String {
    format!("{count} reference{}", if count == 1 { "" } else { "s" })
}

fn undo(context: &Context) -> Result<()> {
    match last_switch::undo(&context.repository)?.as_slice() {
        [] => context.terminal.say("nothing to undo"),
        restored => context.terminal.say(format!("restored {}", restored.join(", "))),
    }
    Ok(())
}
