//! A failed build: which targets, where, why, and what fixes it.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use crate::plan::BuildPlan;
use engine::bake_report::{error_line, failed_instruction};
use engine::signs::Cause;
use host::failure::{Failure, FailureClass};
use host::files;
use host::paths::Repository;

/// One failure of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildFailure {
    /// The targets whose step failed; empty when bake itself did.
    pub targets: BTreeSet<String>,
    /// The failed step, such as `[build 2/5] RUN cargo build`.
    pub step: Option<String>,
    /// The Dockerfile and the line, if known.
    pub place: Option<(String, Option<u32>)>,
    /// Docker's error message.
    pub error: String,
    /// The last lines of the step's output.
    pub tail: Vec<String>,
    /// The class of the failure.
    pub class: FailureClass,
    /// The fix, if a more specific one than the class's is known.
    pub remedy: Option<String>,
    /// The file with the first target's full log.
    pub log: Option<PathBuf>,
}

/// The failed step as the event stream reports it.
#[derive(Debug, Clone, Default)]
pub(crate) struct FailedStep {
    pub targets: BTreeSet<String>,
    pub step: String,
    pub error: String,
    pub tail: Vec<String>,
}

/// Several failures as one. Its class is an environment class only if every failure is one.
pub fn combined(failures: &[BuildFailure]) -> Failure {
    let texts: Vec<String> = failures.iter().map(ToString::to_string).collect();
    let of_project = failures.iter().find(|failure| !failure.class.is_environment());
    let class = of_project.or(failures.first()).map_or(FailureClass::Failed, |failure| failure.class);
    Failure::new(class, texts.join("\n\n"), "")
}

impl BuildFailure {
    /// `text`: bake's plain-text output after the progress stream; `baked`: the baked targets and their dependencies.
    pub(crate) fn new(
        step: Option<FailedStep>,
        text: &str,
        baked: &BTreeSet<String>,
        plan: &BuildPlan,
        repository: &Repository,
    ) -> BuildFailure {
        let FailedStep { mut targets, step, mut error, tail } = step.unwrap_or_default();
        let failed = failed_instruction(text);
        if let (Some(failed), true) = (&failed, targets.is_empty()) {
            // No steps are reported for a Dockerfile that cannot be parsed.
            targets = plan.targets_with(failed, baked, repository).map(|(name, _)| name.clone()).collect();
        }
        if error.is_empty() {
            error = error_line(text).unwrap_or_else(|| host::process::tail(text, 5));
        }
        let place = place(&targets, failed.as_ref(), plan, repository);
        BuildFailure {
            class: Cause::of_step(&error, &tail.join("\n")).class(),
            remedy: None,
            log: targets.first().map(|target| repository.logs().join(format!("{target}.log"))),
            step: (!step.is_empty()).then_some(step),
            targets,
            place,
            error,
            tail,
        }
    }
}

/// The Dockerfile and line of a failure. BuildKit reports a base's step under the targets that depend on the base, so the
/// right file is the one whose line equals the excerpt.
fn place(
    targets: &BTreeSet<String>,
    failed: Option<&(u32, String)>,
    plan: &BuildPlan,
    repository: &Repository,
) -> Option<(String, Option<u32>)> {
    let own =
        targets.first().and_then(|target| plan.dockerfiles.get(target)).map(|file| (file.clone(), None));
    let names: Vec<String> = targets.iter().cloned().collect();
    let all = plan.with_dependencies(&names);
    let found = failed.and_then(|failed| {
        let (_, file) = plan.targets_with(failed, &all, repository).next()?;
        Some((file.clone(), Some(failed.0)))
    });
    found.or(own)
}

impl BuildPlan {
    /// The targets in `of` whose Dockerfile has this instruction at this line, each with its Dockerfile.
    fn targets_with<'p>(
        &'p self,
        (line, instruction): &'p (u32, String),
        of: &'p BTreeSet<String>,
        repository: &'p Repository,
    ) -> impl Iterator<Item = (&'p String, &'p String)> {
        let has_it = move |file: &str| {
            let text = repository.file(file).and_then(|path| files::read(&path).ok()).unwrap_or_default();
            let index = usize::try_from(*line).unwrap_or_default().checked_sub(1);
            index.and_then(|index| text.lines().nth(index)).is_some_and(|found| found.trim() == instruction)
        };
        let files = of.iter().filter_map(|name| self.dockerfiles.get_key_value(name));
        files.filter(move |(_, file)| has_it(file))
    }
}

impl fmt::Display for BuildFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.targets.iter().map(String::as_str).collect();
        let who = if names.is_empty() { "the build".to_owned() } else { names.join(", ") };
        write!(f, "{who} failed")?;
        match &self.place {
            Some((file, Some(line))) => write!(f, " at {file}:{line}")?,
            Some((file, None)) => write!(f, " in {file}")?,
            None => {}
        }
        if let Some(step) = &self.step {
            write!(f, "\n  step:   {step}")?;
        }
        write!(f, "\n  error:  {}", self.error)?;
        if !self.tail.is_empty() {
            f.write_str("\n  output:")?;
            for line in &self.tail {
                write!(f, "\n    {line}")?;
            }
        }
        write!(f, "\n  cause:  {}", self.class.name())?;
        write!(f, "\n  help:   {}", self.remedy.clone().unwrap_or_else(|| self.class.remedy()))?;
        if let Some(log) = &self.log {
            write!(f, "\n  log:    {}", log.display())?;
        }
        Ok(())
    }
}
