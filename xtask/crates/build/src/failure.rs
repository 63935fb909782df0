//! The account of a failed build: who, where, why, and what to do.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use crate::plan::BuildPlan;
use engine::events::{error_line, failed_instruction};
use engine::signs::Cause;
use host::failure::{Failure, FailureClass};
use host::files;
use host::paths::Repository;

/// One failure of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildFailure {
    /// The targets whose step failed; empty when bake itself did.
    pub targets: BTreeSet<String>,
    /// The step, such as `[build 2/5] RUN cargo build`.
    pub step: Option<String>,
    /// The Dockerfile and the line.
    pub place: Option<(String, Option<u32>)>,
    /// What went wrong, in docker's words.
    pub error: String,
    /// The last lines of the step.
    pub tail: Vec<String>,
    /// The class of cause.
    pub class: FailureClass,
    /// The full log.
    pub log: Option<PathBuf>,
}

/// The failing step, as the event stream told it.
#[derive(Debug, Clone, Default)]
pub struct FailedStep {
    /// Every target that it belongs to.
    pub targets: BTreeSet<String>,
    /// What it did.
    pub step: String,
    /// BuildKit's words.
    pub error: String,
    /// The last lines that it said.
    pub tail: Vec<String>,
}

/// The failure of a whole build. The machine is to blame only if it is for every part.
pub fn ended_by(failures: &[BuildFailure]) -> Failure {
    let texts: Vec<String> = failures.iter().map(ToString::to_string).collect();
    let of_project = failures.iter().find(|failure| !failure.class.is_environment());
    let class = of_project.or(failures.first()).map_or(FailureClass::Failed, |failure| failure.class);
    Failure::new(class, texts.join("\n\n"), "")
}

impl BuildFailure {
    /// From what the stream told and the text that bake ended with.
    pub fn new(
        step: Option<FailedStep>,
        text: &str,
        plan: &BuildPlan,
        repository: &Repository,
    ) -> BuildFailure {
        let said = error_line(text).unwrap_or_else(|| host::process::tail(text, 5));
        let targets = step.as_ref().map(|step| step.targets.clone()).unwrap_or_default();
        let tail = step.as_ref().map(|step| step.tail.clone()).unwrap_or_default();
        let error = step.as_ref().map(|step| step.error.clone()).filter(|e| !e.is_empty()).unwrap_or(said);
        let place = place(&targets, text, plan, repository);
        BuildFailure {
            class: Cause::of_step(&error, &tail.join("\n")).class(),
            log: targets.first().map(|target| repository.logs().join(format!("{target}.log"))),
            step: step.map(|step| step.step),
            targets,
            place,
            error,
            tail,
        }
    }
}

/// The Dockerfile and line of a failure. A step of a base shows under the names of the targets that stand on it, so the
/// file is the one whose line reads as the excerpt does.
fn place(
    targets: &BTreeSet<String>,
    text: &str,
    plan: &BuildPlan,
    repository: &Repository,
) -> Option<(String, Option<u32>)> {
    let own =
        || targets.first().and_then(|target| plan.dockerfiles.get(target)).map(|file| (file.clone(), None));
    let Some((line, instruction)) = failed_instruction(text) else {
        return own();
    };
    let beneath = |name: &String| targets.iter().any(|target| plan.stands_on(target, name));
    let reads = |file: &String| {
        let text = repository.file(file).and_then(|path| files::read(&path).ok())?;
        let found = text.lines().nth(usize::try_from(line).ok()?.checked_sub(1)?)?;
        (found.trim() == instruction).then(|| (file.clone(), Some(line)))
    };
    plan.dockerfiles.iter().filter(|(name, _)| beneath(name)).find_map(|(_, file)| reads(file)).or_else(own)
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
            f.write_str("\n  it said:")?;
            for line in &self.tail {
                write!(f, "\n    {line}")?;
            }
        }
        write!(f, "\n  cause:  {}", self.class.name())?;
        write!(f, "\n  remedy: {}", self.class.remedy())?;
        if let Some(log) = &self.log {
            write!(f, "\n  log:    {}", log.display())?;
        }
        Ok(())
    }
}
