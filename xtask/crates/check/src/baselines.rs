//! Compares measured sizes with the accepted ones in the lock.

use host::program::PROGRAM;
use std::collections::BTreeMap;

use crate::guard::CheckRequest;
use crate::lock::{Lock, LockKey};
use crate::report::{CheckRow, Finding, FindingKind, Place, Subject};
use model::baseline::{Drift, Weights};
use model::manifest::{Manifest, Service};

/// The result of comparing images with the lock.
#[derive(Debug, Default)]
pub struct BaselineVerdict {
    pub breaches: Vec<Finding>,
    pub notes: Vec<Finding>,
    /// The rows that `--accept` would write; `None` removes a row.
    pub accepted: BTreeMap<LockKey, Option<Weights>>,
}

/// Judges every measured image and every row of the lock.
pub fn judge(
    rows: &mut [CheckRow],
    lock: &Lock,
    manifest: &Manifest,
    request: &CheckRequest<'_>,
) -> BaselineVerdict {
    let mut verdict = BaselineVerdict::default();
    rows.iter_mut().for_each(|row| judge_row(row, lock, manifest, request, &mut verdict));
    for key in lock.rows.keys().filter(|key| !is_declared(key, manifest)) {
        let finding = Finding::new(
            FindingKind::Baseline,
            vec![Subject::new(&key.service, &key.edition)],
            "baseline of an undeclared service or edition",
            format!("declare it, or remove the row: {PROGRAM} check --accept --reason \"…\""),
        );
        verdict.breaches.push(Finding { place: Some(lock.place(key)), ..finding });
        verdict.accepted.insert(key.clone(), None);
    }
    verdict
}

fn judge_row(
    row: &mut CheckRow,
    lock: &Lock,
    manifest: &Manifest,
    request: &CheckRequest<'_>,
    verdict: &mut BaselineVerdict,
) {
    let Some(measured) = &row.measured else { return };
    let tag = &request.tag;
    let key = LockKey::of(&row.service, row.edition, &measured.platform);
    let subject = Subject::new(&row.service, row.edition);
    let place = lock.place(&key);
    let is_chosen = |service: &&Service| service.name == row.service && service.chosen.is_some();
    let platform = match request.services.iter().any(is_chosen) {
        true => format!(" --platform {}", measured.platform),
        false => String::new(),
    };
    let finding = |what: String, remedy: String| Finding {
        place: Some(place.clone()),
        ..Finding::new(FindingKind::Baseline, vec![subject.clone()], what, remedy)
    };
    let Some(accepted) = lock.rows.get(&key) else {
        let what = format!("no baseline for {}", measured.platform);
        let edition = if row.edition.is_none() { "" } else { " --edition EDITION" };
        let remedy =
            format!("{PROGRAM} check SERVICE{edition}{platform} --tag {tag} --accept --reason \"…\"");
        // Line 1 for all, so that several are merged into one.
        let place = Place { line: 1, ..place.clone() };
        let found = Finding { place: Some(place), ..finding(what, remedy) };
        // A baseline for one platform does not apply to another.
        let is_of_image = |other: &LockKey| other.service == key.service && other.edition == key.edition;
        let has_other = lock.rows.keys().any(is_of_image);
        if has_other {
            verdict.notes.push(found)
        } else {
            verdict.breaches.push(found)
        }
        verdict.accepted.insert(key, Some(measured.weights));
        return;
    };
    let (now, was, step) = (measured.weights, *accepted, manifest.step_limit);
    let (own, base) = (step.judge(now.own, was.own), step.judge(now.base, was.base));
    (row.baseline, row.own, row.base) = (Some(was), Some(own), Some(base));
    let accept = format!(
        "{PROGRAM} check {}{}{platform} --tag {tag} --accept --reason \"…\"",
        row.service,
        row.edition.option()
    );
    // Layers count as a base's by their Dockerfile lines as they are now, not as they were when the image was built.
    let moved = if (own, base) == (Drift::Grown, Drift::Shrunk) {
        "if a Dockerfile changed since the build, rebuild the image; "
    } else {
        ""
    };
    let explain = format!(
        "{moved}`{PROGRAM} why PREVIOUS {}` explains the difference from an earlier image; to accept it: {accept}",
        row.image
    );
    for (label, drift, now, was) in
        [("own layers", own, now.own, was.own), ("base layers", base, now.base, was.base)]
    {
        let allowed = step.allowed(was);
        match drift {
            Drift::Within => {}
            Drift::Grown => {
                let what =
                    format!("{label}: {now}, {} above the baseline of {was} ({allowed} allowed)", now - was);
                match &request.allowed_growth {
                    None => verdict.breaches.push(finding(what, explain.clone())),
                    Some(reason) => verdict.notes.push(finding(
                        format!("{what}; growth allowed: {reason}"),
                        format!("commit the new baseline before merging: {accept}"),
                    )),
                }
            }
            Drift::Shrunk => verdict.notes.push(finding(
                format!("{label}: {now}, {} below the baseline of {was}", was - now),
                format!("accept the smaller size so that it cannot grow back unnoticed: {accept}"),
            )),
        }
    }
    // Keep baselines that drifted within the step, so that small steps add up.
    let accept = |drift, now, was| if drift == Drift::Within { was } else { now };
    let accepted = Weights { own: accept(own, now.own, was.own), base: accept(base, now.base, was.base) };
    if accepted != was {
        verdict.accepted.insert(key, Some(accepted));
    }
}

