//! The first layer in which two images differ, and the file that causes the difference. Compares everything that a layer's digest
//! covers: contents, types, modes, owners, extended attributes and times.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, Read};

use anyhow::Result;
use xxhash_rust::xxh3::Xxh3;

use engine::archive::{self, Verify};
use engine::context::Context;
use engine::images::Image;
use engine::layer_tar::{self, Budget, LayerEntry, LayerEntryKind};

/// The maximum number of bytes of a differing file to keep in memory, to find the first differing byte.
const MAX_KEPT: u64 = 64_000_000;

/// The first layer in which two images differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerDifference {
    /// Its index, base first.
    pub layer: usize,
    /// The number of differing layers, including this one; the others may differ only because of this one.
    pub layers: usize,
    /// The file that causes the difference; `None` if only the order or the headers of the layer's tar entries differ, or one image
    /// does not have the layer.
    pub file: Option<FileDifference>,
}

/// A file that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileDifference {
    /// Relative to the image's root, without a leading slash; empty for the root.
    pub path: String,
    /// What differs, most significant first.
    pub aspects: Vec<Aspect>,
    /// The number of other files in the layer that differ.
    pub others: usize,
}

/// What differs about a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Aspect {
    /// Only one image has it: the first image if `true`.
    Missing(bool),
    /// Its type or the target of a link.
    Type([String; 2]),
    /// Its content, from this byte on; `None` if the first 64 MB are equal.
    Content {
        /// The first differing byte.
        offset: Option<u64>,
        /// Its size in both images.
        bytes: [u64; 2],
    },
    /// Its permission bits.
    Mode([u32; 2]),
    /// Its user and group IDs.
    Owner([[u32; 2]; 2]),
    /// An extended attribute, or another property from pax headers, by name.
    Property(String),
    /// Its modification time, in seconds since 1970.
    Time([u64; 2]),
}

impl Aspect {
    /// How close it is to the cause: content, then permissions, then times. A folder's time changes with every file created in it.
    fn rank(&self) -> u8 {
        match self {
            Aspect::Missing(_) | Aspect::Type(_) | Aspect::Content { .. } => 0,
            Aspect::Mode(_) | Aspect::Owner(_) | Aspect::Property(_) => 1,
            Aspect::Time(_) => 2,
        }
    }
}

impl fmt::Display for Aspect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Aspect::Missing(true) => f.write_str("only in the first build"),
            Aspect::Missing(false) => f.write_str("only in the second build"),
            Aspect::Type([first, second]) => write!(f, "type ({first}, {second})"),
            Aspect::Content { offset: Some(offset), bytes: [first, second] } if first == second => {
                write!(f, "content from byte {offset} of {first}")
            }
            Aspect::Content { offset: Some(offset), bytes: [first, second] } => {
                write!(f, "content from byte {offset} ({first} bytes, {second} bytes)")
            }
            Aspect::Content { offset: None, bytes: [first, second] } => {
                write!(f, "content after the first {MAX_KEPT} bytes ({first} bytes, {second} bytes)")
            }
            Aspect::Mode([first, second]) => write!(f, "mode ({first:o}, {second:o})"),
            Aspect::Owner([first, second]) => {
                write!(f, "owner ({}:{}, {}:{})", first[0], first[1], second[0], second[1])
            }
            Aspect::Property(name) => match name.strip_prefix("SCHILY.xattr.") {
                Some(attribute) => write!(f, "extended attribute {attribute}"),
                None => write!(f, "property {name}"),
            },
            Aspect::Time([first, second]) => write!(f, "modification time ({first}, {second})"),
        }
    }
}

/// Finds the first layer in which two images of the engine differ; `None` if their layers are equal.
///
/// # Errors
/// When docker cannot save them, an image is damaged, or the user interrupts.
pub fn first_difference(images: [&Image; 2], context: &Context) -> Result<Option<LayerDifference>> {
    let [first, second] = images.map(Image::layers);
    let longest = first.len().max(second.len());
    let Some(layer) = (0..longest).find(|&index| first.get(index) != second.get(index)) else {
        return Ok(None);
    };
    let layers = (layer..longest).filter(|&index| first.get(index) != second.get(index)).count();
    let (Some(one), Some(other)) = (first.get(layer), second.get(layer)) else {
        return Ok(Some(LayerDifference { layer, layers, file: None }));
    };
    let pair = Pair { images, digests: [one, other], context };
    let (names, [one, other]) = pair.entries()?;
    let mut file = compare(&one, &other);
    if let Some(file) = &mut file
        && let Some(Aspect::Content { offset, .. }) = file.aspects.first_mut()
    {
        *offset = pair.offset(&names, &file.path)?;
    }
    Ok(Some(LayerDifference { layer, layers, file }))
}

/// An entry with the hash of its content.
type Hashed = (LayerEntry, u128);

