//! Images against their rows in the lock.

use std::collections::BTreeMap;

use crate::lock::{Change, Key, Lock};
use crate::report::{Finding, Kind, Place, Row, Subject};
use model::baseline::{Drift, Weights};
use model::edition::Edition;
use model::image_ref::Tag;
use model::manifest::Manifest;

/// What holding images against the lock comes to.
#[derive(Debug, Default)]
pub struct Judged {
    /// What must not be.
    pub breaches: Vec<Finding>,
    /// What a person should know.
    pub notes: Vec<Finding>,
    /// What accepting would write: weights, or nothing for a row that belongs to nothing.
    pub new: BTreeMap<Key, Option<Weights>>,
}

/// Judges every image that was measured, and every row of the lock.
pub fn judge(rows: &mut [Row], lock: &Lock, manifest: &Manifest, tag: &Tag) -> Judged {
    let mut judged = Judged::default();
    rows.iter_mut().for_each(|row| judge_one(row, lock, manifest, tag, &mut judged));
    for key in lock.rows.keys().filter(|key| !belongs(key, manifest)) {
        judged.breaches.push(Finding {
            kind: Kind::Baseline,
            images: vec![Subject::new(&key.service, &key.edition)],
            what: "the baseline belongs to nothing: no such service or edition is declared".to_owned(),
            remedy: "declare it, or remove the row: cargo xtask check --accept --reason \"…\"".to_owned(),
            place: Some(lock.place(key)),
        });
        judged.new.insert(key.clone(), None);
    }
    judged
}

/// Judges one image that was measured.
fn judge_one(row: &mut Row, lock: &Lock, manifest: &Manifest, tag: &Tag, judged: &mut Judged) {
    let Some(measured) = &row.measured else { return };
    let key = Key::of(&row.service, row.edition, &measured.platform);
    let subject = Subject::new(&row.service, row.edition);
    let accept = format!(
        "if it is meant: cargo xtask check {} --edition {} --tag {tag} --accept --reason \"…\"",
        row.service, row.edition
    );
    let finding = |what: String, remedy: String| Finding {
        kind: Kind::Baseline,
        images: vec![subject.clone()],
        what,
        remedy,
        place: Some(lock.place(&key)),
    };
    let Some(accepted) = lock.rows.get(&key) else {
        let what = format!("there is no baseline for {}", measured.platform);
        let remedy =
            format!("cargo xtask check SERVICE --edition EDITION --tag {tag} --accept --reason \"…\"");
        // At the top of the file, so that many are told as one.
        let place = Place { line: 1, ..lock.place(&key) };
        judged.breaches.push(Finding { place: Some(place), ..finding(what, remedy) });
        judged.new.insert(key, Some(measured.weights));
        return;
    };
    let (now, was, step) = (measured.weights, accepted.weights, manifest.step);
    let (own, base) = (step.judge(now.own, was.own), step.judge(now.base, was.base));
    (row.baseline, row.own, row.base) = (Some(was), Some(own), Some(base));
    // Which layers are the bases' is told by their Dockerfiles' lines, as they are now.
    let moved = if (own, base) == (Drift::Grown, Drift::Shrunk) {
        "if a Dockerfile changed since the image was built, build it again; "
    } else {
        ""
    };
    let why = format!(
        "{moved}cargo xtask why PREVIOUS {} says what it is, PREVIOUS being the image before; {accept}",
        row.image
    );
    for (what, drift, now, was) in
        [("its own layers", own, now.own, was.own), ("layers of its bases", base, now.base, was.base)]
    {
        let allowed = step.allowed(was);
        match drift {
            Drift::Within => {}
            Drift::Grown => judged.breaches.push(finding(
                format!("{what} are {now}, {} above the baseline of {was}; {allowed} are allowed", now - was),
                why.clone(),
            )),
            Drift::Shrunk => judged.notes.push(finding(
                format!("{what} are {now}, {} below the baseline of {was}", was - now),
                format!("accept it, so that it cannot grow back unseen; {accept}"),
            )),
        }
    }
    if (own, base) != (Drift::Within, Drift::Within) {
        judged.new.insert(key, Some(now));
    }
}

fn belongs(key: &Key, manifest: &Manifest) -> bool {
    manifest.services.iter().any(|service| service.name == key.service)
        && key.edition.parse::<Edition>().is_ok()
}

