//! Kills: ends the command of each scenario at its docker calls and at its renames. The next run of the same command must reach
//! the same state as an undisturbed one.

use fastrand::Rng;

use super::endings::{Ending, end_at_rename, renames};
use super::trial::{Trial, wanted};
use super::{Case, run, seed};
use crate::support::registry::Registry;

/// Exit codes of a run that was killed (`None`) or interrupted.
const CODES: [Option<i32>; 2] = [None, Some(130)];

#[test]
#[ignore = "takes most of an hour: cargo xtask ci --campaign kills"]
fn campaign() {
    let registry = Registry::start("kills");
    let trials: Vec<Trial> = wanted().map(|scenario| Trial::new(scenario, &registry.address())).collect();
    run(
        "kills",
        trials.iter().flat_map(|trial| at_calls(trial).into_iter().chain(at_renames(trial))).collect(),
    );
}

/// Five endings for each kind of call, spread over its first five calls; polling makes many more.
fn at_calls(trial: &Trial) -> Vec<Case<'_>> {
    let mut rng = Rng::with_seed(seed());
    let mut cases = Vec::new();
    for (kind, count) in &trial.calls {
        let killed = if rng.bool() { Ending::KillBefore } else { Ending::KillAfter };
        let closed = if rng.bool() { Ending::HangUp } else { Ending::ClosedTerminal };
        let endings = [Ending::Terminate, killed, Ending::KillDuring, Ending::Interrupt, closed];
        for (index, ending) in endings.into_iter().enumerate() {
            let number = 1 + (index * (count.min(&5) - 1)).div_ceil(endings.len() - 1);
            let name = format!("{}: {ending:?} at `docker {kind}`, {number}", trial.scenario.name);
            let end = move || trial.docker.end_at(kind, number, ending, &mut trial.command());
            // 3: output could not be written to the closed terminal.
            let codes = if ending == Ending::ClosedTerminal { &[Some(130), Some(3)] } else { &CODES };
            cases.push(Case::new(name, move || trial.case(codes, end, || {})));
        }
    }
    cases
}

/// Six endings for each rename: SIGKILL while the file is still empty, before and after the rename; SIGTERM, SIGINT and SIGHUP.
fn at_renames(trial: &Trial) -> Vec<Case<'_>> {
    trial.prepare();
    let mut cases = Vec::new();
    for number in 1..=renames(&trial.command(), &trial.notes) {
        // Each write calls fchmod while the file is empty, and its second fsync after the rename.
        let (empty, after) = (("fchmod", number, "KILL"), ("fsync", 2 * number, "KILL"));
        let at = |signal| ("rename", number, signal);
        for (call, when, signal) in [empty, at("KILL"), after, at("TERM"), at("INT"), at("HUP")] {
            let name = format!("{}: {signal} at {call} {when}", trial.scenario.name);
            let end = move || end_at_rename(&trial.command(), call, when, signal);
            cases.push(Case::new(name, move || trial.case(&CODES, end, || {})));
        }
    }
    cases
}
