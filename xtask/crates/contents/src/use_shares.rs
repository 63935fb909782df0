//! How much of an image was used, in all and by owner.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::owner::OwnerKind;
use crate::used::{FileUse, UsePhase, UseRecord};
use model::bytes::Bytes;

/// Bytes by use. Each byte counts once, so the fields add up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedBytes {
    /// Of files that were never opened.
    pub never: Bytes,
    /// Opened only at the start.
    pub start_only: Bytes,
    /// Opened at the start, and again later.
    pub start_and_later: Bytes,
    /// First opened while the container was idle.
    pub idle: Bytes,
    /// First opened by a probe: without probes, they would not have been opened.
    pub probes: Bytes,
    /// Opened only while the container stopped.
    pub stop: Bytes,
}

impl UsedBytes {
    /// All bytes.
    pub fn all(&self) -> Bytes {
        self.never + self.opened()
    }

    /// Bytes of files that were opened at least once.
    pub fn opened(&self) -> Bytes {
        self.start_only + self.start_and_later + self.idle + self.probes + self.stop
    }

    fn plus(self, other: UsedBytes) -> UsedBytes {
        UsedBytes {
            never: self.never + other.never,
            start_only: self.start_only + other.start_only,
            start_and_later: self.start_and_later + other.start_and_later,
            idle: self.idle + other.idle,
            probes: self.probes + other.probes,
            stop: self.stop + other.stop,
        }
    }

    /// Adds a file that was opened.
    fn add(&mut self, file: &FileUse, phases: &[UsePhase]) {
        let mut used = file.phases.iter().filter_map(|index| phases.get(*index));
        let sum = match (used.next(), used.next()) {
            (None, _) => &mut self.never,
            (Some(UsePhase::Start), None) => &mut self.start_only,
            (Some(UsePhase::Start), Some(_)) => &mut self.start_and_later,
            (Some(UsePhase::Idle), _) => &mut self.idle,
            (Some(UsePhase::Probe { .. }), _) => &mut self.probes,
            (Some(UsePhase::Stop), _) => &mut self.stop,
        };
        *sum = *sum + file.bytes;
    }
}

/// The use of an owner's files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerUse {
    /// The owner's kind.
    pub kind: OwnerKind,
    /// Its name.
    pub name: String,
    /// Its version, if it has one.
    pub version: Option<String>,
    /// Its bytes.
    pub bytes: UsedBytes,
}

/// Files that only one probe opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeUse {
    /// The service or scenario.
    pub group: String,
    /// The probe's name.
    pub probe: String,
    /// Bytes of files that were opened in no other phase.
    pub bytes: Bytes,
    /// The number of these files.
    pub files: u64,
    /// Their owners and bytes, largest first.
    pub owners: Vec<(String, Bytes)>,
}

/// The use of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageUse {
    /// The service's name, or the image's reference.
    pub subject: String,
    /// The image's reference.
    pub image: String,
    /// Its ID.
    pub id: String,
    /// In total, without files hidden by a later layer: a container cannot open them.
    pub bytes: UsedBytes,
    /// By owner, the one with the most never-opened bytes first.
    pub owners: Vec<OwnerUse>,
    /// Probes that opened files that no other phase opened, most bytes first.
    pub probes: Vec<ProbeUse>,
}

