//! One command on a site of its own: the state it starts from, what an undisturbed run leaves, and what must hold after a
//! disturbed one.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::process::Command;

use super::endings::{DeadlyDocker, Ended, pattern};
use super::world::World;
use super::{setting, sites};
use crate::support::{Folder, Site};

/// A command, and the state that it starts from.
pub struct Scenario {
    pub name: &'static str,
    pub args: &'static [&'static str],
    /// Commands that make the state; images are of the first generation.
    before: &'static [&'static [&'static str]],
    /// Commands once the sources are of the second generation.
    then: &'static [&'static [&'static str]],
}

const BUILD: &[&str] = &["build-images"];
const ACCEPT: &[&str] = &["check", "--accept", "--reason", "the campaign"];

/// Every command that changes something.
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
    Scenario { name: "push", args: &["push", "--registry", "REGISTRY"], before: &[BUILD], then: &[BUILD] },
    Scenario { name: "check --accept", args: ACCEPT, before: &[BUILD, ACCEPT], then: &[BUILD] },
    Scenario { name: "test", args: &["test"], before: &[BUILD], then: &[] },
];

/// The scenarios of which the filter names cases, which begin with their scenario's name; setting up one takes seconds.
pub fn wanted() -> impl Iterator<Item = &'static Scenario> {
    let only = setting("ONLY");
    SCENARIOS.iter().filter(move |scenario| {
        only.as_ref().is_none_or(|only| only.split('|').any(|word| word.starts_with(scenario.name)))
    })
}

/// A scenario on a site of its own.
pub struct Trial {
    pub scenario: &'static Scenario,
    pub site: Site,
    pub docker: DeadlyDocker,
    /// The kinds of calls that the command makes to docker, as patterns, and how many of each.
    pub calls: BTreeMap<String, usize>,
    registry: String,
    /// What an undisturbed run leaves.
    expected: World,
    is_broken: Cell<bool>,
    /// For what the trial itself writes.
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
        // Once more: the first run of a command may create what later ones find.
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

    /// The command.
    pub fn command(&self) -> Command {
        let args = self.scenario.args.iter();
        let args: Vec<&str> =
            args.map(|arg| if *arg == "REGISTRY" { self.registry.as_str() } else { arg }).collect();
        self.site.command(&args)
    }

    /// Makes the state that the command starts from.
    pub fn prepare(&self) {
        if self.is_broken.take() {
            sites::clear(&self.site);
        }
        sites::generation(&self.site, "first");
        sites::all(&self.site, self.scenario.before);
        sites::generation(&self.site, "second");
        sites::all(&self.site, self.scenario.then);
    }

    /// Prepares, runs the command disturbed, ends the disturbance, and runs it again. It must end with one of these codes
    /// (`None`: killed), or have done everything; it must leave every file whole; and the next run must complete it.
    pub fn case(
        &self,
        codes: &[Option<i32>],
        disturbed: impl FnOnce() -> Ended,
        calm: impl FnOnce(),
    ) -> Result<(), String> {
        self.prepare();
        let before = self.world();
        let ended = disturbed();
        calm();
        let result = self.holds(codes, &before, &ended);
        self.is_broken.set(result.is_err());
        result
    }

    fn holds(&self, codes: &[Option<i32>], before: &World, ended: &Ended) -> Result<(), String> {
        if ended.text.contains("panicked at") || ended.code == Some(101) {
            return Err(format!("it panicked: {}", ended.text));
        }
        if ended.code == Some(0) {
            let told = |text| format!("it exited 0:\n{text}\n{}", ended.text);
            return self.world().must_be(&self.expected).map_err(told);
        }
        if !codes.contains(&ended.code) {
            return Err(format!("exit code {:?}, not one of {codes:?}: {}", ended.code, ended.text));
        }
        if ended.code == Some(3) && !ended.text.is_empty() && !ended.text.contains("help:") {
            return Err(format!("no remedy: {}", ended.text));
        }
        self.files_are_whole(before)?;
        let again = self.command().output().unwrap();
        let told = || format!("ended: {}\nnext: {}", ended.text, self.site.told(&again));
        if !again.status.success() {
            return Err(format!("the next run failed\n{}", told()));
        }
        self.world().must_be(&self.expected).map_err(|text| format!("{text}\n{}", told()))
    }

    /// A file that the user sees is as it was, or as it will be.
    fn files_are_whole(&self, before: &World) -> Result<(), String> {
        for (name, text) in self.world().files {
            let known = [before, &self.expected].map(|world| world.files.get(&name));
            if !known.contains(&Some(&text)) && !name.ends_with(".new") {
                return Err(format!("{name} is neither old nor new:\n{text}"));
            }
        }
        Ok(())
    }
}
