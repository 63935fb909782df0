//! Runs `compose-switch` on a project and compares every file, image and message with the expected one.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use fastrand::Rng;

use super::composer::{Composer, FIXTURE};
use super::model::{Model, Slots};
use super::project::Project;
use super::references::{REGISTRIES, Request, is_ours};
use super::text::Report;
use crate::support::{Folder, program, repository};

/// How often Compose is asked for other errors of a project that it rejects.
const ASKED_AGAIN: usize = 30;

/// The result for a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Switched,
    /// Nothing had to change.
    Unchanged,
    /// Compose rejects it.
    Rejected,
}

/// A site that is reused for one project after another.
pub struct Bench {
    site: Folder,
    composer: Composer,
}

/// One run of the program.
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// The expected result of a run.
struct Expected {
    project: Project,
    /// By file path, relative to the repository.
    reports: Vec<(String, Report)>,
    /// See [`Slots::missed`].
    missed: BTreeSet<String>,
    changes: bool,
}

impl Bench {
    pub fn new() -> Bench {
        let site = Folder::new();
        let fixture = repository("fx");
        let manifest = fixture.read("xtask/images.toml");
        fixture.write("xtask/images.toml", &format!("registries = {REGISTRIES}\n{manifest}"));
        fs::rename(&fixture.0, site.0.join("repo")).unwrap();
        let composer = Composer::new(&site.0);
        Bench { site, composer }
    }

    fn root(&self) -> PathBuf {
        self.site.0.join("repo")
    }

    /// Replaces the previous project with this one.
    fn set_up(&self, project: &Project) {
        self.composer.forget();
        let remove =
            |path: &Path| if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        for entry in fs::read_dir(&self.site.0).unwrap().chain(fs::read_dir(self.root()).unwrap()) {
            let entry = entry.unwrap();
            let name = entry.file_name();
            let is_fixture = FIXTURE.iter().any(|fixture| name == *fixture) && name != "target";
            if !is_fixture && name != "repo" {
                remove(&entry.path()).unwrap();
            }
        }
        fs::create_dir_all(self.root().join("other")).unwrap();
        for (path, file) in &project.files {
            self.site.write(path, &file.render());
        }
    }

