//! Kills: every command that changes something is ended at each of its calls to docker and at each of its renames. The next
//! run of the same command must leave what an undisturbed one leaves.

use std::cell::Cell;
use std::process::Command;
use std::sync::Arc;

use fastrand::Rng;

use super::endings::{DeadlyDocker, Ended, Ending, end_at_rename, pattern, renames};
use super::sites;
use super::world::World;
use super::{Case, run, seed, setting};
use crate::support::registry::Registry;
use crate::support::{Folder, Site};

#[test]
#[ignore = "takes most of an hour: cargo xtask ci --campaign kills"]
fn campaign() {
    let registry = Arc::new(Registry::start("kills"));
    // A filter of cases begins with the name of their scenario; setting up one takes seconds.
    let only = setting("ONLY");
    let is_wanted = |scenario: &&Scenario| {
        only.as_ref().is_none_or(|only| only.split('|').any(|word| word.starts_with(scenario.name)))
    };
    let wanted = SCENARIOS.iter().filter(is_wanted);
    let targets: Vec<Target> = wanted.map(|scenario| Target::new(scenario, &registry)).collect();
    run("kills", targets.iter().flat_map(Target::cases).collect());
}

/// A command, and the state that it starts from.
struct Scenario {
    name: &'static str,
    args: &'static [&'static str],
    /// Commands that make the state; images are of the first generation.
    before: &'static [&'static [&'static str]],
    /// Commands once the images are of the second generation.
    then: &'static [&'static [&'static str]],
}

const BUILD: &[&str] = &["build-images"];

const SCENARIOS: [Scenario; 6] = [
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
    Scenario {
        name: "check --accept",
        args: &["check", "--accept"],
        before: &[BUILD, &["check", "--accept"]],
        then: &[BUILD],
    },
    Scenario { name: "test", args: &["test"], before: &[BUILD], then: &[] },
];

/// A scenario on a site of its own.
struct Target {
    scenario: &'static Scenario,
    site: Site,
    docker: DeadlyDocker,
    registry: String,
    /// What an undisturbed run leaves.
    expected: World,
    /// One for each kind of call.
    patterns: Vec<String>,
    renames: usize,
    is_broken: Cell<bool>,
    log: Folder,
}

impl Target {
    fn new(scenario: &'static Scenario, registry: &Registry) -> Target {
        let name = scenario.name.replace([' ', '-'], "");
        let site = sites::site(&format!("k{name}"));
        let world = World::of(&site.folder, &site.prefix);
        let mut target = Target {
            scenario,
            docker: DeadlyDocker::new(),
            registry: registry.address(),
            expected: world,
            patterns: Vec::new(),
            renames: 0,
            is_broken: Cell::new(false),
            log: Folder::new(),
            site,
        };
        target.prepare();
        let (output, calls) = target.docker.calls(&mut target.command());
        assert!(output.status.success(), "{}: {}", scenario.name, target.site.told(&output));
        // Once more: the first run of a command may create what later ones find.
        target.prepare();
        let again = target.command().output().unwrap();
        assert!(again.status.success(), "{}: {}", scenario.name, target.site.told(&again));
        target.expected = target.world();
        let varying = [target.site.prefix.as_str(), sites::project(&target.site), &target.registry];
        target.patterns = calls.iter().map(|call| pattern(call, &varying)).collect();
        target.patterns.sort();
        target.patterns.dedup();
        target.prepare();
        target.renames = renames(&target.command(), &target.log);
        target
    }

    fn world(&self) -> World {
        World::of(&self.site.folder, &self.site.prefix)
    }

    fn command(&self) -> Command {
        self.xtask(self.scenario.args)
    }

    fn xtask(&self, args: &[&str]) -> Command {
        let args: Vec<&str> =
            args.iter().map(|arg| if *arg == "REGISTRY" { self.registry.as_str() } else { arg }).collect();
        self.site.command(&args)
    }

    /// Makes the state that the command starts from.
    fn prepare(&self) {
        if self.is_broken.take() {
            sites::clear(&self.site);
        }
        sites::generation(&self.site, "first");
        self.all(self.scenario.before);
        sites::generation(&self.site, "second");
        self.all(self.scenario.then);
    }

    fn all(&self, commands: &[&[&str]]) {
        for args in commands {
            let output = self.xtask(args).output().unwrap();
            assert!(output.status.success(), "{args:?}: {}", self.site.told(&output));
        }
    }

    /// Each kind of call and each rename with five endings.
    fn cases(&self) -> Vec<Case<'_>> {
        let mut rng = Rng::with_seed(seed());
        let mut cases = Vec::new();
        for pattern in &self.patterns {
            let killed = if rng.bool() { Ending::KillBefore } else { Ending::KillAfter };
            let closed = if rng.bool() { Ending::HangUp } else { Ending::ClosedTerminal };
            for ending in [killed, Ending::KillDuring, Ending::Terminate, Ending::Interrupt, closed] {
                let name = format!("{}: {ending:?} at `docker {pattern}`", self.scenario.name);
                cases.push(Case::new(name, move || {
                    self.case(|| self.docker.end_at(pattern, ending, &mut self.command()))
                }));
            }
        }
        for number in 1..=self.renames {
            // The second file synchronization of each write comes after its rename.
            let after = format!("fsync:{}", 2 * number);
            for (what, signal) in [
                ("rename", "KILL"),
                (&after, "KILL"),
                ("rename", "TERM"),
                ("rename", "INT"),
                ("rename", "HUP"),
            ] {
                let call = what.split(':').next().unwrap_or_default().to_owned();
                let when = if call == "fsync" { 2 * number } else { number };
                let name = format!("{}: {signal} at {call} {when}", self.scenario.name);
                cases.push(Case::new(name, move || {
                    self.case(|| end_at_rename(&self.command(), &call, when, signal))
                }));
            }
        }
        cases
    }

    fn case(&self, end: impl FnOnce() -> Ended) -> Result<(), String> {
        self.prepare();
        let result = self.ended_and_run_again(end);
        self.is_broken.set(result.is_err());
        result
    }

    fn ended_and_run_again(&self, end: impl FnOnce() -> Ended) -> Result<(), String> {
        let before = self.world();
        let ended = end();
        if ended.text.contains("panicked at") || ended.code == Some(101) {
            return Err(format!("it panicked: {}", ended.text));
        }
        if ended.code == Some(0) {
            return self.world().must_be(&self.expected).map_err(|text| format!("it exited 0:\n{text}"));
        }
        if !matches!(ended.code, None | Some(130)) {
            return Err(format!("exit code {:?}, not 130: {}", ended.code, ended.text));
        }
        self.files_are_whole(&before)?;
        let again = self.command().output().unwrap();
        if !again.status.success() {
            return Err(format!("the next run failed: {}", self.site.told(&again)));
        }
        let told = || format!("ended: {}\nnext: {}", ended.text, self.site.told(&again));
        self.world().must_be(&self.expected).map_err(|text| format!("{text}\n{}", told()))
    }

    /// A file that the user sees is as it was, or as it will be.
    fn files_are_whole(&self, before: &World) -> Result<(), String> {
        for (name, text) in self.world().files {
            let known = [before, &self.expected].map(|world| world.files.get(&name));
            if !known.contains(&Some(&text)) && !name.contains(".new") {
                return Err(format!("{name} is neither old nor new:\n{text}"));
            }
        }
        Ok(())
    }
}
