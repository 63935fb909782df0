//! Items that one record of `check` answers: sizes, editions, what was pruned, secrets, and who an image runs as.

use anyhow::Result;

use crate::checklist::asked::Asked;
use crate::checklist::report::{Answer, Basis, Fault};
use check::report::{Finding, Kind, Report};
use engine::records;
use model::bytes::Bytes;

/// What is known of every edition that is asked for.
pub(super) struct Checked {
    reports: Vec<Report>,
    basis: Basis,
}

pub(super) fn targets(asked: &Asked<'_>) -> Result<Answer> {
    let mut answer = part(asked, Kind::Target)?;
    let mut lines = Vec::new();
    for report in &checked(asked)?.reports {
        let sum = |of: &dyn Fn(&check::report::Row) -> Option<Bytes>| -> Bytes {
            report.images.iter().filter_map(of).sum()
        };
        let weighed = sum(&|row| row.measured.as_ref().map(|measured| measured.weights.sum()));
        let allowed = sum(&|row| row.target);
        let count = report.images.iter().filter(|row| row.measured.is_some()).count();
        let editions: Vec<&str> = report.editions.iter().map(|edition| edition.name()).collect();
        lines.push(format!(
            "{}: {}, {weighed} in all; targets {allowed}",
            editions.join(", "),
            crate::checklist::images(count)
        ));
    }
    answer.evidence.splice(0..0, lines);
    Ok(answer)
}

pub(super) fn baselines(asked: &Asked<'_>) -> Result<Answer> {
    part(asked, Kind::Baseline)
}

pub(super) fn editions(asked: &Asked<'_>) -> Result<Answer> {
    part(asked, Kind::Edition)
}

pub(super) fn pruned(asked: &Asked<'_>) -> Result<Answer> {
    part(asked, Kind::Pruned)
}

pub(super) fn secrets(asked: &Asked<'_>) -> Result<Answer> {
    part(asked, Kind::Secret)
}

pub(super) fn user(asked: &Asked<'_>) -> Result<Answer> {
    part(asked, Kind::User)
}

/// What the reports say of one kind. An image that is not there was not looked into: nobody can say that it is well.
fn part(asked: &Asked<'_>, kind: Kind) -> Result<Answer> {
    let Checked { reports, basis } = checked(asked)?;
    let mut faults = asked.missing(&asked.wanted.editions)?;
    let mut evidence = Vec::new();
    let told = |finding: &Finding| format!("{}: {}", finding.about(), finding.what);
    for report in reports {
        for finding in report.breaches.iter().filter(|finding| finding.kind == kind) {
            let fault = Fault::new(told(finding), finding.remedy.clone());
            // What is so of the repository stands in the record of every edition.
            if !faults.contains(&fault) {
                faults.push(fault);
            }
        }
        for finding in report.notes.iter().filter(|finding| finding.kind == kind) {
            let line = format!("noted: {}", told(finding));
            if !evidence.contains(&line) {
                evidence.push(line);
            }
        }
    }
    if kind != Kind::Target {
        let images = reports.iter().flat_map(|report| &report.images);
        let count = images.filter(|row| row.measured.is_some()).count();
        evidence.insert(0, format!("{} looked into", crate::checklist::images(count)));
    }
    Ok(Answer { faults, evidence, basis: *basis })
}

fn checked<'c>(asked: &'c Asked<'_>) -> Result<&'c Checked> {
    asked.checked.get(|| {
        let mut kept = Vec::new();
        let mut stale = Vec::new();
        for &edition in &asked.wanted.editions {
            match asked.record::<Report>(records::RecordKind::Check, edition)? {
                Some(report) => kept.push(report),
                None => stale.push(edition),
            }
        }
        let basis = if stale.is_empty() { Basis::Record } else { Basis::Now };
        if !stale.is_empty() {
            let wanted = check::Wanted {
                services: asked.manifest.services.iter().collect(),
                editions: stale.clone(),
                tag: asked.wanted.tag.clone(),
            };
            let report = check::check(asked.manifest, &wanted, None, asked.context)?;
            kept.extend(stale.iter().map(|edition| report.of_edition(*edition)));
        }
        kept.sort_by_key(|report| report.editions.first().copied());
        Ok(Checked { reports: kept, basis })
    })
}