impl ImageUse {
    /// Computes the use from a record.
    pub fn of(record: &UseRecord) -> ImageUse {
        let mut by_owner = vec![UsedBytes::default(); record.owners.len()];
        let mut by_probe: BTreeMap<usize, (u64, BTreeMap<usize, Bytes>)> = BTreeMap::new();
        for file in record.files.values() {
            let Some(used) = by_owner.get_mut(file.owner) else { continue };
            used.add(file, &record.phases);
            let mut phases = file.phases.iter();
            if let (Some(only), None) = (phases.next(), phases.next()) {
                let (count, owners) = by_probe.entry(*only).or_default();
                let sum = owners.entry(file.owner).or_default();
                (*count, *sum) = (*count + 1, *sum + file.bytes);
            }
        }
        let owners = record.owners.iter().zip(by_owner).map(|(owner, used)| OwnerUse {
            kind: owner.kind,
            name: owner.name.clone(),
            version: owner.version.clone(),
            bytes: UsedBytes { never: Bytes(owner.bytes.0.saturating_sub(used.opened().0)), ..used },
        });
        let mut owners: Vec<OwnerUse> = owners.collect();
        owners.sort_by(|a, b| {
            let key = |owner: &OwnerUse| (Reverse(owner.bytes.never), Reverse(owner.bytes.all()), owner.kind);
            key(a).cmp(&key(b)).then_with(|| a.name.cmp(&b.name))
        });
        let bytes = owners.iter().map(|owner| owner.bytes).fold(UsedBytes::default(), UsedBytes::plus);
        let probes = by_probe.into_iter().filter_map(|(phase, (count, by_owner))| {
            let UsePhase::Probe { group, probe } = record.phases.get(phase)? else { return None };
            let named = by_owner.iter().map(|(owner, bytes)| (record.owners[*owner].label(), *bytes));
            let mut owners: Vec<(String, Bytes)> = named.collect();
            owners.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            let bytes = owners.iter().map(|(_, bytes)| *bytes).sum();
            Some(ProbeUse { group: group.clone(), probe: probe.clone(), bytes, files: count, owners })
        });
        let mut probes: Vec<ProbeUse> = probes.collect();
        probes.sort_by_key(|probe| Reverse(probe.bytes));
        ImageUse {
            subject: record.subject.clone(),
            image: record.image.clone(),
            id: record.id.clone(),
            bytes,
            owners,
            probes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::used::UsedOwner;

    #[test]
    fn each_file_counts_once_by_what_it_was_used_for() {
        let probe = |name: &str| UsePhase::Probe { group: "g".to_owned(), probe: name.to_owned() };
        let phases = vec![UsePhase::Start, UsePhase::Idle, probe("p"), probe("q"), UsePhase::Stop];
        // The phases of each file. Sizes are powers of two, so that every sum is unique.
        let used: [&[usize]; 7] = [&[0], &[0, 2], &[0, 4], &[1, 2], &[2], &[2, 3], &[4]];
        let files = used.iter().enumerate().map(|(index, phases)| {
            let phases = phases.iter().copied().collect();
            (format!("f{index}"), FileUse { bytes: Bytes(1 << index), owner: index % 2, phases, read: true })
        });
        let owner = |name: &str, version: Option<&str>, bytes| UsedOwner {
            kind: OwnerKind::Python,
            name: name.to_owned(),
            version: version.map(str::to_owned),
            bytes: Bytes(bytes),
        };
        let record = UseRecord {
            schema: crate::used::SCHEMA,
            subject: "s".to_owned(),
            image: "i".to_owned(),
            id: "1".to_owned(),
            phases,
            owners: vec![owner("a", Some("1.0"), 1 + 4 + 16 + 64), owner("b", None, 2 + 8 + 32 + 1000)],
            files: files.collect(),
        };
        let found = ImageUse::of(&record);
        let expected = UsedBytes {
            never: Bytes(1000),
            start_only: Bytes(1),
            start_and_later: Bytes(2 + 4),
            idle: Bytes(8),
            probes: Bytes(16 + 32),
            stop: Bytes(64),
        };
        assert_eq!(found.bytes, expected);
        assert_eq!((found.bytes.all(), found.bytes.opened()), (Bytes(1127), Bytes(127)));
        let names: Vec<_> =
            found.owners.iter().map(|owner| (owner.name.as_str(), owner.bytes.never)).collect();
        assert_eq!(names, [("b", Bytes(1000)), ("a", Bytes(0))]);
        let probes: Vec<_> = found.probes.iter().map(|probe| (probe.probe.as_str(), probe.bytes)).collect();
        assert_eq!(probes, [("p", Bytes(16))], "f5 has two probes");
        assert_eq!(found.probes[0].owners, [("a 1.0".to_owned(), Bytes(16))]);
    }
}
