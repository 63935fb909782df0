//! The difference between two images, by owner and by Dockerfile line.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::changed_files::ChangedFile;
use crate::owner::OwnerKind;
use crate::record::{Contents, Layer};
use model::bytes::Bytes;

/// The difference between two images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Version of this format.
    pub schema: u32,
    /// The first image.
    pub before: ComparedImage,
    /// The second.
    pub after: ComparedImage,
    /// How much larger the second is, negative if it is smaller: the sum of `owners`, and also of `lines`.
    pub bytes: i64,
    /// Changed owners, the largest change first. Waste counts as an owner.
    pub owners: Vec<OwnerChange>,
    /// Changed Dockerfile lines, or instructions of no Dockerfile here; the largest change first.
    pub lines: Vec<LineChange>,
    /// Files that changed without changing size, largest first.
    pub files: Vec<ChangedFile>,
    /// A summary in one sentence.
    pub sentence: String,
}

/// One of the two images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComparedImage {
    /// The reference that was requested.
    pub image: String,
    /// Its ID.
    pub id: String,
    /// Its unpacked bytes.
    pub bytes: Bytes,
}

/// How an owner or a line changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// Only the second image has it.
    Added,
    /// Only the first has it.
    Removed,
    /// Both have it, the second more.
    Grown,
    /// Both have it, the second less.
    Shrunk,
    /// Both have the same number of bytes, of different versions.
    Changed,
}

impl Change {
    fn of(before: Option<Bytes>, after: Option<Bytes>) -> Change {
        match (before, after) {
            (None, _) => Change::Added,
            (_, None) => Change::Removed,
            (Some(before), Some(after)) if before < after => Change::Grown,
            (Some(before), Some(after)) if before > after => Change::Shrunk,
            _ => Change::Changed,
        }
    }

    /// The change as tables show it.
    pub fn name(self) -> &'static str {
        match self {
            Change::Added => "added",
            Change::Removed => "removed",
            Change::Grown => "grown",
            Change::Shrunk => "shrunk",
            Change::Changed => "changed",
        }
    }
}

/// The change of an owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerChange {
    /// How it changed.
    pub change: Change,
    /// The owner's kind; none for waste.
    pub kind: Option<OwnerKind>,
    /// The owner's name.
    pub name: String,
    /// Its version in the first image.
    pub version_before: Option<String>,
    /// Its version in the second.
    pub version_after: Option<String>,
    /// Bytes in the first.
    pub before: Bytes,
    /// Bytes in the second.
    pub after: Bytes,
    /// The difference.
    pub bytes: i64,
    /// The origin of most of its bytes, in the image that has more.
    pub place: Option<String>,
    /// Its largest file there.
    pub largest: Option<String>,
}

/// The change of a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineChange {
    /// How it changed.
    pub change: Change,
    /// `FILE:LINE`, or the instruction.
    pub place: String,
    /// The instruction.
    pub instruction: Option<String>,
    /// Bytes in the first image.
    pub before: Bytes,
    /// Bytes in the second.
    pub after: Bytes,
    /// The difference.
    pub bytes: i64,
}

impl Difference {
    /// Compares two images. `files` changed without changing size.
    pub fn between(before: &Contents, after: &Contents, files: Vec<ChangedFile>) -> Difference {
        let side =
            |of: &Contents| ComparedImage { image: of.image.clone(), id: of.id.clone(), bytes: of.bytes };
        let owners = owners(before, after);
        let mut difference = Difference {
            schema: 1,
            before: side(before),
            after: side(after),
            bytes: minus(after.bytes, before.bytes),
            lines: lines(before, after),
            owners,
            files,
            sentence: String::new(),
        };
        difference.sentence = difference.sentence();
        difference
    }

    fn sentence(&self) -> String {
        let (first, second) = (&self.before.image, &self.after.image);
        let whole = match self.bytes {
            0 => format!("{second} and {first} have the same size"),
            more if more > 0 => format!("{second} is {} larger than {first}", Bytes(more.unsigned_abs())),
            less => format!("{second} is {} smaller than {first}", Bytes(less.unsigned_abs())),
        };
        let Some(most) = self.owners.iter().find(|owner| owner.bytes != 0) else {
            return format!("{whole}; {}.", self.same_sizes());
        };
        let place = most.place.as_ref().map(|place| format!(" (`{place}`)")).unwrap_or_default();
        format!("{whole}; largest change: {} {}{place}.", most.name, signed(most.bytes))
    }

    /// What differs between images whose owners have equal sizes.
    fn same_sizes(&self) -> String {
        if self.before.id == self.after.id {
            return "they are the same image".to_owned();
        }
        let Some(first) = self.files.first() else {
            return "all files are equal; only times, links, folders or the configuration may differ"
                .to_owned();
        };
        let place = first.place.as_ref().map(|place| format!(" (`{place}`)")).unwrap_or_default();
        let count = match self.files.len() {
            1 => "1 file differs".to_owned(),
            count => format!("{count} files differ"),
        };
        format!("no owner changed in size, but {count}: {} of /{}{place}", first.what, first.path)
    }
}