fn is_declared(key: &LockKey, manifest: &Manifest) -> bool {
    if manifest.unusable.contains(&key.service) {
        return true;
    }
    let edition = manifest.edition(&key.edition);
    edition.is_ok_and(|edition| manifest.services_in(edition).any(|service| service.name == key.service))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::Acceptance;
    use crate::report::MeasuredImage;
    use build::comparison::Verdict;
    use model::bytes::Bytes;
    use model::edition::Edition;

    fn manifest() -> Manifest {
        let service = Service { name: "api".into(), ..Service::default() };
        let editions = vec![Edition::named("simple")];
        Manifest { services: vec![service], editions, ..Manifest::default() }
    }

    fn request() -> CheckRequest<'static> {
        let tag = "1".parse().unwrap();
        CheckRequest { services: Vec::new(), editions: Vec::new(), tag, allowed_growth: None }
    }

    fn row(own: u64, base: u64) -> CheckRow {
        CheckRow {
            service: "api".into(),
            edition: Edition::named("simple"),
            image: "sutra-api:1-simple-optimized".into(),
            measured: Some(MeasuredImage {
                id: "sha256:1".into(),
                platform: "linux/amd64".into(),
                weights: Weights { own: Bytes(own), base: Bytes(base) },
            }),
            baseline: None,
            target: None,
            goal: None,
            verdict: Verdict::Unjudged,
            own: None,
            base: None,
        }
    }

    fn lock(rows: &str) -> Lock {
        Lock::parse(&format!("schema = 1\n[api]\n{rows}"), "sizes.lock.toml").unwrap()
    }

    const ROW: &str =
        "simple.\"linux/amd64\" = { own = 2_000_000, base = 35_000_000, accepted = \"d\", reason = \"r\" }\n";

    #[test]
    fn growth_is_a_breach_and_shrinkage_a_note() {
        let judged = |own, base| judge(&mut [row(own, base)], &lock(ROW), &manifest(), &request());
        let same = judged(2_999_999, 34_100_000);
        assert!(same.breaches.is_empty() && same.notes.is_empty() && same.accepted.is_empty());
        let grown = judged(3_000_001, 36_000_001);
        assert_eq!(grown.breaches.len(), 2);
        assert!(grown.breaches[0].what.contains("1MB above the baseline of 2MB"), "{:?}", grown.breaches[0]);
        assert!(grown.breaches[1].what.starts_with("base layers"));
        // Without the tag, another image's size would be accepted.
        assert!(grown.breaches[0].remedy.contains("check api --edition simple --tag 1 --accept"));
        assert_eq!(grown.breaches[0].place.as_ref().map(|place| place.line), Some(3));
        let shrunk = judged(2_000_000, 30_000_000);
        assert!(shrunk.breaches.is_empty() && shrunk.notes.len() == 1 && shrunk.accepted.len() == 1);
    }

    #[test]
    fn allowed_growth_is_a_note_that_demands_a_new_baseline() {
        let request = CheckRequest { allowed_growth: Some("label `x`".into()), ..request() };
        let judged = judge(&mut [row(3_000_001, 36_000_001)], &lock(ROW), &manifest(), &request);
        assert!(judged.breaches.is_empty() && judged.notes.len() == 2, "{judged:?}");
        assert!(
            judged.notes[0].what.ends_with("(1MB allowed); growth allowed: label `x`"),
            "{:?}",
            judged.notes
        );
        assert!(judged.notes[0].remedy.starts_with("commit the new baseline before merging: "));
        assert!(
            judged.notes[0].remedy.ends_with("check api --edition simple --tag 1 --accept --reason \"…\"")
        );
        // Only growth is allowed: a row that is missing or undeclared is still a breach.
        let undeclared =
            lock("tiny.\"linux/amd64\" = { own = 1, base = 1, accepted = \"d\", reason = \"r\" }\n");
        assert_eq!(judge(&mut [row(5, 6)], &undeclared, &manifest(), &request).breaches.len(), 2);
    }

    #[test]
    fn accepting_one_size_keeps_the_baseline_of_the_other() {
        let accepted = |own, base| {
            let judged = judge(&mut [row(own, base)], &lock(ROW), &manifest(), &request());
            judged.accepted.into_values().next().flatten()
        };
        let weights = |own, base| Some(Weights { own: Bytes(own), base: Bytes(base) });
        // The base grew, but by less than the step.
        assert_eq!(accepted(500_000, 35_900_000), weights(500_000, 35_000_000));
        assert_eq!(accepted(2_900_000, 30_000_000), weights(2_000_000, 30_000_000));
        assert_eq!(accepted(500_000, 30_000_000), weights(500_000, 30_000_000));
        assert_eq!(accepted(2_900_000, 35_900_000), None);
    }

    #[test]
    fn another_platform_without_a_baseline_is_a_note_that_can_be_accepted() {
        let lock = lock(&ROW.replace("amd64", "arm64"));
        let judged = judge(&mut [row(5, 6)], &lock, &manifest(), &request());
        assert!(judged.breaches.is_empty(), "{:?}", judged.breaches);
        assert!(judged.notes[0].what.starts_with("no baseline for linux/amd64"), "{:?}", judged.notes);
        assert_eq!(judged.accepted.len(), 1);
    }

    #[test]
    fn missing_and_undeclared_baselines_are_breaches_that_can_be_accepted() {
        let lock = lock("tiny.\"linux/amd64\" = { own = 1, base = 1, accepted = \"d\", reason = \"r\" }\n");
        let judged = judge(&mut [row(5, 6)], &lock, &manifest(), &request());
        let whats: Vec<&str> = judged.breaches.iter().map(|breach| breach.what.as_str()).collect();
        assert!(whats[0].starts_with("no baseline for linux/amd64"), "{whats:?}");
        assert!(whats[1].starts_with("baseline of an undeclared"), "{whats:?}");
        let acceptance = Acceptance { reason: "now".into(), day: "2026-01-01".into() };
        let text = lock.edited(&judged.accepted, &acceptance, &manifest().editions).unwrap();
        let again = Lock::parse(&text, "sizes.lock.toml").unwrap();
        let mut rows = [row(5, 6)];
        assert!(judge(&mut rows, &again, &manifest(), &request()).breaches.is_empty());
        assert_eq!(rows[0].baseline, Some(Weights { own: Bytes(5), base: Bytes(6) }));
        assert!(!text.contains("tiny"), "{text}");
    }
}
