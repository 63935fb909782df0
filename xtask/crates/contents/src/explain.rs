//! Computes the record of an image from the facts of its layers.

use std::cmp::Reverse;
use std::collections::HashMap;

use anyhow::{Result, ensure};

use crate::attribution::attribute;
use crate::duplicates::Duplicates;
use crate::facts::{EntryKind, LayerFacts, Metadata};
use crate::file_bytes::FileBytes;
use crate::hints::Hints;
use crate::owner::Owner;
use crate::record::{Contents, Layer, OsRelease, Surface};
use crate::tree::Tree;
use crate::waste::Waste;
use crate::{notes, opportunity_rules, unowned};
use engine::images::Image;
use model::bytes::Bytes;

/// How many of the largest files are listed.
const LARGEST: usize = 100;

/// The record of an image, without the origins of its layers.
///
/// # Errors
/// When the bytes do not add up, which would be a bug.
pub fn explain(reference: &str, image: &Image, facts: &[&LayerFacts]) -> Result<Contents> {
    let tree = Tree::of(facts);
    let hints = Hints::of(image);
    let metadata = tree.metadata();
    let attribution = attribute(&tree, &metadata, &hints);
    let waste = Waste::of(&tree);
    let mut largest = Vec::new();
    let mut surface = Surface { packages: attribution.packages, ..Surface::default() };
    for file in &attribution.files {
        FileBytes::keep_largest(&mut largest, file.path, file.bytes, LARGEST);
        surface.executables += u64::from(file.mode & 0o111 != 0);
        surface.setuid += u64::from(file.mode & 0o6000 != 0);
    }
    let layers = layers(image, facts, &tree);
    let opportunities = opportunity_rules::find(&tree, &attribution, &hints, &waste);
    let unowned = unowned::by_folder(&attribution);
    let mut owners = attribution.owners;
    owners.sort_by_cached_key(|owner: &Owner| (Reverse(owner.bytes), owner.kind, owner.label()));
    let contents = Contents {
        schema: 1,
        image: reference.to_owned(),
        id: image.id.clone(),
        platform: format!("{}/{}", image.os, image.architecture),
        bytes: layers.iter().map(|layer| layer.bytes).sum(),
        os: os_release(&tree),
        layers,
        owners,
        unowned,
        notes: notes::of(&metadata),
        waste,
        duplicates: Duplicates::of(&attribution.files),
        opportunities,
        largest,
        surface,
    };
    ensure!(contents.adds_up(), "the bytes of {reference} do not add up; this is a bug: please report it");
    Ok(contents)
}

fn os_release(tree: &Tree<'_>) -> Option<OsRelease> {
    tree.metadata().into_iter().find_map(|file| match &file.metadata {
        Metadata::Os { id, version, codename, .. } => {
            Some(OsRelease { id: id.clone(), version: version.clone(), codename: codename.clone() })
        }
        _ => None,
    })
}

fn layers(image: &Image, facts: &[&LayerFacts], tree: &Tree<'_>) -> Vec<Layer> {
    let mut wasted: HashMap<usize, u64> = HashMap::new();
    for hidden in &tree.hidden {
        if let EntryKind::File { bytes, .. } = tree.entry(hidden.at).kind {
            *wasted.entry(hidden.at.layer).or_default() += bytes;
        }
    }
    let layer = |(index, (diff_id, facts)): (usize, (&String, &&LayerFacts))| {
        let sizes = facts.entries.iter().filter_map(|entry| match entry.kind {
            EntryKind::File { bytes, .. } => Some(bytes),
            _ => None,
        });
        let (files, bytes) = sizes.fold((0, 0), |(files, sum), bytes| (files + 1, sum + bytes));
        Layer {
            diff_id: diff_id.clone(),
            bytes: Bytes(bytes),
            wasted: Bytes(wasted.get(&index).copied().unwrap_or_default()),
            files,
            instruction: None,
            origin: None,
        }
    };
    image.layers().iter().zip(facts).enumerate().map(layer).collect()
}
