//! Subcommand: `cargo xtask compose-switch`.

use host::failure::Failure;
use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::ValueEnum;
use similar::TextDiff;

use crate::args;
use build::push::digests::Digests;
use engine::context::Context;
use engine::environment::require_engine;
use engine::variables::Variables;
use host::files::Lock;
use model::reader;
use model::variant::Variant;
use stack::switch::files;
use stack::switch::files::{NotRead, Planned};
use stack::switch::images_to_pin::{digest_of, refuse_missing};
use stack::switch::reference::Wanted;
use stack::switch::{edits, journal};

/// Move the image references of Compose files to one variant, and nothing else in them
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Which images the services run
    #[arg(value_enum, required_unless_present = "undo", conflicts_with = "undo")]
    variant: Option<Side>,
    /// Name this edition in every tag
    #[arg(long)]
    edition: Option<String>,
    /// Put this tag before edition and variant
    #[arg(long)]
    tag: Option<String>,
    /// Put this registry before every name, HOST[:PORT][/PATH]
    #[arg(long)]
    registry: Option<String>,
    /// Pin every reference to the digest that its registry knows the image by
    #[arg(long)]
    pin: bool,
    /// A Compose file; may be given again [default: what Compose reads here]
    #[arg(long, value_name = "F")]
    file: Vec<PathBuf>,
    /// Print what would change as a unified diff, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Change nothing; exit 1 when something would
    #[arg(long)]
    check: bool,
    /// Switch even to images that this engine does not have
    #[arg(long)]
    allow_missing: bool,
    /// Take the last switch back
    #[arg(long, conflicts_with_all = ["edition", "tag", "registry", "pin", "file", "dry_run", "check", "allow_missing"])]
    undo: bool,
}

const EXAMPLES: &str = "Examples:
  cargo xtask compose-switch original --dry-run  what would change, as a diff
  cargo xtask compose-switch optimized           back to the optimized images
  cargo xtask compose-switch optimized --registry registry.company.com/team --pin
                                                 to what was pushed, by digest
  cargo xtask compose-switch --undo              take the last switch back";

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Side {
    /// NAME:TAG-optimized
    Optimized,
    /// NAME:TAG
    Original,
}

