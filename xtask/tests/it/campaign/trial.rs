//! One command on a separate site: its start state, the result of an undisturbed run, and the checks after a disturbed one.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::process::Command;

use super::endings::{DeadlyDocker, Ended, pattern};
use super::world::World;
use super::{setting, sites};
use crate::support::{Folder, Site};

/// A command and its start state.
pub struct Scenario {
    pub name: &'static str,
    pub args: &'static [&'static str],
    /// Commands that create the start state, with sources of the first generation.
    before: &'static [&'static [&'static str]],
    /// Commands to run after that, with sources of the second generation.
    then: &'static [&'static [&'static str]],
}

const BUILD: &[&str] = &["build-images"];
const PUSH: &[&str] = &["push", "--registry", "REGISTRY"];
const ACCEPT: &[&str] = &["check", "--accept", "--reason", "the campaign"];

/// Commands that change something.
pub const SCENARIOS: [Scenario; 6] = [
    Scenario { name: "build-images", args: BUILD, before: &[BUILD], then: &[] },
    Scenario {
        name: "compose-switch",
        args: &["compose-switch", "original", "--allow-missing"],
        before: &[BUILD, &["compose-switch", "optimized"]],
        then: &[],
    },
    Scenario {
        name: "deploy update",
        args: &["deploy", "update"],
        before: &[BUILD, &["deploy", "install"]],
        then: &[BUILD],
    },
    Scenario { name: "push", args: PUSH, before: &[BUILD, PUSH], then: &[BUILD] },
    Scenario { name: "check --accept", args: ACCEPT, before: &[BUILD, ACCEPT], then: &[BUILD] },
    Scenario { name: "test", args: &["test"], before: &[BUILD], then: &[] },
];

/// Scenarios whose cases `XTASK_CAMPAIGN_ONLY` may select; setting up a scenario takes seconds.
pub fn wanted() -> impl Iterator<Item = &'static Scenario> {
    let only = setting("ONLY");
    SCENARIOS.iter().filter(move |scenario| {
        only.as_ref().is_none_or(|only| only.split('|').any(|word| word.starts_with(scenario.name)))
    })
}

/// A scenario on a separate site.
pub struct Trial {
    pub scenario: &'static Scenario,
    pub site: Site,
    pub docker: DeadlyDocker,
    /// Number of docker calls by kind (a shell pattern).
    pub calls: BTreeMap<String, usize>,
    registry: String,
    /// State after an undisturbed run.
    expected: World,
    is_broken: Cell<bool>,
    /// The trial's own files.
    pub notes: Folder,
}

impl Trial {
    pub fn new(scenario: &'static Scenario, registry: &str) -> Trial {
        let name = scenario.name.replace([' ', '-'], "");
        Trial::on(scenario, registry, sites::site(&format!("c{name}")))
    }

    pub fn on(scenario: &'static Scenario, registry: &str, site: Site) -> Trial {
        let mut trial = Trial {
            scenario,
            docker: DeadlyDocker::new(),
            calls: BTreeMap::new(),
            registry: registry.to_owned(),
            expected: World::of(&site.folder, &site.prefix),
            is_broken: Cell::new(false),
            notes: Folder::new(),
            site,
        };
        trial.prepare();
        let (output, calls) = trial.docker.calls(&mut trial.command());
        assert!(output.status.success(), "{}: {}", scenario.name, trial.site.told(&output));
        // Run it twice: the first run may create things that later runs reuse.
        trial.prepare();
        let again = trial.command().output().unwrap();
        assert!(again.status.success(), "{}: {}", scenario.name, trial.site.told(&again));
        trial.expected = trial.world();
        let varying = [trial.site.prefix.as_str(), sites::project(&trial.site), &trial.registry];
        for call in &calls {
            *trial.calls.entry(pattern(call, &varying)).or_default() += 1;
        }
        trial
    }

    fn world(&self) -> World {
        World::of(&self.site.folder, &self.site.prefix)
    }

    pub fn command(&self) -> Command {
        self.site.command(&self.with_registry(self.scenario.args))
    }

