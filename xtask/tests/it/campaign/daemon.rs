//! Daemon: kills and restarts the engine at each kind of call that a command makes. The command must report it, and the next run
//! must reach the same state as an undisturbed one.

use std::cell::RefCell;
use std::path::Path;

use fastrand::Rng;

use super::endings::Ending;
use super::own_engine::{self, OwnEngine};
use super::trial::{Trial, wanted};
use super::{Case, run, seed};
use crate::support::docker;
use crate::support::registry::Registry;

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
        .map(|scenario| Trial::new(scenario, &registry))
        .collect();
    let (mut cases, mut rng) = (Vec::new(), Rng::with_seed(seed()));
    for trial in &trials {
        trial.docker.kills(&engine.borrow().pid_file());
        for (kind, count) in &trial.calls {
            // Only two endings per kind of call: a killed daemon takes many seconds to restart.
            let at_work = if rng.bool() { Ending::DaemonDuring } else { Ending::DaemonAfter };
            for ending in [Ending::DaemonBefore, at_work] {
                let (engine, number) = (&engine, rng.usize(1..=(*count).min(5)));
                let name = format!("{}: {ending:?} at `docker {kind}`, {number}", trial.scenario.name);
                let end = move || trial.docker.end_at(kind, number, ending, &mut trial.command());
                let calm = move || engine.borrow_mut().restart();
                cases.push(Case::new(name, move || trial.case(&[Some(3)], end, calm)));
            }
        }
    }
    run("daemon", cases);
}

/// Saves the registry image for an engine without network access; building it needs the network.
pub fn save_registry(path: &Path) {
    let registry = Registry::start("own-engine");
    let image = docker(&["inspect", "--format", "{{.Config.Image}}", &registry.id]);
    docker(&["save", "--output", path.to_str().unwrap(), &image]);
}