/// `+1.9GB`, `−12kB`, `0B`.
pub fn signed(bytes: i64) -> String {
    let sign = match bytes.signum() {
        1 => "+",
        -1 => "−",
        _ => "",
    };
    format!("{sign}{}", Bytes(bytes.unsigned_abs()))
}

/// The change of a size. Images fit on disks, so their sizes fit into 63 bits.
pub fn minus(after: Bytes, before: Bytes) -> i64 {
    i64::try_from(i128::from(after.0) - i128::from(before.0)).unwrap_or(i64::MAX)
}

/// What one image has of an owner: all versions together.
struct Side {
    bytes: Bytes,
    version: Option<String>,
    place: Option<String>,
    largest: Option<String>,
}

/// Owners by kind and name. Waste has no kind.
fn sides(of: &Contents) -> BTreeMap<(Option<OwnerKind>, &str), Side> {
    let place = |layer: usize| of.layers.get(layer).map(Layer::place);
    let mut sides: BTreeMap<_, Side> = BTreeMap::new();
    for owner in &of.owners {
        let (version, largest) = (owner.version.clone(), owner.largest.first().map(|file| file.path.clone()));
        let Some(side) = sides.get_mut(&(Some(owner.kind), owner.name.as_str())) else {
            let side =
                Side { bytes: owner.bytes, version, place: owner.main_layer().and_then(place), largest };
            sides.insert((Some(owner.kind), owner.name.as_str()), side);
            continue;
        };
        // The larger one comes first: its layer and its file are shown.
        side.bytes = side.bytes + owner.bytes;
        let versions: Vec<String> = side.version.take().into_iter().chain(version).collect();
        side.version = (!versions.is_empty()).then(|| versions.join(", "));
    }
    if let Some(file) = of.waste.largest.first() {
        let cause = of.waste.causes().into_iter().max_by_key(|(_, bytes)| *bytes);
        let (place, largest) = (cause.and_then(|(layer, _)| place(layer)), Some(file.path.clone()));
        let side = Side { bytes: of.waste.bytes, version: None, place, largest };
        sides.insert((None, "hidden by later layers"), side);
    }
    sides
}

fn owners(before: &Contents, after: &Contents) -> Vec<OwnerChange> {
    let (old, new) = (sides(before), sides(after));
    let keys: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let changes = keys.into_iter().filter_map(|key| owner_change(key.0, key.1, old.get(key), new.get(key)));
    let mut changes: Vec<OwnerChange> = changes.collect();
    changes.sort_by(|a, b| {
        b.bytes.unsigned_abs().cmp(&a.bytes.unsigned_abs()).then_with(|| a.name.cmp(&b.name))
    });
    changes
}

fn owner_change(
    kind: Option<OwnerKind>,
    name: &str,
    before: Option<&Side>,
    after: Option<&Side>,
) -> Option<OwnerChange> {
    let bytes = |side: Option<&Side>| side.map(|side| side.bytes);
    let version = |side: Option<&Side>| side.and_then(|side| side.version.clone());
    let delta = minus(bytes(after).unwrap_or_default(), bytes(before).unwrap_or_default());
    let larger = if delta < 0 { before.or(after)? } else { after.or(before)? };
    let is_in_both = before.is_some() && after.is_some();
    if delta == 0 && (!is_in_both || version(before) == version(after)) {
        return None;
    }
    Some(OwnerChange {
        change: Change::of(bytes(before), bytes(after)),
        kind,
        name: name.to_owned(),
        version_before: version(before),
        version_after: version(after),
        before: bytes(before).unwrap_or_default(),
        after: bytes(after).unwrap_or_default(),
        bytes: delta,
        place: larger.place.clone(),
        largest: larger.largest.clone(),
    })
}

fn lines(before: &Contents, after: &Contents) -> Vec<LineChange> {
    let mut places: BTreeMap<String, (Option<String>, [Option<Bytes>; 2])> = BTreeMap::new();
    for (index, contents) in [before, after].into_iter().enumerate() {
        for layer in &contents.layers {
            let (instruction, sums) = places.entry(layer.place()).or_default();
            instruction.clone_from(&layer.instruction);
            sums[index] = Some(sums[index].unwrap_or_default() + layer.bytes);
        }
    }
    let change = |(place, (instruction, [before, after])): (String, (Option<String>, [Option<Bytes>; 2]))| {
        let change = Change::of(before, after);
        let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
        LineChange { change, place, instruction, before, after, bytes: minus(after, before) }
    };
    let mut changes: Vec<LineChange> =
        places.into_iter().map(change).filter(|change| change.bytes != 0).collect();
    changes.sort_by(|a, b| {
        b.bytes.unsigned_abs().cmp(&a.bytes.unsigned_abs()).then_with(|| a.place.cmp(&b.place))
    });
    changes
}