/// Two layers of two images.
struct Pair<'a> {
    images: [&'a Image; 2],
    digests: [&'a String; 2],
    context: &'a Context,
}

impl Pair<'_> {
    /// The names of the two layers in an archive of both images, and their entries.
    fn entries(&self) -> Result<([String; 2], [Vec<Hashed>; 2])> {
        let mut budget = Budget::default();
        let mut read: HashMap<String, Vec<Hashed>> = HashMap::new();
        let index = self.context.docker.save(&self.images, |archive| {
            archive::read(archive, Verify::Nothing, &mut |name, layer| {
                if self.is_other(name) {
                    return Ok(());
                }
                let mut entries = Vec::new();
                layer_tar::read(layer, &mut budget, &mut |entry, content| {
                    self.context.docker.runner.interrupt.check()?;
                    entries.push((entry, hash(content)?));
                    Ok(())
                })?;
                read.insert(name.to_owned(), entries);
                Ok(())
            })
        })?;
        let layers = index.layers()?;
        let name_of = |digest: &String| {
            let layer = layers.iter().find(|layer| layer.diff_id == *digest);
            layer.map(|layer| layer.name.clone()).unwrap_or_default()
        };
        let names = self.digests.map(name_of);
        let entries = [0, 1].map(|index| read.remove(&names[index]).unwrap_or_default());
        Ok((names, entries))
    }

    /// Whether an archive's entry name shows that it is a different layer: an unpacked layer is named by its digest.
    fn is_other(&self, name: &str) -> bool {
        let digest = name.strip_prefix("blobs/sha256/").map(|hex| format!("sha256:{hex}"));
        let is_layer = |digest: &String| self.images.iter().any(|image| image.layers().contains(digest));
        digest.is_some_and(|digest| is_layer(&digest) && !self.digests.contains(&&digest))
    }

    /// The first differing byte of a file; `None` if it is not among the first [`MAX_KEPT`].
    fn offset(&self, names: &[String; 2], path: &str) -> Result<Option<u64>> {
        let mut budget = Budget::default();
        let mut kept: [Vec<u8>; 2] = Default::default();
        self.context.docker.save(&self.images, |archive| {
            archive::read(archive, Verify::Nothing, &mut |name, layer| {
                let Some(index) = names.iter().position(|wanted| wanted == name) else { return Ok(()) };
                layer_tar::read(layer, &mut budget, &mut |entry, content| {
                    if entry.path == path && kept[index].is_empty() {
                        content.take(MAX_KEPT).read_to_end(&mut kept[index])?;
                    }
                    Ok(())
                })
            })
        })?;
        Ok(first_differing_byte(&kept[0], &kept[1]))
    }
}

/// The first byte that differs, or that only one side has.
fn first_differing_byte(first: &[u8], second: &[u8]) -> Option<u64> {
    let at = first.iter().zip(second).position(|(one, other)| one != other);
    let end = (first.len() != second.len()).then_some(first.len().min(second.len()));
    at.or(end).and_then(|at| u64::try_from(at).ok())
}

fn hash(content: &mut dyn Read) -> io::Result<u128> {
    let (mut hash, mut buffer) = (Xxh3::new(), vec![0; 1 << 16]);
    loop {
        match content.read(&mut buffer)? {
            0 => return Ok(hash.digest128()),
            n => hash.update(&buffer[..n]),
        }
    }
}

/// The most significant differing file; if there are several, the first in the layer.
fn compare(first: &[Hashed], second: &[Hashed]) -> Option<FileDifference> {
    let by_path = |entries: &[Hashed]| -> HashMap<(String, bool), usize> {
        entries.iter().enumerate().map(|(index, (entry, _))| (key(entry), index)).collect()
    };
    let (in_first, in_second) = (by_path(first), by_path(second));
    let mut found: Vec<(String, Vec<Aspect>)> = Vec::new();
    for (entry, hash) in first {
        let aspects = match in_second.get(&key(entry)) {
            Some(&index) => aspects([(entry, *hash), (&second[index].0, second[index].1)]),
            None => vec![Aspect::Missing(true)],
        };
        found.push((entry.path.clone(), aspects));
    }
    let only_second = second.iter().filter(|(entry, _)| !in_first.contains_key(&key(entry)));
    found.extend(only_second.map(|(entry, _)| (entry.path.clone(), vec![Aspect::Missing(false)])));
    found.retain(|(_, aspects)| !aspects.is_empty());
    let others = found.len().saturating_sub(1);
    let rank = |aspects: &[Aspect]| aspects.iter().map(Aspect::rank).min();
    let (path, aspects) = found.into_iter().min_by_key(|(_, aspects)| rank(aspects))?;
    Some(FileDifference { path, aspects, others })
}

