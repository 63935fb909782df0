//! Items that a throwaway stack answers, or its record: probes, and parity with recorded answers of the originals.

use host::program::PROGRAM;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::checklist::context::{CheckContext, once};
use crate::checklist::listing::{first_of, grouped};
use crate::checklist::report::{ItemAnswer, ItemBasis, ItemFault};
use engine::records::RecordKind;
use model::edition::Edition;
use model::variant::Variant;
use stack::probes::report::{ParityReport, ProbeReport, ProbeVerdict, StackReport, TestReport};
use stack::throwaway::test_run::{self, Originals, TestRequest};

/// How long the stack may take to become healthy.
const DEADLINE: Duration = Duration::from_secs(300);

/// How many probes a fault names.
const NAMED: usize = 3;

pub(super) fn smoke(checks: &CheckContext<'_>) -> Result<ItemAnswer> {
    let edition = checks.manifest.default_edition();
    let missing = checks.missing_images(&[checks.manifest.default_edition()])?;
    if !missing.is_empty() {
        return Ok(ItemAnswer::now(missing, Vec::new()));
    }
    if let Some(stack) = checks.record::<StackReport>(RecordKind::Test, edition)? {
        return Ok(answer(&stack.report, edition, &format!("{PROGRAM} test"), ItemBasis::Record));
    }
    let stack = tested(checks)?.stacks.first().context("no stack was started")?;
    Ok(answer(&stack.report, edition, &format!("{PROGRAM} test"), ItemBasis::Now))
}

pub(super) fn parity(checks: &CheckContext<'_>) -> Result<ItemAnswer> {
    let edition = checks.manifest.default_edition();
    if !checks.manifest.has_twins() {
        let evidence = "no service has an optimized image beside an original".to_owned();
        return Ok(ItemAnswer::now(Vec::new(), vec![evidence]));
    }
    let missing = checks.missing_images(&[checks.manifest.default_edition()])?;
    if !missing.is_empty() {
        return Ok(ItemAnswer::now(missing, Vec::new()));
    }
    // A stack that the smoke item started has left a record, but its answer belongs to this run.
    if !matches!(checks.stack.get(), Some(Ok(_)))
        && let Some(parity) = checks.record::<ParityReport>(RecordKind::Parity, edition)?
    {
        return Ok(parity_answer(&parity, edition, ItemBasis::Record));
    }
    let parity = tested(checks)?.parity.as_ref().context("the stack was not compared with the originals")?;
    Ok(parity_answer(parity, edition, ItemBasis::Now))
}

fn parity_answer(parity: &ParityReport, edition: Edition, basis: ItemBasis) -> ItemAnswer {
    let remedy = &format!("compare with running originals: {PROGRAM} test --parity");
    let mut answer = answer(&parity.report, edition, remedy, basis);
    let originals = if parity.recorded { "recorded answers of the originals" } else { "running originals" };
    answer.evidence.push(format!("compared with {originals}"));
    answer
}

fn answer(report: &ProbeReport, edition: Edition, remedy: &str, basis: ItemBasis) -> ItemAnswer {
    let why = |verdict: &ProbeVerdict| match verdict {
        ProbeVerdict::Failed { wrong, .. } => wrong.join("; "),
        ProbeVerdict::Skipped { reason } => format!("skipped: {reason}"),
        ProbeVerdict::Passed => String::new(),
    };
    // One cause, such as a stale record, may affect many probes.
    let causes = grouped(report.not_passed().map(|outcome| (why(&outcome.verdict), outcome.name())));
    let fault = |(why, names): &(String, Vec<String>)| {
        ItemFault::new(format!("{}: {why}", first_of(names, NAMED)), remedy)
    };
    let mut faults: Vec<ItemFault> = causes.iter().map(fault).collect();
    if report.outcomes.is_empty() {
        faults.push(ItemFault::new("no probes ran", "declare [[service.NAME.probe]] in images.toml"));
    }
    let passed = report.outcomes.iter().filter(|outcome| outcome.passed()).count();
    let evidence =
        vec![format!("{}{passed} of {} probes passed", label(edition, ": "), report.outcomes.len())];
    ItemAnswer { faults, evidence, basis }
}

/// An edition's name and what follows it; nothing without editions.
fn label(edition: Edition, end: &str) -> String {
    if edition.is_none() { String::new() } else { format!("{edition}{end}") }
}

/// Tests a stack, once for all items.
fn tested<'t>(checks: &'t CheckContext<'_>) -> Result<&'t TestReport> {
    once(&checks.stack, || {
        let edition = checks.manifest.default_edition();
        let services: Vec<_> = checks.manifest.services_in(edition).collect();
        let of_edition = if edition.is_none() { String::new() } else { format!(" ({edition})") };
        checks.context.terminal.say(format!(
            "Starting a throwaway stack of {} services{of_edition}; health timeout {} s …",
            services.len(),
            DEADLINE.as_secs()
        ));
        let request = TestRequest {
            services,
            edition,
            tag: checks.request.tag.clone(),
            variants: vec![if checks.manifest.has_twins() { Variant::Optimized } else { Variant::Original }],
            parity: (checks.with_parity && checks.manifest.has_twins()).then_some(Originals::Recorded),
            stack_tests: false,
            deadline: DEADLINE,
        };
        test_run::run(checks.manifest, &request, checks.context)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use stack::probes::report::ProbeOutcome;

    #[test]
    fn probes_that_did_not_pass_are_faults_and_so_is_the_lack_of_probes() {
        let outcome = |probe: &str, verdict| ProbeOutcome {
            group: "a".into(),
            probe: probe.into(),
            verdict,
            milliseconds: 1,
            tries: 1,
        };
        let report = |outcomes| ProbeReport {
            schema: 1,
            project: "p".into(),
            images: BTreeMap::new(),
            outcomes,
            unprobed: Vec::new(),
            routes: Vec::new(),
        };
        let failed = ProbeVerdict::Failed {
            wrong: vec!["x".into(), "y".into()],
            request: "r".into(),
            answer: "z".into(),
        };
        let skipped = ProbeVerdict::Skipped { reason: "no key".into() };
        let some =
            report(vec![outcome("1", ProbeVerdict::Passed), outcome("2", failed), outcome("3", skipped)]);
        let answered = answer(&some, Edition::named("simple"), "do", ItemBasis::Record);
        let faults = [ItemFault::new("a · 2: x; y", "do"), ItemFault::new("a · 3: skipped: no key", "do")];
        assert_eq!((answered.faults.as_slice(), answered.basis), (faults.as_slice(), ItemBasis::Record));
        assert_eq!(answered.evidence, ["simple: 1 of 3 probes passed"]);
        let stale = || ProbeVerdict::Failed {
            wrong: vec!["stale".into()],
            request: String::new(),
            answer: String::new(),
        };
        let many = report(["1", "2", "3", "4", "5"].map(|probe| outcome(probe, stale())).into());
        let what = "a · 1, a · 2, a · 3 and 2 more: stale";
        assert_eq!(
            answer(&many, Edition::named("simple"), "do", ItemBasis::Now).faults,
            [ItemFault::new(what, "do")]
        );
        assert_eq!(answer(&report(Vec::new()), Edition::NONE, "do", ItemBasis::Now).faults.len(), 1);
    }
}