    fn with_registry<'a>(&'a self, args: &[&'a str]) -> Vec<&'a str> {
        args.iter().map(|arg| if *arg == "REGISTRY" { self.registry.as_str() } else { arg }).collect()
    }

    fn all(&self, commands: &[&[&str]]) {
        commands.iter().for_each(|args| sites::all(&self.site, &[&self.with_registry(args)]));
    }

    /// Creates the start state.
    pub fn prepare(&self) {
        if self.is_broken.take() {
            sites::clear(&self.site);
        }
        sites::generation(&self.site, "first");
        self.all(self.scenario.before);
        sites::generation(&self.site, "second");
        self.all(self.scenario.then);
    }

    /// Prepares, runs the command with a disturbance, ends that with `calm`, and runs the command again. The disturbed run must
    /// exit with one of `codes` (`None`: killed) or with 0 and the expected state, and leave no incomplete file; the next run
    /// must reach the expected state.
    pub fn case(
        &self,
        codes: &[Option<i32>],
        disturbed: impl FnOnce() -> Ended,
        calm: impl FnOnce(),
    ) -> Result<(), String> {
        self.disturb(disturbed, calm, |before, ended| self.holds(codes, before, ended))
    }

    /// Like [`Trial::case`], but the disturbed run must also clean up after itself.
    pub fn tidy_case(
        &self,
        codes: &[Option<i32>],
        disturbed: impl FnOnce() -> Ended,
        calm: impl FnOnce(),
    ) -> Result<(), String> {
        self.disturb(disturbed, calm, |before, ended| {
            self.is_tidy(before, ended).and_then(|()| self.holds(codes, before, ended))
        })
    }

    fn disturb(
        &self,
        disturbed: impl FnOnce() -> Ended,
        calm: impl FnOnce(),
        holds: impl FnOnce(&World, &Ended) -> Result<(), String>,
    ) -> Result<(), String> {
        self.prepare();
        let before = self.world();
        let ended = disturbed();
        calm();
        let result = holds(&before, &ended);
        self.is_broken.set(result.is_err());
        result
    }

    /// Nothing is left that is neither in the start state nor in the expected one.
    fn is_tidy(&self, before: &World, ended: &Ended) -> Result<(), String> {
        let left = self.world().left_behind(&[before, &self.expected]);
        if left.is_empty() { Ok(()) } else { Err(format!("{}\n{}", left.join("\n"), ended.text)) }
    }

    fn holds(&self, codes: &[Option<i32>], before: &World, ended: &Ended) -> Result<(), String> {
        if ended.text.contains("panicked at") || ended.code == Some(101) {
            return Err(format!("it panicked: {}", ended.text));
        }
        if ended.code == Some(0) {
            let told = |text| format!("exit code 0, but not the expected state:\n{text}\n{}", ended.text);
            return self.world().must_be(&self.expected).map_err(told);
        }
        if !codes.contains(&ended.code) {
            return Err(format!("exit code {:?}, not one of {codes:?}: {}", ended.code, ended.text));
        }
        if ended.code == Some(3) && !ended.text.is_empty() && !ended.text.contains("help:") {
            return Err(format!("no help: {}", ended.text));
        }
        self.files_are_whole(before)?;
        let again = self.command().output().unwrap();
        let told = || format!("ended: {}\nnext: {}", ended.text, self.site.told(&again));
        if !again.status.success() {
            return Err(format!("the next run failed\n{}", told()));
        }
        self.world().must_be(&self.expected).map_err(|text| format!("{text}\n{}", told()))
    }

    /// Every user-visible file has its old or its new content.
    fn files_are_whole(&self, before: &World) -> Result<(), String> {
        for (name, text) in self.world().files {
            let known = [before, &self.expected].map(|world| world.files.get(&name));
            if !known.contains(&Some(&text)) && !name.ends_with(".new") {
                return Err(format!("{name} has neither its old nor its new content:\n{text}"));
            }
        }
        Ok(())
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        sites::clear(&self.site);
    }
}