    fn run(&self, project: &Project, args: &[&str]) -> Ran {
        let mut command = program();
        command.args(args);
        if project.is_named && args != ["compose-switch", "--undo"] {
            for file in &project.first {
                command.arg("--file").arg(file.trim_start_matches("repo/"));
            }
        }
        command.arg("--root").arg(self.root()).current_dir(self.root()).env_clear();
        command.env("PATH", self.composer.path()).env("TMPDIR", std::env::temp_dir());
        let output = command.envs(project.environment.shell.iter().cloned()).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ran { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// Compose's models in the user's environment and, optionally, in one where all variables in image references differ. There,
    /// Compose finds the files itself unless they are given with `--file`.
    fn models(&self, project: &Project, with_other: bool) -> Vec<Result<Model, String>> {
        let files: Vec<PathBuf> = project.first.iter().map(|path| self.site.0.join(path)).collect();
        let named: &[PathBuf] = if project.is_named { &files } else { &[] };
        // With the same options as the switch, so that Compose runs once. Files elsewhere that COMPOSE_FILE names have another
        // `.env` if they are given with `--file`.
        let is_elsewhere = !project.is_named && project.first[0].starts_with("repo/deploy/");
        let own_files = if is_elsewhere { named } else { &files };
        let other = project.environment.other(project.markers);
        let mut answers = vec![self.composer.config(&self.root(), own_files, &project.environment.own())];
        if with_other {
            answers.push(self.composer.config(&self.root(), named, &other));
        }
        answers.iter().map(Model::of).collect()
    }

    /// Switches a project there and back.
    ///
    /// # Errors
    /// What is wrong.
    pub fn judge(&self, project: &Project, rng: &mut Rng) -> Result<Verdict, String> {
        self.set_up(project);
        if project.is_loose {
            return self.mistyped(project.clone());
        }
        let with_other = rng.u32(..3) == 0;
        let before = self.models(project, with_other);
        let request = &project.request;
        let own = match &before[0] {
            Ok(own) => own,
            Err(error) => return self.rejected(project, error),
        };
        let expected = Expected::new(project, own, request);
        if rng.bool() {
            self.check(project, &expected, request)?;
        }
        self.switch(project, &expected, request)?;
        let after = self.models(project, with_other);
        compare(project, &before, &after, request)?;
        let switched = &expected.project;
        let own = after[0].as_ref().map_err(Clone::clone)?;
        // A second run has nothing to do.
        let again = Expected::new(switched, own, request);
        if again.changes {
            return Err("the generator expects a second run to change something".to_owned());
        }
        if rng.bool() {
            self.check(switched, &again, request)?;
        } else {
            self.switch(switched, &again, request)?;
        }
        match rng.u32(..3) {
            0 if expected.changes => {
                let ran = self.run(switched, &["compose-switch", "--undo"]);
                self.holds(project, "after --undo").map_err(|what| ran.told(&what))?;
            }
            1 => {
                let back = Request::plain(!request.optimized);
                self.switch(switched, &Expected::new(switched, own, &back), &back)?;
            }
            _ => {}
        }
        Ok(if expected.changes { Verdict::Switched } else { Verdict::Unchanged })
    }

    /// Runs a switch and checks its files, exit code and messages.
    fn switch(&self, project: &Project, expected: &Expected, request: &Request) -> Result<(), String> {
        let args = [&request.args()[..], &["--allow-missing"]].concat();
        let ran = self.run(project, &args);
        self.holds(&expected.project, "after the switch").map_err(|what| ran.told(&what))?;
        expected.judge(&ran, expected.fails()).map_err(|what| ran.told(&what))
    }

    /// Runs `--check`, which must fail if something would change or is left.
    fn check(&self, project: &Project, expected: &Expected, request: &Request) -> Result<(), String> {
        let ran = self.run(project, &[&request.args()[..], &["--check"]].concat());
        self.holds(project, "after --check").map_err(|what| ran.told(&what))?;
        let fails = expected.fails() || expected.changes;
        expected.judge(&ran, fails).map_err(|what| ran.told(&format!("--check: {what}")))
    }

    /// Whether every file is as expected.
    fn holds(&self, project: &Project, when: &str) -> Result<(), String> {
        for (path, file) in &project.files {
            let (found, wanted) = (self.site.read(path), file.render());
            if found != wanted {
                return Err(format!("{when}, {path} is\n{found}\nand should be\n{wanted}"));
            }
        }
        Ok(())
    }

    /// Judges a project that Compose rejects.
    fn rejected(&self, project: &Project, error: &str) -> Result<Verdict, String> {
        let ran = self.run(project, &[&project.request.args()[..], &["--allow-missing"]].concat());
        let told = |what: String| Err(ran.told(&format!("Compose rejects the project: {error}\n{what}")));
        if let Err(what) = self.holds(project, "after a refusal") {
            return told(what);
        }
        // Our own parser may fail first.
        let is_known =
            ["invalid YAML", "nested too deeply", ".env"].iter().any(|sign| ran.stderr.contains(sign));
        let is_told = || ran.stderr.contains("Compose rejects these files; no file was changed");
        match ran.code {
            Some(1) if is_known || is_told() && self.is_one_of(project, error, &ran) => Ok(Verdict::Rejected),
            Some(2) if ran.stderr.contains("Compose cannot read it") => Ok(Verdict::Rejected),
            _ => told("the switch does not say so".to_owned()),
        }
    }

    /// Whether the program told this error, or another one that Compose gives: of several faults, it names any one.
    fn is_one_of(&self, project: &Project, error: &str, ran: &Ran) -> bool {
        let found = without_services(&ran.stderr);
        let is_told = |error: &str| {
            let message = without_services(error.trim().lines().last().unwrap_or_default());
            // The terminal escapes invisible characters.
            let mut parts = message.split(|c: char| !c.is_ascii_graphic() && c != ' ');
            parts.all(|part| found.contains(part))
        };
        let mut others = (0..ASKED_AGAIN).filter_map(|_| {
            self.composer.forget();
            self.models(project, false).swap_remove(0).err()
        });
        is_told(error) || others.any(|other| is_told(&other))
    }

    /// Judges a project with a typo. As in the switch, variables that it requires get a value.
    fn mistyped(&self, mut project: Project) -> Result<Verdict, String> {
        loop {
            let error = match &self.models(&project, false)[0] {
                Ok(model) => return self.loose(&project, model),
                Err(error) => error.clone(),
            };
            let missing = error.split_once("required variable ").and_then(|(_, rest)| rest.split_once(' '));
            let missing = missing.filter(|(_, rest)| rest.starts_with("is missing a value"));
            let is_new =
                missing.is_some_and(|(name, _)| project.environment.required.insert(name.to_owned()));
            if !is_new {
                return self.rejected(&project, &error);
            }
        }
    }

    /// Judges a project with a typo that Compose accepts.
    fn loose(&self, project: &Project, before: &Model) -> Result<Verdict, String> {
        let ran = self.run(project, &[&project.request.args()[..], &["--allow-missing"]].concat());
        let told = |what: &str| ran.told(what);
        let refusals = [
            "Compose rejects",
            "invalid YAML",
            "this is a bug",
            "more than images",
            "is not as requested",
            "panicked",
        ];
        if refusals.iter().any(|sign| ran.stderr.contains(sign)) {
            return Err(told("an unnecessary refusal"));
        }
        let models = self.models(project, false);
        let after =
            models[0].as_ref().map_err(|error| told(&format!("Compose rejects the result: {error}")))?;
        let expected = |old: &str, new: &str| {
            let plain = old.split('@').next().unwrap_or_default();
            let bare = plain.strip_suffix("-optimized").unwrap_or(plain);
            let switched = match project.request.optimized {
                true if plain.ends_with("-optimized") => old.to_owned(),
                true => format!("{bare}-optimized"),
                false if bare == plain => old.to_owned(),
                false => bare.to_owned(),
            };
            // A typo in a registry makes it someone else's.
            let is_left = ran.code != Some(0) || ran.stderr.contains(" is not one of the `registries` in ");
            let is_left = is_left && new == old;
            Ok(if is_ours(old) && !is_left { switched } else { old.to_owned() })
        };
        before.compare(after, expected).map_err(|what| told(&what))?;
        for (path, file) in &project.files {
            let bare = |text: &str| text.replace("-optimized", "");
            let found = self.site.read(path);
            if bare(&found) != bare(&file.render()) {
                return Err(told(&format!("{path} changed outside references:\n{found}")));
            }
        }
        Ok(Verdict::Switched)
    }
}

/// A message without the names in `services.NAME`.
fn without_services(text: &str) -> String {
    let mut parts = text.split("services.");
    let first = parts.next().unwrap_or_default();
    let rest = parts.map(|part| part.trim_start_matches(|c: char| c.is_ascii_alphanumeric()));
    [first].into_iter().chain(rest).collect()
}

/// Compares what Compose reads before and after a switch.
fn compare(
    project: &Project,
    before: &[Result<Model, String>],
    after: &[Result<Model, String>],
    request: &Request,
) -> Result<(), String> {
    let slots = Slots::new(project);
    for (before, after) in before.iter().zip(after) {
        // The other values may not suit what else the variables are used for.
        let Ok(before) = before else { continue };
        let after = after.as_ref().map_err(|error| format!("Compose rejects the switched files: {error}"))?;
        before.compare(after, |image, _| slots.expected(image, request))?;
    }
    Ok(())
}

impl Expected {
    fn new(project: &Project, own: &Model, request: &Request) -> Expected {
        let missed = Slots::new(project).missed(own, request);
        let mut switched = project.clone();
        let mut reports = Vec::new();
        for (path, file) in &mut switched.files {
            let name = path.trim_start_matches("repo/");
            reports.extend(file.switch(request).into_iter().map(|report| (name.to_owned(), report)));
        }
        let mut pairs = project.files.values().zip(switched.files.values());
        let changes = pairs.any(|(before, after)| before.render() != after.render());
        Expected { project: switched, reports, missed, changes }
    }

    /// Whether the switch must fail even though nothing has to change.
    fn fails(&self) -> bool {
        !self.missed.is_empty() || !self.reports.is_empty() || self.project.has_unread
    }

    fn judge(&self, ran: &Ran, fails: bool) -> Result<(), String> {
        if ran.code != Some(fails.into()) {
            return Err(format!("the exit code is {:?}", ran.code));
        }
        for (file, Report { line, text, reason }) in &self.reports {
            let start = format!("{file}:{line}: `{text}` left unchanged: ");
            let told = ran.stderr.lines().find(|line| line.contains(&start));
            if !told.is_some_and(|told| reason.split('|').any(|reason| told.contains(reason))) {
                return Err(format!("missing: {start}{reason}"));
            }
        }
        for service in &self.missed {
            if !ran.stderr.contains(&format!("note: service {service}: `")) {
                return Err(format!("service {service} is not reported"));
            }
        }
        let is_report = |line: &&str| {
            line.contains("` left unchanged: ")
                && !line.starts_with("note: service ")
                // Someone else's image.
                && !line.contains(" is not one of the `registries` in ")
        };
        match ran.stderr.lines().filter(is_report).count() {
            count if count == self.reports.len() => Ok(()),
            count => Err(format!("{count} references are reported, not {}", self.reports.len())),
        }
    }
}

impl Ran {
    fn told(&self, what: &str) -> String {
        format!("{what}\nexit: {:?}\n{}{}", self.code, self.stdout, self.stderr)
    }
}
