//! The difference between two images, by owner and by Dockerfile line.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::owner::{Owner, OwnerKind};
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
    /// Compares two images.
    pub fn between(before: &Contents, after: &Contents) -> Difference {
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
            return format!("{whole}; no owner changed in size.");
        };
        let place = most.place.as_ref().map(|place| format!(" (`{place}`)")).unwrap_or_default();
        format!("{whole}; largest change: {} {}{place}.", most.name, signed(most.bytes))
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

/// Images fit on disks, so their sizes fit into 63 bits.
fn minus(after: Bytes, before: Bytes) -> i64 {
    i64::try_from(i128::from(after.0) - i128::from(before.0)).unwrap_or(i64::MAX)
}

/// Owners by kind and name, their versions together.
fn by_name(of: &Contents) -> BTreeMap<(OwnerKind, &str), Owner> {
    let mut found: BTreeMap<(OwnerKind, &str), Owner> = BTreeMap::new();
    for owner in &of.owners {
        let key = (owner.kind, owner.name.as_str());
        let Some(other) = found.get_mut(&key) else {
            found.insert(key, owner.clone());
            continue;
        };
        // The larger one comes first: its layers and files are shown.
        other.bytes = other.bytes + owner.bytes;
        let versions = [&other.version, &owner.version].into_iter().flatten().cloned().collect::<Vec<_>>();
        other.version = (!versions.is_empty()).then(|| versions.join(", "));
    }
    found
}

fn owners(before: &Contents, after: &Contents) -> Vec<OwnerChange> {
    let (old, new) = (by_name(before), by_name(after));
    let keys: BTreeSet<&(OwnerKind, &str)> = old.keys().chain(new.keys()).collect();
    let change = |key| {
        let side = |of: &'_ BTreeMap<_, Owner>| of.get(key).cloned();
        owner_change(
            side(&old).as_ref().map(|owner| (owner, before)),
            side(&new).as_ref().map(|owner| (owner, after)),
        )
    };
    let mut changes: Vec<OwnerChange> = keys.into_iter().filter_map(change).collect();
    changes.extend(waste(before, after));
    changes.sort_by(|a, b| {
        b.bytes.unsigned_abs().cmp(&a.bytes.unsigned_abs()).then_with(|| a.name.cmp(&b.name))
    });
    changes
}

fn owner_change(
    before: Option<(&Owner, &Contents)>,
    after: Option<(&Owner, &Contents)>,
) -> Option<OwnerChange> {
    let bytes = |side: Option<(&Owner, &Contents)>| side.map(|(owner, _)| owner.bytes);
    let version = |side: Option<(&Owner, &Contents)>| side.and_then(|(owner, _)| owner.version.clone());
    let delta = minus(bytes(after).unwrap_or_default(), bytes(before).unwrap_or_default());
    let (owner, image) = if delta < 0 { before.or(after)? } else { after.or(before)? };
    let both = before.is_some() && after.is_some();
    if delta == 0 && (!both || version(before) == version(after)) {
        return None;
    }
    Some(OwnerChange {
        change: Change::of(bytes(before), bytes(after)),
        kind: Some(owner.kind),
        name: owner.name.clone(),
        version_before: version(before),
        version_after: version(after),
        before: bytes(before).unwrap_or_default(),
        after: bytes(after).unwrap_or_default(),
        bytes: delta,
        place: owner.main_layer().and_then(|layer| image.layers.get(layer)).map(Layer::place),
        largest: owner.largest.first().map(|file| file.path.clone()),
    })
}

fn waste(before: &Contents, after: &Contents) -> Option<OwnerChange> {
    let delta = minus(after.waste.bytes, before.waste.bytes);
    let side = if delta < 0 { before } else { after };
    let first = side.waste.largest.first();
    let some = |of: &Contents| Some(of.waste.bytes).filter(|bytes| bytes.0 > 0);
    (delta != 0).then(|| OwnerChange {
        change: Change::of(some(before), some(after)),
        kind: None,
        name: "hidden by later layers".to_owned(),
        version_before: None,
        version_after: None,
        before: before.waste.bytes,
        after: after.waste.bytes,
        bytes: delta,
        place: first.and_then(|file| side.layers.get(file.layer)).map(Layer::place),
        largest: first.map(|file| file.path.clone()),
    })
}

fn lines(before: &Contents, after: &Contents) -> Vec<LineChange> {
    let mut places: BTreeMap<String, Line> = BTreeMap::new();
    let sides = [(before, false), (after, true)];
    for (layer, is_after) in
        sides.into_iter().flat_map(|(of, is_after)| of.layers.iter().map(move |layer| (layer, is_after)))
    {
        let line = places.entry(layer.place()).or_default();
        line.instruction.clone_from(&layer.instruction);
        let bytes = if is_after { &mut line.after } else { &mut line.before };
        *bytes = Some(bytes.unwrap_or_default() + layer.bytes);
    }
    let mut changes: Vec<LineChange> = places
        .into_iter()
        .map(|(place, Line { instruction, before, after })| LineChange {
            change: Change::of(before, after),
            bytes: minus(after.unwrap_or_default(), before.unwrap_or_default()),
            before: before.unwrap_or_default(),
            after: after.unwrap_or_default(),
            place,
            instruction,
        })
        .filter(|change| change.bytes != 0)
        .collect();
    changes.sort_by(|a, b| {
        b.bytes.unsigned_abs().cmp(&a.bytes.unsigned_abs()).then_with(|| a.place.cmp(&b.place))
    });
    changes
}

/// The bytes of a line in the two images.
#[derive(Default)]
struct Line {
    instruction: Option<String>,
    before: Option<Bytes>,
    after: Option<Bytes>,
}
