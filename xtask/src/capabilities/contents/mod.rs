//! Image contents: every byte of an image explained. Layers are read once (`reading`) and remembered (`cache`); all else is
//! computed from what is remembered: what a container sees (`tree`), who brought it (`owners`), what could go
//! (`opportunities`), which line of which Dockerfile did it (`origins`).

mod cache;
mod elf;
mod facts;
#[cfg(test)]
mod hostile;
mod notes;
mod opportunities;
mod origins;
mod owners;
mod reading;
pub mod sbom;
mod tree;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::{Context as _, Result};

use super::context::Context;
use crate::docker::images::Image;
use crate::domain::bytes::Bytes;
use crate::domain::contents::owner::Owner;
use crate::domain::contents::waste::{Waste, WastedFile};
use crate::domain::contents::{Contents, Layer, Surface};
use crate::domain::manifest::Manifest;
use cache::Cache;
use facts::{Kind, LayerFacts, Note};
use owners::{Hints, keep_largest};
use tree::Tree;

/// How many of the largest files a record names.
const LARGEST: usize = 100;

/// An image that is to be explained: as it was asked for, and as docker knows it.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The reference.
    pub reference: String,
    /// What docker says of it.
    pub image: Image,
}

/// Explains some images. Layers that are not known yet are read, all of them from one `docker save`.
///
/// # Errors
/// When docker cannot be asked, an image is damaged or hostile, or the person interrupts.
pub fn analyze(asked: &[Asked], manifest: &Manifest, context: &Context) -> Result<Vec<Contents>> {
    let cache = Cache::of(&context.repository);
    let known: Vec<Option<Contents>> =
        asked.iter().map(|asked| cache.image(&asked.image.id)).collect::<Result<_>>()?;
    let unknown = asked.iter().zip(&known).filter(|(_, known)| known.is_none()).map(|(asked, _)| asked);
    let facts = layers(&unknown.collect::<Vec<_>>(), &cache, context)?;
    let mut explained = Vec::new();
    for (Asked { reference, image }, known) in asked.iter().zip(known) {
        let mut contents = match known {
            Some(contents) => Contents { image: reference.clone(), ..contents },
            None => {
                let contents = explain(reference, image, &of_image(image, reference, &facts)?);
                kept(cache.keep_image(&image.id, &contents), context);
                contents
            }
        };
        let history = context.docker.history(&image.id)?;
        origins::find(&mut contents, image, &history, manifest, &context.repository)?;
        explained.push(contents);
    }
    Ok(explained)
}

/// Without a cache, the answer is there all the same.
fn kept(written: Result<()>, context: &Context) {
    if let Err(error) = written {
        context.terminal.warn(format!("the next run reads this image again: {error:#}"));
    }
}

fn of_image<'f>(
    image: &Image,
    reference: &str,
    facts: &'f BTreeMap<String, LayerFacts>,
) -> Result<Vec<&'f LayerFacts>> {
    let layer = |diff_id: &String| {
        facts.get(diff_id).with_context(|| format!("`docker save` left out layer {diff_id} of {reference}"))
    };
    image.layers().iter().map(layer).collect()
}

/// What is known of the layers of some images.
fn layers(asked: &[&Asked], cache: &Cache, context: &Context) -> Result<BTreeMap<String, LayerFacts>> {
    let wanted: BTreeSet<&String> = asked.iter().flat_map(|asked| asked.image.layers()).collect();
    let mut known = BTreeMap::new();
    for &diff_id in &wanted {
        if let Some(facts) = cache.layer(diff_id)? {
            known.insert(diff_id.clone(), facts);
        }
    }
    let lacks = |asked: &&&Asked| asked.image.layers().iter().any(|diff_id| !known.contains_key(diff_id));
    let unread: Vec<&&Asked> = asked.iter().filter(lacks).collect();
    if unread.is_empty() {
        return Ok(known);
    }
    let names: Vec<&str> = unread.iter().map(|asked| asked.reference.as_str()).collect();
    context.terminal.say(format!("reading {}; the next time its layers are known", names.join(" and ")));
    let lines = context.terminal.lines();
    let line = lines.add("docker save", 0);
    let ids: BTreeSet<&String> = unread.iter().map(|asked| &asked.image.id).collect();
    let archive = context.docker.save(&ids.into_iter().cloned().collect::<Vec<_>>())?;
    // An unpacked blob is named by its own digest, which then is the layer's.
    let skip = |name: &str| {
        name.strip_prefix("blobs/sha256/").is_some_and(|hex| known.contains_key(&format!("sha256:{hex}")))
    };
    let read = reading::read(archive, &skip, &context.docker.runner.interrupt).with_context(|| {
        format!("cannot read {} (if it is damaged, pull or build it anew)", names.join(" and "))
    })?;
    line.finish("done");
    for (diff_id, facts) in read {
        if wanted.contains(&diff_id) && !known.contains_key(&diff_id) {
            kept(cache.keep_layer(&diff_id, &facts), context);
            known.insert(diff_id, facts);
        }
    }
    Ok(known)
}