/// A path, and whether the layer deletes it from lower layers: to replace a folder, a layer can delete it first.
fn key(entry: &LayerEntry) -> (String, bool) {
    (entry.path.clone(), matches!(entry.kind, LayerEntryKind::Whiteout | LayerEntryKind::Opaque))
}

fn aspects([(first, first_hash), (second, second_hash)]: [(&LayerEntry, u128); 2]) -> Vec<Aspect> {
    let mut found = Vec::new();
    let sizes = [first, second].map(|entry| match entry.kind {
        LayerEntryKind::File { bytes, .. } => Some(bytes),
        _ => None,
    });
    match sizes {
        [Some(one), Some(other)] if one != other || first_hash != second_hash => {
            found.push(Aspect::Content { offset: None, bytes: [one, other] });
        }
        [Some(_), Some(_)] => {}
        _ if first.kind != second.kind => {
            found.push(Aspect::Type([&first.kind, &second.kind].map(described)));
        }
        _ => {}
    }
    if first.mode != second.mode {
        found.push(Aspect::Mode([first.mode, second.mode]));
    }
    if first.owner != second.owner {
        found.push(Aspect::Owner([first.owner, second.owner]));
    }
    let differing = |one: &LayerEntry, other: &LayerEntry| -> Vec<String> {
        let missing = one.properties.iter().filter(|property| !other.properties.contains(property));
        missing.map(|(name, _)| name.clone()).collect()
    };
    let mut names = differing(first, second);
    names.extend(differing(second, first));
    names.sort();
    names.dedup();
    found.extend(names.into_iter().map(Aspect::Property));
    if first.modified != second.modified {
        found.push(Aspect::Time([first.modified, second.modified]));
    }
    found
}

fn described(kind: &LayerEntryKind) -> String {
    match kind {
        LayerEntryKind::File { .. } => "file".to_owned(),
        LayerEntryKind::HardLink(target) => format!("hard link to /{target}"),
        LayerEntryKind::Symlink(target) => format!("link to {target}"),
        LayerEntryKind::Folder => "folder".to_owned(),
        LayerEntryKind::Other(_) => "device or pipe".to_owned(),
        LayerEntryKind::Whiteout => "deleted".to_owned(),
        LayerEntryKind::Opaque => "emptied folder".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, modified: u64, hash: u128) -> Hashed {
        let kind = LayerEntryKind::File { bytes: 3, readable: true };
        let (mode, owner, properties) = (0o644, [0; 2], Vec::new());
        (LayerEntry { path: path.into(), mode, owner, modified, properties, kind }, hash)
    }

    fn text(first: &[Hashed], second: &[Hashed]) -> Option<String> {
        let found = compare(first, second)?;
        let aspects: Vec<String> = found.aspects.iter().map(ToString::to_string).collect();
        Some(format!("{}: {}; {} others", found.path, aspects.join(", "), found.others))
    }

    #[test]
    fn content_is_named_before_times_that_come_first_in_the_layer() {
        let first = [file("app", 1, 0), file("app/a", 5, 7), file("app/b", 5, 8)];
        let second = [file("app", 2, 0), file("app/a", 5, 9), file("app/b", 6, 8)];
        let expected = "app/a: content after the first 64000000 bytes (3 bytes, 3 bytes); 2 others";
        assert_eq!(text(&first, &second).as_deref(), Some(expected));
        assert_eq!(text(&first, &first), None);
        let expected = "app: modification time (1, 2); 0 others";
        assert_eq!(text(&first[..1], &second[..1]).as_deref(), Some(expected));
    }

    #[test]
    fn every_property_is_compared() {
        let first = [file("a", 1, 0)];
        for (change, expected) in [
            ((|one: &mut LayerEntry| one.mode = 0o755) as fn(&mut LayerEntry), "mode (644, 755)"),
            (|one| one.owner = [1, 2], "owner (0:0, 1:2)"),
            (
                |one| one.properties = vec![("SCHILY.xattr.user.x".into(), vec![1])],
                "extended attribute user.x",
            ),
            (|one| one.kind = LayerEntryKind::Symlink("b".into()), "type (file, link to b)"),
        ] {
            let mut second = first.clone();
            change(&mut second[0].0);
            assert_eq!(text(&first, &second), Some(format!("a: {expected}; 0 others")));
        }
    }

    #[test]
    fn files_of_only_one_build_are_named() {
        let first = [file("a", 1, 0)];
        assert_eq!(text(&first, &[]).as_deref(), Some("a: only in the first build; 0 others"));
        assert_eq!(text(&[], &first).as_deref(), Some("a: only in the second build; 0 others"));
    }

    #[test]
    fn the_first_differing_byte_may_be_the_end_of_the_shorter_file() {
        assert_eq!(first_differing_byte(b"abc", b"abd"), Some(2));
        assert_eq!(first_differing_byte(b"ab", b"abc"), Some(2));
        assert_eq!(first_differing_byte(b"ab", b"ab"), None);
    }
}