/// The lock's rows as they become when what was judged is accepted.
pub fn changes(new: &BTreeMap<Key, Option<Weights>>, reason: &str, day: &str) -> BTreeMap<Key, Change> {
    let change = |weights: &Option<Weights>| match weights {
        Some(weights) => Change::Set { weights: *weights, reason: reason.to_owned(), day: day.to_owned() },
        None => Change::Remove,
    };
    new.iter().map(|(key, weights)| (key.clone(), change(weights))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Measured;
    use build::comparison::Verdict;
    use model::allowlist::Meant;
    use model::baseline::Step;
    use model::bytes::Bytes;
    use model::manifest::Service;

    fn manifest() -> Manifest {
        let service = Service {
            name: "api".into(),
            image: "sutra-api".into(),
            compose: "api".into(),
            port: 1,
            original: String::new(),
            optimized: String::new(),
            test_stage: None,
            sizes: BTreeMap::new(),
            editions: Default::default(),
            run: Default::default(),
            secrets: Vec::new(),
            probes: Vec::new(),
        };
        Manifest {
            project: "p".into(),
            version: "1".into(),
            source_date_epoch: 0,
            upstreams: Vec::new(),
            bases: Vec::new(),
            services: vec![service],
            scenarios: Vec::new(),
            stack_tests: Vec::new(),
            step: Step::default(),
            loads: Vec::new(),
            bounds: Vec::new(),
            benefits: Vec::new(),
            meant: Meant::default(),
        }
    }

    fn tag() -> Tag {
        "1".parse().unwrap()
    }

    fn row(own: u64, base: u64) -> Row {
        Row {
            service: "api".into(),
            edition: Edition::Simple,
            image: "sutra-api:1-simple-optimized".into(),
            measured: Some(Measured {
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
        Lock::parse(&format!("schema = 1\n[api]\n{rows}"), "sizes.lock.toml")
            .unwrap_or_else(|faults| panic!("{faults}"))
    }

    const ROW: &str =
        "simple.\"linux/amd64\" = { own = 2_000_000, base = 35_000_000, accepted = \"d\", reason = \"r\" }\n";

    #[test]
    fn growth_is_a_breach_and_shrinking_a_note() {
        let judged = |own, base| judge(&mut [row(own, base)], &lock(ROW), &manifest(), &tag());
        let same = judged(2_999_999, 34_100_000);
        assert!(same.breaches.is_empty() && same.notes.is_empty() && same.new.is_empty());
        let grown = judged(3_000_001, 36_000_001);
        assert_eq!(grown.breaches.len(), 2);
        assert!(grown.breaches[0].what.contains("1MB above the baseline of 2MB"), "{:?}", grown.breaches[0]);
        assert!(grown.breaches[1].what.starts_with("layers of its bases"));
        // Without the tag another image's bytes would be accepted.
        assert!(grown.breaches[0].remedy.contains("check api --edition simple --tag 1 --accept"));
        assert_eq!(grown.breaches[0].place.as_ref().map(|place| place.line), Some(3));
        let shrunk = judged(2_000_000, 30_000_000);
        assert!(shrunk.breaches.is_empty() && shrunk.notes.len() == 1 && shrunk.new.len() == 1);
    }

    #[test]
    fn what_is_missing_and_what_belongs_to_nothing_are_breaches_that_can_be_accepted() {
        let lock = lock("tiny.\"linux/amd64\" = { own = 1, base = 1, accepted = \"d\", reason = \"r\" }\n");
        let judged = judge(&mut [row(5, 6)], &lock, &manifest(), &tag());
        let whats: Vec<&str> = judged.breaches.iter().map(|breach| breach.what.as_str()).collect();
        assert!(whats[0].starts_with("there is no baseline for linux/amd64"), "{whats:?}");
        assert!(whats[1].starts_with("the baseline belongs to nothing"), "{whats:?}");
        let text = lock.with(&changes(&judged.new, "now", "2026-01-01"));
        let again = Lock::parse(&text, "sizes.lock.toml").unwrap_or_else(|faults| panic!("{faults}"));
        let mut rows = [row(5, 6)];
        assert!(judge(&mut rows, &again, &manifest(), &tag()).breaches.is_empty());
        assert_eq!(rows[0].baseline, Some(Weights { own: Bytes(5), base: Bytes(6) }));
        assert!(!text.contains("tiny"), "{text}");
    }
}
