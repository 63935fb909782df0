//! Image contents: every byte of an image explained. Layers are read once (`reading`) and remembered (`cache`); all else is
//! computed from what is remembered: what a container sees (`tree`), who brought it (`owners`), what could go
//! (`opportunities`), which line of which Dockerfile did it (`origins`).

pub mod cache;
pub mod difference;
pub mod dynamic;
pub mod elf;
pub mod facts;
#[cfg(test)]
mod hostile;
pub mod notes;
pub mod opportunities;
pub mod opportunity;
pub mod origins;
pub mod owner;
pub mod owners;
pub mod packing;
pub mod reading;
pub mod record;
pub mod saving;
pub mod sbom;
pub mod scan;
pub mod text;
pub mod tree;
pub mod waste;
pub mod why_text;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::{Context as _, Result, ensure};

use crate::cache::Cache;
use crate::facts::{Kind, LayerFacts, Note};
use crate::owner::Owner;
use crate::owners::{Hints, keep_largest};
use crate::reading::{Learned, MOST_WHOLE, More};
use crate::record::{Contents, Layer, Surface};
use crate::scan::{Found, Scanner};
use crate::tree::Tree;
use crate::waste::{Waste, WastedFile};
use engine::context::Context;
use engine::images::{HistoryEntry, Image};
use host::paths::Repository;
use model::bytes::Bytes;
use model::manifest::Manifest;

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

