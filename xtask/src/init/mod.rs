//! Subcommand: `cargo xtask init`.

mod prove;

use std::path::Path;

use anyhow::{Result, bail};

use crate::diff;
use adopt::existing::Declared;
use adopt::plan::adopt;
use adopt::verify::{Verified, verify};
use adopt::{Adoption, AdoptionProblem, Guess, HealthOrigin, existing, manifest, workflow};
use engine::context::Context;
use engine::docker::Docker;
use host::failure::{Failure, FailureClass};
use host::files;
use host::layout;
use host::process::find;
use host::program::PROGRAM;
use host::table::{Align, Table};

/// Find the images that this repository builds, and write images.toml
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// Print the changes as a unified diff without writing them
    #[arg(long)]
    dry_run: bool,
    /// Work without Docker, and list what could not be verified
    #[arg(long)]
    no_docker: bool,
    /// Also write .github/workflows/images.yml, which checks the images of every pull request with the action
    /// OWNER/REPOSITORY@REF [default: the release of this program]
    #[arg(long, value_name = "ACTION", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    github: Option<String>,
    /// Then build and check these services, or all of them, and ask whether to accept their sizes
    #[arg(long, value_name = "SERVICE", num_args = 0.., conflicts_with_all = ["dry_run", "no_docker"])]
    prove: Option<Vec<String>>,
    /// Accept the sizes without asking
    #[arg(long, requires = "prove")]
    yes: bool,
}

const HELP: &str = "Examples:
  # Find the images of this repository and write images.toml
  cargo xtask init
  # Show what it would write
  cargo xtask init --dry-run
  # Also build and check them
  cargo xtask init --prove
  # Also check the images of every pull request on GitHub
  cargo xtask init --github=OWNER/REPOSITORY@COMMIT

Builds come from the Compose files that Compose itself reads, from the bake
files at the root, from skaffold.yaml, and from Dockerfiles that none of these
names. Files that exist are never overwritten.";

/// Writes the manifest, or prints how it would change.
///
/// # Errors
/// Nothing to adopt, files that Docker rejects, an incomplete existing manifest, a file that cannot be written.
pub fn run(args: &Args, context: &Context) -> Result<()> {
    let root = context.repository.root();
    let docker = docker(args, context)?;
    let before = files::read_if_there(&context.repository.manifest())?;
    let declared = before.as_deref().map(|text| Declared::read(text, &context.repository)).transpose();
    let declared = declared.map_err(|error| not_toml(&error, context))?.unwrap_or_default();
    let adoption = adopt(root, &context.git(), docker, &declared)?;
    if adoption.services.is_empty() && adoption.problems.is_empty() && before.is_none() {
        let what = format!("no Compose file, bake file or Dockerfile in {}", root.display());
        let help = "run this in a repository that builds images, or use --root DIR";
        return Err(Failure::new(FailureClass::Usage, what, help).into());
    }
    let folder = context.repository.state_folder();
    // Without a manifest, it is outside the repository.
    let state = folder.strip_prefix(root).ok().and_then(Path::to_str).unwrap_or(layout::STATE);
    let verified = verify(root, state, &adoption.services, docker)?;
    report(&adoption, &verified, context);
    let mut planned = vec![manifest_change(context, &adoption, before)?];
    if let Some(action) = &args.github {
        planned.push(workflow_change(root, action)?);
    }
    apply(args, &planned, context)?;
    if let Some(services) = &args.prove {
        prove::prove(services, args.yes, context)?;
    }
    if !args.dry_run {
        context.terminal.say(next_commands(args, &adoption));
    }
    Ok(())
}

fn docker<'c>(args: &Args, context: &'c Context) -> Result<Option<&'c Docker>> {
    if args.no_docker {
        return Ok(None);
    }
    if find("docker").is_none() {
        let help = "install Docker with Buildx and Compose (no engine is needed), or use --no-docker";
        bail!(Failure::machine("no `docker` on PATH", help));
    }
    Ok(Some(&context.docker))
}

/// A file and its text before and after.
struct FileChange {
    /// Relative to the root.
    name: String,
    before: Option<String>,
    after: String,
}

impl FileChange {
    fn diff(&self) -> String {
        let before = self.before.as_deref().unwrap_or_default();
        let old = if self.before.is_some() { format!("a/{}", self.name) } else { "/dev/null".to_owned() };
        diff::unified(before, &self.after, [&old, &format!("b/{}", self.name)])
    }

    fn is_change(&self) -> bool {
        self.before.as_deref() != Some(&self.after)
    }
}

fn manifest_change(context: &Context, adoption: &Adoption, before: Option<String>) -> Result<FileChange> {
    let name = context.repository.manifest_name().to_owned();
    let after = match &before {
        None => manifest::text(adoption),
        Some(text) => existing::with_additions(text, adoption).map_err(|error| not_toml(&error, context))?,
    };
    Ok(FileChange { name, before, after })
}

fn not_toml(error: &str, context: &Context) -> Failure {
    let what = format!("{}: {error}", context.repository.manifest_name());
    Failure::new(FailureClass::Manifest, what, "fix the TOML")
}

fn workflow_change(root: &Path, action: &str) -> Result<FileChange> {
    let named = Some(action.to_owned()).filter(|action| !action.is_empty()).or_else(workflow::own_action);
    let Some(action) = named.filter(|action| workflow::is_action(action)) else {
        let what = match action {
            "" => "this program is not from a release, so its action is unknown".to_owned(),
            action => format!("invalid action: `{action}`"),
        };
        let help = "specify it: --github=OWNER/REPOSITORY@COMMIT";
        return Err(Failure::new(FailureClass::Usage, what, help).into());
    };
    let before = files::read_if_there(&root.join(workflow::PATH))?;
    let after = before.clone().unwrap_or_else(|| workflow::text(&action));
    Ok(FileChange { name: workflow::PATH.to_owned(), before, after })
}