/// Runs it.
///
/// # Errors
/// Wrong words, a reference that cannot be switched, or with `--check` one that would be.
pub fn run(args: &Args, context: &Context) -> Result<()> {
    let _lock = Lock::take(&context.repository.compose_lock())?;
    let Some(side) = args.variant else { return undo(context) };
    let manifest = reader::load(&context.repository)?;
    let ours: BTreeSet<&str> = manifest.services.iter().map(|service| service.image.as_str()).collect();
    let wanted = wanted(side, args)?;
    let variables = Variables::read(&context.repository)?;
    let pushed = if args.pin { Digests::read(&context.repository)? } else { Digests::default() };
    let pin = |reference: &str| digest_of(reference, &variables, &context.docker, &pushed);
    let looks = args.pin || !(args.allow_missing || args.check || args.dry_run);
    if looks {
        require_engine(context)?;
    }
    let (found, not_read) =
        files::collect(&context.repository, first_files(args, &variables, context)?, &|text| {
            Ok(edits::plan(text, &ours, &wanted, args.pin.then_some(&pin as edits::DigestOf<'_>))?)
        })?;
    if looks && !args.pin {
        let edits = found.iter().flat_map(|file| &file.plan.edits);
        let references: Vec<&str> = edits.map(|edit| edit.after.as_str()).collect();
        refuse_missing(&references, &variables, &context.docker)?;
    }
    if args.pin && !args.allow_missing {
        refuse_unpinned(&found)?;
    }
    if args.dry_run || args.check {
        print!("{}", diff(&found));
    } else {
        write(&found, context)?;
    }
    conclude(&found, &not_read, args.check, context)
}

fn wanted(side: Side, args: &Args) -> Result<Wanted> {
    Ok(Wanted {
        variant: match side {
            Side::Optimized => Variant::Optimized,
            Side::Original => Variant::Original,
        },
        edition: args.edition.as_deref().map(|name| args::edition(Some(name))).transpose()?,
        tag: args.tag.as_deref().map(|tag| args::tag(Some(tag))).transpose()?,
        // The environment's registry is for pushes; a file is only given what was asked for.
        registry: match args.registry.as_deref() {
            Some(registry) => args::registry(Some(registry))?,
            None => None,
        },
    })
}

fn first_files(args: &Args, variables: &Variables, context: &Context) -> Result<Vec<PathBuf>> {
    let first = match args.file.as_slice() {
        [] => files::default_files(&context.repository, variables),
        files => files.to_vec(),
    };
    if first.is_empty() {
        let root = context.repository.root().display();
        return Err(
            Failure::usage(format!("there is no Compose file in {root}: name one with --file")).into()
        );
    }
    Ok(first)
}

fn refuse_unpinned(found: &[Planned]) -> Result<()> {
    let absent = |file: &Planned| {
        let left = file.plan.left_alone.iter().filter(|left| left.absent);
        left.map(|left| format!("{}:{}: `{}`: {}", file.name, left.line, left.text, left.reason)).collect()
    };
    let absent: Vec<String> = found.iter().flat_map(|file| -> Vec<String> { absent(file) }).collect();
    if absent.is_empty() {
        return Ok(());
    }
    bail!("cannot pin:\n  {}\n  --allow-missing pins the others; no file was changed", absent.join("\n  "))
}

fn diff(found: &[Planned]) -> String {
    let changed = found.iter().filter(|file| !file.plan.edits.is_empty());
    let one = |file: &Planned| {
        let after = file.switched();
        let diff = TextDiff::from_lines(&file.text, &after);
        diff.unified_diff().header(&format!("a/{}", file.name), &format!("b/{}", file.name)).to_string()
    };
    changed.map(one).collect()
}

fn write(found: &[Planned], context: &Context) -> Result<()> {
    let changed: Vec<&Planned> = found.iter().filter(|file| !file.plan.edits.is_empty()).collect();
    if changed.is_empty() {
        return Ok(());
    }
    journal::make(&context.repository, &changed)?;
    for file in changed {
        for edit in &file.plan.edits {
            context.terminal.say(format!("{}:{}: {} -> {}", file.name, edit.line, edit.before, edit.after));
        }
    }
    Ok(())
}

/// Says what stays as it is, and judges.
fn conclude(found: &[Planned], not_read: &[NotRead], check: bool, context: &Context) -> Result<()> {
    for file in not_read {
        context.terminal.warn(format!("{}: `{}` is not looked into: {}", file.by, file.name, file.reason));
    }
    let (mut edits, mut settled, mut left) = (0, 0, 0);
    for file in found {
        edits += file.plan.edits.len();
        settled += file.plan.settled.len();
        left += file.plan.left_alone.len();
        for alone in &file.plan.left_alone {
            let place = format!("{}:{}", file.name, alone.line);
            context.terminal.warn(format!("{place}: `{}` is left alone: {}", alone.text, alone.reason));
        }
    }
    if edits + settled + left == 0 {
        context.terminal.warn("no service here runs an image of this repository");
    } else if edits == 0 && left == 0 {
        context.terminal.say(format!("nothing to change: {settled} references are as wanted"));
    }
    match (check, edits, left) {
        (_, _, left) if left > 0 => bail!("{left} references are left alone, as said above"),
        (true, edits, _) if edits > 0 => bail!("{edits} references would change"),
        _ => Ok(()),
    }
}

fn undo(context: &Context) -> Result<()> {
    match journal::undo(&context.repository)? {
        Some(names) => context.terminal.say(format!("restored {}", names.join(", "))),
        None => context.terminal.say("there is no switch to take back"),
    }
    Ok(())
}
