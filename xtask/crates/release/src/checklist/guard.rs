//! Items that the reports of `check` answer: sizes, editions, pruning, secrets and the user.

use anyhow::Result;

use crate::checklist::context::{CheckContext, GuardReports, once};
use crate::checklist::listing::images;
use crate::checklist::report::{ItemAnswer, ItemBasis, ItemFault};
use check::report::{CheckReport, CheckRow, Finding, FindingKind};
use engine::records;
use model::bytes::Bytes;

pub(super) fn targets(checks: &CheckContext<'_>) -> Result<ItemAnswer> {
    let mut answer = findings(checks, FindingKind::Target)?;
    let mut lines = Vec::new();
    for report in &guard(checks)?.reports {
        let sum =
            |of: &dyn Fn(&CheckRow) -> Option<Bytes>| -> Bytes { report.images.iter().filter_map(of).sum() };
        let size = sum(&|row| row.measured.as_ref().map(|measured| measured.weights.sum()));
        let targets = sum(&|row| row.target);
        let editions: Vec<&str> = report.editions.iter().map(|edition| edition.name()).collect();
        let count = images(measured(report));
        lines.push(format!("{}: {count}, {size} in total; targets {targets}", editions.join(", ")));
    }
    answer.evidence.splice(0..1, lines);
    Ok(answer)
}

/// The findings of one kind. A missing image is a fault: it was not checked.
pub(super) fn findings(checks: &CheckContext<'_>, kind: FindingKind) -> Result<ItemAnswer> {
    let GuardReports { reports, basis } = guard(checks)?;
    let mut faults = checks.missing_images(&checks.request.editions)?;
    let mut evidence = vec![format!("{} checked", images(reports.iter().map(measured).sum()))];
    let line = |finding: &Finding| format!("{}: {}", finding.about(), finding.what);
    for report in reports {
        // A finding about the repository is in the report of every edition.
        for finding in report.breaches.iter().filter(|finding| finding.kind == kind) {
            let fault = ItemFault::new(line(finding), finding.remedy.clone());
            if !faults.contains(&fault) {
                faults.push(fault);
            }
        }
        for note in report.notes.iter().filter(|finding| finding.kind == kind).map(line) {
            if !evidence.contains(&note) {
                evidence.push(note);
            }
        }
    }
    Ok(ItemAnswer { faults, evidence, basis: *basis })
}

fn measured(report: &CheckReport) -> usize {
    report.images.iter().filter(|row| row.measured.is_some()).count()
}

fn guard<'c>(checks: &'c CheckContext<'_>) -> Result<&'c GuardReports> {
    once(&checks.guard, || {
        let mut reports = Vec::new();
        let mut stale = Vec::new();
        for &edition in &checks.request.editions {
            match checks.record::<CheckReport>(records::RecordKind::Check, edition)? {
                Some(report) => reports.push(report),
                None => stale.push(edition),
            }
        }
        let basis = if stale.is_empty() { ItemBasis::Record } else { ItemBasis::Now };
        if !stale.is_empty() {
            let wanted = check::guard::CheckRequest {
                services: checks.manifest.services.iter().collect(),
                editions: stale.clone(),
                tag: checks.request.tag.clone(),
                allowed_growth: None,
            };
            let report = check::guard::check(checks.manifest, &wanted, None, checks.context)?;
            reports.extend(stale.iter().map(|edition| report.of_edition(*edition)));
        }
        let position = |report: &CheckReport| {
            let first = report.editions.first();
            checks.request.editions.iter().position(|edition| Some(edition) == first)
        };
        reports.sort_by_key(position);
        Ok(GuardReports { reports, basis })
    })
}
