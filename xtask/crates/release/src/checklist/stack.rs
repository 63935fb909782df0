//! Items that a throwaway stack answers, or the record of one: probes, and parity with recorded answers of the originals.

use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::checklist::asked::Asked;
use crate::checklist::report::{Answer, Basis, Fault};
use engine::records::RecordKind;
use model::edition::Edition;
use model::variant::Variant;
use stack::probes::report::{Parity, Report, Stack, TestReport, Verdict};
use stack::throwaway::whole;
use stack::throwaway::whole::{Originals, Wanted};

/// The edition whose stack is raised.
const EDITION: Edition = Edition::COMPARED;

/// Until the stack must be healthy.
const DEADLINE: Duration = Duration::from_secs(300);

/// How many probes a fault names.
const NAMED: usize = 3;

/// What a stack that was raised in this run came to.
pub(super) struct Tried(TestReport);

pub(super) fn smoke(asked: &Asked<'_>) -> Result<Answer> {
    if let Some(faults) = not_built(asked)? {
        return Ok(Answer::now(faults, Vec::new()));
    }
    if let Some(stack) = asked.record::<Stack>(RecordKind::Test, EDITION)? {
        return Ok(answer(&stack.report, "cargo xtask test", Basis::Record));
    }
    let stack = tried(asked)?.0.stacks.first().context("no stack was raised")?;
    Ok(answer(&stack.report, "cargo xtask test", Basis::Now))
}

pub(super) fn parity(asked: &Asked<'_>) -> Result<Answer> {
    if let Some(faults) = not_built(asked)? {
        return Ok(Answer::now(faults, Vec::new()));
    }
    const AGAIN: &str = "cargo xtask test --parity says it against originals that run";
    // What was raised for an item before is told as that, though it left a record.
    if asked.tried.found().is_none()
        && let Some(parity) = asked.record::<Parity>(RecordKind::Parity, EDITION)?
    {
        return Ok(told(&parity, AGAIN, Basis::Record));
    }
    let parity = tried(asked)?.0.parity.as_ref().context("the stack was not compared with the originals")?;
    Ok(told(parity, AGAIN, Basis::Now))
}

fn told(parity: &Parity, remedy: &str, basis: Basis) -> Answer {
    let mut answer = answer(&parity.report, remedy, basis);
    let with = if parity.recorded { "recorded answers of the originals" } else { "originals that ran" };
    answer.evidence.push(format!("compared with {with}"));
    answer
}

fn not_built(asked: &Asked<'_>) -> Result<Option<Vec<Fault>>> {
    Ok(Some(asked.missing(&[EDITION])?).filter(|faults| !faults.is_empty()))
}

fn answer(report: &Report, remedy: &str, basis: Basis) -> Answer {
    // One cause, such as a record that is stale, may be told of many probes.
    let mut causes: Vec<(String, Vec<String>)> = Vec::new();
    for outcome in report.not_passed() {
        let why = match &outcome.verdict {
            Verdict::Failed { wrong, .. } => wrong.join("; "),
            Verdict::Skipped { reason } => format!("not asked: {reason}"),
            Verdict::Passed => String::new(),
        };
        match causes.iter_mut().find(|(other, _)| *other == why) {
            Some((_, names)) => names.push(outcome.name()),
            None => causes.push((why, vec![outcome.name()])),
        }
    }
    let fault = |(why, names): &(String, Vec<String>)| {
        let more = match names.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let named = names.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
        Fault::new(format!("{named}{more}: {why}"), remedy)
    };
    let mut faults: Vec<Fault> = causes.iter().map(fault).collect();
    if report.outcomes.is_empty() {
        faults
            .push(Fault::new("no probe was asked", "declare probes in images.toml: [[service.NAME.probe]]"));
    }
    let passed = report.outcomes.iter().filter(|outcome| outcome.passed()).count();
    let line = format!("{EDITION}: {passed} of {} probes passed", report.outcomes.len());
    Answer { faults, evidence: vec![line], basis }
}

/// Raises a stack, once for all items.
fn tried<'t>(asked: &'t Asked<'_>) -> Result<&'t Tried> {
    asked.tried.get(|| {
        let services: Vec<_> = asked.manifest.services.iter().collect();
        asked.context.terminal.say(format!(
            "Raising a throwaway stack of {} services ({EDITION}); it has up to {} s to become healthy …",
            services.len(),
            DEADLINE.as_secs()
        ));
        let wanted = Wanted {
            services,
            edition: EDITION,
            tag: asked.wanted.tag.clone(),
            variants: vec![Variant::Optimized],
            parity: asked.wanted.asks_for("parity").then_some(Originals::Recorded),
            stack_tests: false,
            deadline: DEADLINE,
        };
        whole::test(asked.manifest, &wanted, asked.context).map(Tried)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use stack::probes::report::Outcome;

    #[test]
    fn a_probe_that_did_not_pass_is_a_fault_and_so_is_none_at_all() {
        let outcome = |probe: &str, verdict| Outcome {
            group: "a".into(),
            probe: probe.into(),
            verdict,
            milliseconds: 1,
            tries: 1,
        };
        let report = |outcomes| Report { schema: 1, project: "p".into(), images: BTreeMap::new(), outcomes };
        let failed =
            Verdict::Failed { wrong: vec!["x".into(), "y".into()], request: "r".into(), answer: "z".into() };
        let skipped = Verdict::Skipped { reason: "no key".into() };
        let some = report(vec![outcome("1", Verdict::Passed), outcome("2", failed), outcome("3", skipped)]);
        let answered = answer(&some, "do", Basis::Record);
        let faults = [Fault::new("a · 2: x; y", "do"), Fault::new("a · 3: not asked: no key", "do")];
        assert_eq!((answered.faults.as_slice(), answered.basis), (faults.as_slice(), Basis::Record));
        assert_eq!(answered.evidence, ["simple: 1 of 3 probes passed"]);
        let stale =
            || Verdict::Failed { wrong: vec!["stale".into()], request: String::new(), answer: String::new() };
        let many = report(["1", "2", "3", "4", "5"].map(|probe| outcome(probe, stale())).into());
        let what = "a · 1, a · 2, a · 3 and 2 more: stale";
        assert_eq!(answer(&many, "do", Basis::Now).faults, [Fault::new(what, "do")]);
        assert_eq!(answer(&report(Vec::new()), "do", Basis::Now).faults.len(), 1);
    }
}