/// Writes new files. Changes of existing files are only printed.
fn apply(args: &Args, planned: &[FileChange], context: &Context) -> Result<()> {
    let root = context.repository.root();
    let mut refused = Vec::new();
    for change in planned {
        match (&change.before, change.is_change()) {
            (_, false) if change.name == workflow::PATH => {
                context.terminal.say(format!("{}: exists, left unchanged", change.name))
            }
            (_, false) => context.terminal.say(format!("{}: up to date", change.name)),
            (_, true) if args.dry_run => context.terminal.print(change.diff()),
            (None, true) => {
                files::write_atomically(&root.join(&change.name), change.after.as_bytes())?;
                context.terminal.say(format!("wrote {}", change.name));
            }
            (Some(_), true) => {
                context.terminal.print(change.diff());
                refused.push(change.name.as_str());
            }
        }
    }
    if refused.is_empty() {
        return Ok(());
    }
    let what = format!(
        "{} already exists, but without the lines above; nothing was overwritten",
        refused.join(", ")
    );
    let help = format!("add them, or apply them with `{PROGRAM} init --dry-run | git apply`");
    Err(Failure::new(FailureClass::Failed, what, help).into())
}

/// What was found, guessed, verified and not adopted.
fn report(adoption: &Adoption, verified: &Verified, context: &Context) {
    let terminal = &context.terminal;
    let left = Align::Left;
    let mut table = Table::new(&[
        ("image", left),
        ("from", left),
        ("context", left),
        ("dockerfile", left),
        ("port", Align::Right),
        ("health check", left),
    ]);
    for service in &adoption.services {
        let build = &service.build;
        let stage = build.target.as_ref().map(|target| format!(" ({target})")).unwrap_or_default();
        let dockerfile = if build.inline.is_some() { "inline" } else { build.dockerfile.as_str() };
        table.row(vec![
            service.name.clone(),
            service.origin.name().to_owned(),
            build.context.clone(),
            format!("{dockerfile}{stage}"),
            service.ports.first().map_or_else(|| "–".to_owned(), u16::to_string),
            match service.health {
                Some(HealthOrigin::Compose) => "Compose",
                Some(HealthOrigin::Image) => "image",
                None => "–",
            }
            .to_owned(),
        ]);
    }
    if !adoption.services.is_empty() {
        terminal.say(table.text().trim_end());
    }
    for (one, about) in grouped(&adoption.guesses, |guess: &Guess| (&guess.choice, &guess.reason)) {
        let about: Vec<&str> = about.iter().map(|guess| guess.about.as_str()).collect();
        terminal.say(format!("{}: {}, because {}", listed(&about), one.0, one.1));
    }
    let problems = adoption.problems.iter().chain(&verified.problems);
    for (remedy, problems) in grouped(problems, |problem: &AdoptionProblem| &problem.remedy) {
        let lines: Vec<String> =
            problems.iter().map(|problem| format!("{}: {}", problem.about, problem.what)).collect();
        let (last, others) = lines.split_last().map_or((String::new(), &[][..]), |(a, b)| (a.clone(), b));
        others.iter().for_each(|line| terminal.warn(line));
        terminal.warn(format!("{last}\nhelp: {remedy}"));
    }
    for line in verified_lines(adoption, verified) {
        terminal.say(line);
    }
}

/// The names, or the first of many.
fn listed(names: &[&str]) -> String {
    const SHOWN: usize = 8;
    match names.get(..SHOWN) {
        Some(shown) if names.len() > SHOWN + 1 => {
            format!("{} and {} others", shown.join(", "), names.len() - SHOWN)
        }
        _ => names.join(", "),
    }
}

/// The items with the same key together, in the order of the first of each.
fn grouped<'t, T, K: PartialEq>(
    items: impl IntoIterator<Item = &'t T>,
    key: impl Fn(&'t T) -> K,
) -> Vec<(K, Vec<&'t T>)> {
    let mut groups: Vec<(K, Vec<&'t T>)> = Vec::new();
    for item in items {
        let key = key(item);
        match groups.iter_mut().find(|(other, _)| *other == key) {
            Some((_, group)) => group.push(item),
            None => groups.push((key, vec![item])),
        }
    }
    groups
}

fn verified_lines(adoption: &Adoption, verified: &Verified) -> Vec<String> {
    let mut lines = Vec::new();
    let all = adoption.services.len();
    if let Some(equal) = verified.equal.filter(|_| all > 0) {
        lines.push(format!("verified: Buildx resolves {equal} of {all} builds as planned"));
    }
    let sources = verified.sources + verified.missing;
    if sources > 0 {
        lines.push(format!("verified: {} of {sources} COPY sources exist", verified.sources));
    }
    if verified.open > 0 {
        lines.push(format!("not verified: {} COPY sources with variables", verified.open));
    }
    lines.extend(adoption.unverified.iter().map(|text| format!("not verified: {text}")));
    lines
}

fn next_commands(args: &Args, adoption: &Adoption) -> String {
    let first = adoption.services.first().map_or("SERVICE", |service| service.name.as_str());
    let commands = match args.prove {
        None => [
            format!("{PROGRAM} build-images"),
            format!("{PROGRAM} check --accept --reason \"first sizes\""),
            format!("{PROGRAM} analyze {first}"),
        ],
        Some(_) => [
            format!("{PROGRAM} analyze {first}"),
            format!("{PROGRAM} compare"),
            "git add images.toml sizes.lock.toml".to_owned(),
        ],
    };
    format!("Next:\n  {}", commands.join("\n  "))
}