/// Explains some images. Layers that are not known yet are read, those of small images from one `docker save`.
///
/// # Errors
/// When docker cannot be asked, an image is damaged or hostile, or the person interrupts.
pub fn analyze(asked: &[Asked], manifest: &Manifest, context: &Context) -> Result<Vec<Contents>> {
    let cache = Cache::of(&context.repository);
    let known: Vec<Option<Contents>> =
        asked.iter().map(|asked| cache.image(&asked.image.id)).collect::<Result<_>>()?;
    let unknown = asked.iter().zip(&known).filter(|(_, known)| known.is_none()).map(|(asked, _)| asked);
    let facts = layers(&unknown.collect::<Vec<_>>(), &cache, More::default(), context)?;
    let mut explained = Vec::new();
    for (Asked { reference, image }, known) in asked.iter().zip(known) {
        let mut contents = match known {
            Some(contents) => Contents { image: reference.clone(), ..contents },
            None => {
                let contents = explain(reference, image, &of_image(image, reference, &facts)?)?;
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

/// What is remembered of an image by its ID; lines of Dockerfiles are not part of it.
///
/// # Errors
/// When the ID is none.
pub fn remembered_image(id: &str, repository: &Repository) -> Result<Option<Contents>> {
    Cache::of(repository).image(id)
}

/// An image with everything in it, for those who must look at more than its record.
#[derive(Debug)]
pub struct Inside<'f> {
    /// The image.
    pub asked: &'f Asked,
    /// Its record.
    pub contents: Contents,
    /// What a container sees.
    pub tree: Tree<'f>,
    /// What package managers and scripts say, as far as a container sees it.
    pub notes: Vec<&'f Note>,
    /// Secrets, by layer, those included that a later layer hides.
    pub found: Vec<(usize, &'f Found)>,
    /// The lines of its history, newest first.
    pub history: Vec<HistoryEntry>,
}

/// Files above this size may hold what is not looked at: the names that the loader needs, far from their ends.
pub const MOST_LOOKED_AT: u64 = MOST_WHOLE;

/// Looks into images, for secrets too. Layers that are not known yet are read, those of small images from one `docker save`.
///
/// # Errors
/// When docker cannot be asked, an image is damaged or hostile, or the person interrupts.
pub fn look<T>(
    asked: &[Asked],
    scanner: &Scanner,
    manifest: &Manifest,
    context: &Context,
    each: &mut dyn FnMut(&Inside<'_>) -> T,
) -> Result<Vec<T>> {
    let cache = Cache::of(&context.repository);
    let more = More { scanner: Some(scanner), packed: false };
    let learned = layers(&asked.iter().collect::<Vec<_>>(), &cache, more, context)?;
    let mut seen = Vec::new();
    for one in asked {
        let image = &one.image;
        let facts = of_image(image, &one.reference, &learned)?;
        let known = cache.image(&image.id)?;
        let is_known = known.is_some();
        let mut contents = match known {
            Some(contents) => contents,
            None => explain(&one.reference, image, &facts)?,
        };
        if !is_known {
            kept(cache.keep_image(&image.id, &contents), context);
        }
        contents.image.clone_from(&one.reference);
        let history = context.docker.history(&image.id)?;
        origins::find(&mut contents, image, &history, manifest, &context.repository)?;
        let tree = Tree::of(&facts);
        let notes = visible(&tree, &facts);
        let layers = image.layers().iter().enumerate();
        let found = layers
            .flat_map(|(at, diff_id)| {
                let found = learned.get(diff_id).and_then(|learned| learned.found.as_deref());
                found.unwrap_or_default().iter().map(move |found| (at, found))
            })
            .collect();
        seen.push(each(&Inside { asked: one, contents, tree, notes, found, history }));
    }
    Ok(seen)
}

/// The packed bytes of all layers of some images, by digest.
///
/// # Errors
/// As for [`analyze`].
pub fn packed(asked: &[Asked], context: &Context) -> Result<BTreeMap<String, Bytes>> {
    let more = More { scanner: None, packed: true };
    let learned = layers(&asked.iter().collect::<Vec<_>>(), &Cache::of(&context.repository), more, context)?;
    let sizes = learned.into_iter().filter_map(|(diff_id, learned)| Some((diff_id, Bytes(learned.packed?))));
    Ok(sizes.collect())
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
    learned: &'f BTreeMap<String, Learned>,
) -> Result<Vec<&'f LayerFacts>> {
    let layer = |diff_id: &String| {
        let learned = learned.get(diff_id);
        learned
            .map(|learned| &learned.facts)
            .with_context(|| format!("`docker save` left out layer {diff_id} of {reference}"))
    };
    image.layers().iter().map(layer).collect()
}

/// What is known of the layers of some images, and what more is wanted.
fn layers(
    asked: &[&Asked],
    cache: &Cache,
    more: More<'_>,
    context: &Context,
) -> Result<BTreeMap<String, Learned>> {
    let wanted: BTreeSet<&String> = asked.iter().flat_map(|asked| asked.image.layers()).collect();
    let mut known = BTreeMap::new();
    for &diff_id in &wanted {
        if let Some(learned) = remembered(diff_id, cache, more)? {
            known.insert(diff_id.clone(), learned);
        }
    }
    let lacks = |asked: &Asked, known: &BTreeMap<String, Learned>| {
        asked.image.layers().iter().any(|diff_id| !known.contains_key(diff_id))
    };
    let unread: Vec<&Asked> = asked.iter().copied().filter(|asked| lacks(asked, &known)).collect();
    for mut batch in saving::batches(&unread) {
        // What the batch before has taught may be enough.
        batch.retain(|asked| lacks(asked, &known));
        if batch.is_empty() {
            continue;
        }
        for (diff_id, learned) in saving::read(&batch, &known, more, context)? {
            if wanted.contains(&diff_id) && !known.contains_key(&diff_id) {
                kept(keep(&diff_id, &learned, cache, more), context);
                known.insert(diff_id, learned);
            }
        }
    }
    Ok(known)
}

/// A layer of which everything that is wanted is in the cache.
fn remembered(diff_id: &str, cache: &Cache, more: More<'_>) -> Result<Option<Learned>> {
    let found = match more.scanner {
        Some(scanner) => Some(cache.found(diff_id, scanner)?),
        None => None,
    };
    let packed = if more.packed { Some(cache.packed(diff_id)?) } else { None };
    if matches!(found, Some(None)) || matches!(packed, Some(None)) {
        return Ok(None);
    }
    let facts = cache.layer(diff_id)?;
    Ok(facts.map(|facts| Learned { facts, found: found.flatten(), packed: packed.flatten() }))
}

fn keep(diff_id: &str, learned: &Learned, cache: &Cache, more: More<'_>) -> Result<()> {
    cache.keep_layer(diff_id, &learned.facts)?;
    if let Some((scanner, found)) = more.scanner.zip(learned.found.as_ref()) {
        cache.keep_found(diff_id, scanner, found)?;
    }
    learned.packed.map_or(Ok(()), |bytes| cache.keep_packed(diff_id, bytes))
}

/// What notes say as far as a container sees it: a record that a later layer replaced says nothing any more.
fn visible<'f>(tree: &Tree<'_>, facts: &[&'f LayerFacts]) -> Vec<&'f Note> {
    let layers = facts.iter().enumerate();
    let notes = layers.flat_map(|(layer, facts)| facts.notes.iter().map(move |note| (layer, note)));
    notes.filter(|(layer, note)| tree.shows(&note.path, *layer)).map(|(_, note)| note).collect()
}

/// Explains an image from what is known of its layers.
///
/// # Errors
/// When the record does not add up: nobody is to rest on it then.
fn explain(reference: &str, image: &Image, facts: &[&LayerFacts]) -> Result<Contents> {
    let tree = Tree::of(facts);
    let notes = visible(&tree, facts);
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
    let contents = Contents {
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
    };
    ensure!(
        contents.adds_up(),
        "the bytes of {reference} do not add up, which is a fault of this program: report it"
    );
    Ok(contents)
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
