//! Daemon: kills the engine at each kind of call that a command makes, and restarts it after the command or at once. The command
//! must report it or still reach the expected state, and the next run must reach that state.

use std::cell::RefCell;
use std::fmt;
use std::path::Path;

use fastrand::Rng;

use super::endings::{Ended, Ending};
use super::own_engine::{self, OwnEngine};
use super::trial::{Trial, wanted};
use super::{Case, run, seed, sites};
use crate::support::docker;
use crate::support::registry::Registry;

/// Seconds from the start of a call to the kill during it: from the client's start to a long build, push or start of a stack.
const PAUSES: [&str; 5] = ["0.02", "0.05", "0.1", "0.3", "1"];

#[test]
#[ignore = "takes many minutes: cargo xtask ci --campaign daemon"]
fn campaign() {
    if own_engine::outside("daemon", 1500, save_registry).is_some() {
        return;
    }
    let engine = RefCell::new(OwnEngine::start());
    let registry = engine.borrow().registry();
    let trials: Vec<Trial> = wanted()
        .filter(|scenario| ["build-images", "deploy update", "push"].contains(&scenario.name))
        .map(|scenario| Trial::on(scenario, &registry, sites::restarting("e", scenario.name)))
        .collect();
    let mut cases = Vec::new();
    for trial in &trials {
        // Each scenario has the same cases with and without the others.
        let mut rng = Rng::with_seed(seed());
        trial.docker.kills(&engine.borrow().pid_file());
        for (kind, count) in &trial.calls {
            // Few endings per kind of call: a killed daemon takes seconds to restart.
            let at_work = if rng.bool() { Ending::DaemonDuring } else { Ending::DaemonAfter };
            for (ending, is_supervised) in
                [(Ending::DaemonBefore, false), (at_work, false), (Ending::DaemonDuring, true)]
            {
                let number = if ending == Ending::DaemonBefore { 1 } else { rng.usize(1..=(*count).min(5)) };
                let pause = PAUSES[rng.usize(..PAUSES.len())];
                let case = KilledDaemon { kind, number, ending, pause, is_supervised };
                let engine = &engine;
                let name = format!("{}: {case}", trial.scenario.name);
                let end = move || case.run(trial, engine);
                let calm = move || engine.borrow_mut().calm(trial.docker.has_ended_something());
                cases.push(Case::new(name, move || trial.case(&[Some(3)], end, calm)));
            }
        }
    }
    run("daemon", cases);
}

/// A kill of the daemon at a docker call.
#[derive(Debug, Clone, Copy)]
struct KilledDaemon<'a> {
    /// A shell pattern that matches the call.
    kind: &'a str,
    /// Which call of this kind, from 1.
    number: usize,
    ending: Ending,
    /// See [`PAUSES`].
    pause: &'static str,
    /// Whether the daemon is restarted at once, as systemd does, rather than after the command.
    is_supervised: bool,
}

impl KilledDaemon<'_> {
    fn run(self, trial: &Trial, engine: &RefCell<OwnEngine>) -> Ended {
        let (docker, mut command) = (&trial.docker, trial.command());
        docker.forget();
        docker.pauses(self.pause);
        let mut end = move || docker.end_at(self.kind, self.number, self.ending, &mut command);
        if self.is_supervised {
            engine.borrow_mut().supervised(|| docker.has_ended_something(), end)
        } else {
            end()
        }
    }
}

impl fmt::Display for KilledDaemon<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let KilledDaemon { kind, number, ending, pause, is_supervised } = self;
        write!(f, "{ending:?} at `docker {kind}`, {number}")?;
        if *ending == Ending::DaemonDuring {
            write!(f, ", after {pause} s")?;
        }
        f.write_str(if *is_supervised { ", restarted at once" } else { "" })
    }
}

/// Saves the registry image for an engine without network access; building it needs the network.
pub fn save_registry(path: &Path) {
    let registry = Registry::start("own-engine");
    let image = docker(&["inspect", "--format", "{{.Config.Image}}", &registry.id]);
    docker(&["save", "--output", path.to_str().unwrap(), &image]);
}