/// Explains an image from what is known of its layers.
fn explain(reference: &str, image: &Image, facts: &[&LayerFacts]) -> Contents {
    let tree = Tree::of(facts);
    let notes: Vec<&Note> = facts
        .iter()
        .enumerate()
        .flat_map(|(layer, facts)| facts.notes.iter().map(move |note| (layer, note)))
        // A record that a later layer replaced says nothing any more.
        .filter(|(layer, note)| tree.shows(&note.path, *layer))
        .map(|(_, note)| note)
        .collect();
    let hints = hints(image);
    let owned = owners::attribute(&tree, &notes, &hints);
    let waste = waste(&tree);
    let mut largest = Vec::new();
    let mut surface = Surface { packages: owned.packages, ..Surface::default() };
    for file in &owned.files {
        keep_largest(&mut largest, file, LARGEST);
        surface.executables += u64::from(file.mode & 0o111 != 0);
        surface.setuid += u64::from(file.mode & 0o6000 != 0);
    }
    let layers = layer_rows(image, facts, &tree);
    let opportunities = opportunities::find(&tree, &owned, &hints, &waste);
    let mut owners = owned.owners;
    let rank = |owner: &Owner| (Reverse(owner.bytes), owner.kind, owner.label());
    owners.sort_by_cached_key(rank);
    Contents {
        schema: 1,
        image: reference.to_owned(),
        id: image.id.clone(),
        platform: format!("{}/{}", image.os, image.architecture),
        bytes: layers.iter().map(|layer| layer.bytes).sum(),
        layers,
        owners,
        waste,
        duplicates: opportunities::duplicates(&owned.files),
        opportunities,
        largest,
        surface,
    }
}

fn hints(image: &Image) -> Hints {
    let Some(config) = &image.config else { return Hints::default() };
    Hints {
        working_dir: config.working_dir.trim_matches('/').to_owned(),
        command: [&config.entrypoint, &config.cmd].into_iter().flatten().flatten().cloned().collect(),
        env: config.env.clone().unwrap_or_default(),
    }
}

/// The files that nobody sees, each once.
fn waste(tree: &Tree<'_>) -> Waste {
    let mut waste = Waste::default();
    let mut all = Vec::new();
    for lost in &tree.lost {
        let entry = tree.entry(lost.at);
        let Kind::File { bytes, .. } = entry.kind else { continue };
        waste.bytes = waste.bytes + Bytes(bytes);
        waste.files += 1;
        all.push(WastedFile {
            path: entry.path.clone(),
            bytes: Bytes(bytes),
            layer: lost.at.layer,
            by: lost.by,
            how: lost.how,
        });
    }
    all.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| (a.layer, &a.path).cmp(&(b.layer, &b.path))));
    all.truncate(LARGEST);
    waste.largest = all;
    waste
}

fn layer_rows(image: &Image, facts: &[&LayerFacts], tree: &Tree<'_>) -> Vec<Layer> {
    let mut wasted: HashMap<usize, u64> = HashMap::new();
    for lost in &tree.lost {
        if let Kind::File { bytes, .. } = tree.entry(lost.at).kind {
            *wasted.entry(lost.at.layer).or_default() += bytes;
        }
    }
    let row = |(index, (diff_id, facts)): (usize, (&String, &&LayerFacts))| {
        let sizes = facts.entries.iter().filter_map(|entry| match entry.kind {
            Kind::File { bytes, .. } => Some(bytes),
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
    image.layers().iter().zip(facts).enumerate().map(row).collect()
}
