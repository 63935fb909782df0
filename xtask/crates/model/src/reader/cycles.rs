//! Rejects images that depend on themselves, directly or through others.

use std::collections::{BTreeMap, BTreeSet};

use crate::manifest::{Base, StandIn, Upstream};
use crate::reader::place::Place;

/// The images referenced by each image's Dockerfile.
type Sources<'a> = BTreeMap<&'a str, BTreeSet<String>>;

/// Adds a fault for each cycle, at the entry of one of its images. `references` returns the images referenced by a Dockerfile.
pub(super) fn refuse(
    root: &Place<'_>,
    upstreams: &[Upstream],
    bases: &[Base],
    references: impl Fn(&str) -> BTreeSet<String>,
) {
    let stand_ins = upstreams.iter().filter_map(|upstream| match &upstream.stand_in {
        StandIn::Dockerfile { path, .. } => {
            Some((upstream.reference.as_str(), ("upstream", &upstream.name, path)))
        }
        StandIn::Bootstrap { .. } => None,
    });
    let bases = bases.iter().map(|base| (base.reference.as_str(), ("base", &base.name, &base.dockerfile)));
    let made: BTreeMap<&str, _> = stand_ins.chain(bases).collect();
    let mut sources: Sources<'_> =
        made.iter().map(|(image, (.., path))| (*image, references(path))).collect();
    for upstream in upstreams {
        if let (StandIn::Dockerfile { emulated: Some(path), .. }, Some(of_image)) =
            (&upstream.stand_in, sources.get_mut(upstream.reference.as_str()))
        {
            of_image.extend(references(path));
        }
    }
    for cycle in cycles(&sources) {
        let entries: Vec<_> = cycle.iter().filter_map(|image| Some((image, made.get(image)?))).collect();
        let Some((_, (table, name, _))) = entries.first() else { continue };
        let steps: Vec<String> =
            entries.iter().map(|(image, (.., path))| format!("{image} ({path})")).collect();
        root.key(table).key(name).fault(format!(
            "the image depends on itself: {}; change a FROM or --from in these Dockerfiles",
            steps.join(" → ")
        ));
    }
}

/// All cycles. Each starts and ends with its alphabetically first image.
fn cycles<'s>(sources: &'s Sources<'_>) -> Vec<Vec<&'s str>> {
    let mut found = BTreeSet::new();
    for start in sources.keys() {
        if let Some(path) = way_back(start, sources) {
            found.insert(path);
        }
    }
    found.into_iter().collect()
}

/// The shortest cycle through an image. `None` if there is none, or if it contains an alphabetically smaller name, which
/// reports it instead.
fn way_back<'s>(start: &'s str, sources: &'s Sources<'_>) -> Option<Vec<&'s str>> {
    let mut ways = vec![vec![start]];
    let mut seen = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            let last = way.last()?;
            for next in sources.get(*last).into_iter().flatten() {
                let path = [way.as_slice(), &[next.as_str()]].concat();
                if next == start {
                    return way.iter().all(|name| *name >= start).then_some(path);
                }
                if sources.contains_key(next.as_str()) && seen.insert(next) {
                    longer.push(path);
                }
            }
        }
        ways = longer;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(of: &[(&str, &[&str])]) -> Vec<String> {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let sources = of.iter().map(|(name, from)| (*name, owned(from))).collect();
        cycles(&sources).iter().map(|path| path.join(" ")).collect()
    }

    #[test]
    fn every_cycle_is_found_once() {
        assert_eq!(found(&[("a", &["a"])]), ["a a"]);
        assert_eq!(found(&[("a", &["b", "x"]), ("b", &["a"])]), ["a b a"]);
        assert_eq!(found(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"])]), ["b c b"]);
        assert_eq!(found(&[("a", &["b"]), ("b", &["c"]), ("c", &["a"]), ("d", &["d"])]), ["a b c a", "d d"]);
    }

    #[test]
    fn shared_sources_are_not_a_cycle() {
        assert_eq!(found(&[("a", &["b", "c"]), ("b", &["d"]), ("c", &["d"]), ("d", &["x"])]), [""; 0]);
    }
}
