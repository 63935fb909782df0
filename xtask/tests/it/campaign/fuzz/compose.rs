//! Compose files: a switch changes only image references, and a second switch changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use engine::interpolation::interpolate;
use fastrand::Rng;
use model::variant::Variant;
use stack::switch::document::{Document, NodeId};
use stack::switch::edits::{FilePlan, apply, plan};
use stack::switch::own_images::OwnImages;
use stack::switch::reference::SwitchRequest;

const DIGEST: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

pub fn check(bytes: &[u8], rng: &mut Rng) -> Result<bool, String> {
    let text = &*String::from_utf8_lossy(bytes);
    let request = request(rng);
    let pinned = rng.u8(..4) == 0;
    let planned = match switch(text, &request, pinned) {
        Ok(planned) => planned,
        // The plan is checked before it is returned.
        Err(error) if error.to_string().contains("this is a bug") => return Err(error.to_string()),
        Err(_) => return Ok(false),
    };
    for edit in &planned.edits {
        if text.get(edit.bytes.clone()) != Some(&edit.before) {
            return Err(format!("the text to replace is not there: {edit:?}"));
        }
    }
    let switched = apply(text, &planned.edits);
    let changes = planned.edits.iter().map(|edit| (edit.before.as_str(), edit.after.as_str())).collect();
    same_but_for(text, &switched, &changes)?;
    let again = switch(&switched, &request, pinned).map_err(|error| format!("switched twice: {error}"))?;
    if again.edits.is_empty() {
        Ok(true)
    } else {
        Err(format!("a second switch to {request:?} changes something else: {:?}", again.edits))
    }
}

fn request(rng: &mut Rng) -> SwitchRequest {
    SwitchRequest {
        variant: Variant::ALL[rng.usize(..2)],
        edition: crate::support::editions().get(rng.usize(..6)).copied(),
        tag: rng.bool().then(|| "2.0".parse().expect("a tag")),
        registry: (rng.u8(..4) == 0).then(|| "hub.example:5000/team".parse().expect("a registry")),
        editions: crate::support::editions().into(),
    }
}

fn switch(text: &str, request: &SwitchRequest, pinned: bool) -> anyhow::Result<FilePlan> {
    let registries = ["hub.example", "hub.example:5000", "hub.example:5000/team"].map(str::to_owned);
    let own = OwnImages::of(["fx-alpha", "fx-beta"], registries);
    let value_of = |name: &str| (name == "IMG").then(|| "hub.example/fx-alpha:1".to_owned());
    let fill = |text: &str| interpolate(text, &value_of);
    let digest_of = |_: &str| Ok(DIGEST.to_owned());
    plan(text, &own, request, pinned.then_some(&digest_of), &fill)
}

/// Whether two files are the same tree except for these scalars.
fn same_but_for(before: &str, after: &str, changes: &BTreeMap<&str, &str>) -> Result<(), String> {
    let parse =
        |text: &str| Document::parse(text.trim_start_matches('\u{feff}')).map_err(|error| error.to_string());
    let (before, after) = (parse(before)?, parse(after)?);
    if before.roots() != after.roots() {
        return Err("the number of nodes changes".to_owned());
    }
    let mut queue: Vec<NodeId> = before.roots().to_vec();
    let mut seen = BTreeSet::new();
    while let Some(id) = queue.pop() {
        if !seen.insert(id) {
            continue;
        }
        let (old, new) = (before.scalar(id), after.scalar(id));
        if old != new && old.and_then(|old| changes.get(old).copied()) != new {
            return Err(format!("{old:?} becomes {new:?}"));
        }
        if before.entries(id) != after.entries(id) || before.items(id) != after.items(id) {
            return Err("a collection changes".to_owned());
        }
        queue.extend(before.entries(id).iter().flat_map(|(key, value)| [*key, *value]));
        queue.extend(before.items(id));
    }
    Ok(())
}
