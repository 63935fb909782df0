//! Which files can go and which must stay, by owner, with the reason and the change to make.

use std::collections::BTreeMap;

use crate::diet::report::{OwnerThatGoes, OwnerThatStays};
use crate::diet::selection::{Files, Selection};
use crate::diet::trials::{Part, TrialSearch};
use contents::owner::{Owner, OwnerKind};
use contents::record::{Contents, Layer};
use contents::used::{UsePhase, UseRecord};

/// What the trials found, by owner.
pub(super) struct Findings<'f, 'i> {
    pub(super) files: &'f Files<'i>,
    pub(super) search: &'f TrialSearch<'i>,
    pub(super) selection: &'f Selection<'i>,
    pub(super) needed: &'f [Part],
    pub(super) record: &'f UseRecord,
    pub(super) contents: &'f Contents,
}

impl Findings<'_, '_> {
    /// For each owner, the files that can go and the files that stay.
    fn by_owner(&self) -> BTreeMap<usize, (Vec<usize>, Vec<usize>)> {
        let mut owners: BTreeMap<usize, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
        for inode in self.search.inodes() {
            let Some(owner) = self.files.owner(self.search.path(inode)) else { continue };
            let (goes, stays) = owners.entry(owner).or_default();
            if self.selection.files.contains(&inode) { stays.push(inode) } else { goes.push(inode) }
        }
        owners
    }

    pub(super) fn goes(&self) -> Vec<OwnerThatGoes> {
        let mut rows = Vec::new();
        for (index, (goes, stays)) in self.by_owner() {
            let Some(owner) = self.files.owned.owners.get(index).filter(|_| !goes.is_empty()) else {
                continue;
            };
            let layer = owner.main_layer().and_then(|layer| self.contents.layers.get(layer));
            let whole = stays.is_empty();
            rows.push(OwnerThatGoes {
                kind: owner.kind,
                owner: owner.label(),
                bytes: self.search.bytes(goes.iter().copied()),
                whole,
                change: if whole { leave_out(owner) } else { self.delete(&goes) },
                place: layer.map(Layer::place).unwrap_or_default(),
            });
        }
        rows.sort_by_key(|row| std::cmp::Reverse(row.bytes));
        rows
    }

    /// Folders whose files can all go; only the outermost are listed.
    fn delete(&self, goes: &[usize]) -> String {
        let staying: Vec<&str> = self.selection.files.iter().map(|inode| self.search.path(*inode)).collect();
        let mut folders: BTreeMap<String, u64> = BTreeMap::new();
        for inode in goes {
            let path = self.search.path(*inode);
            let stays_below = |folder: &str| {
                staying.iter().any(|path| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')))
            };
            let ends = path.match_indices('/').map(|(at, _)| &path[..at]);
            let whole = ends.filter(|folder| folder.contains('/')).find(|folder| !stays_below(folder));
            let bytes = self.search.bytes(std::iter::once(*inode)).0;
            *folders.entry(whole.unwrap_or(path).to_owned()).or_default() += bytes;
        }
        let mut folders: Vec<_> = folders.into_iter().collect();
        folders.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
        let more = folders.len().saturating_sub(2);
        let shown: Vec<String> = folders.iter().take(2).map(|(path, _)| format!("/{path}")).collect();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("delete {}{more}", shown.join(", "))
    }

    pub(super) fn stays(&self) -> Vec<OwnerThatStays> {
        let mut rows = Vec::new();
        for (index, (_, stays)) in self.by_owner() {
            let Some(owner) = self.files.owned.owners.get(index).filter(|_| !stays.is_empty()) else {
                continue;
            };
            rows.push(OwnerThatStays {
                kind: owner.kind,
                owner: owner.label(),
                bytes: self.search.bytes(stays.iter().copied()),
                because: self.because(index, &stays),
            });
        }
        rows.sort_by_key(|row| std::cmp::Reverse(row.bytes));
        rows
    }

    /// The probe that failed without it, the first phase that opened it, or the rule that keeps it.
    fn because(&self, owner: usize, stays: &[usize]) -> String {
        let mut reasons = Vec::new();
        let opened = stays.iter().filter_map(|inode| self.record.files.get(self.search.path(*inode)));
        if let Some(phase) = opened.filter_map(|usage| usage.phases.first()).min() {
            reasons.push(format!(
                "opened: {}",
                self.record.phases.get(*phase).map(phase_name).unwrap_or_default()
            ));
        }
        for part in self.needed.iter().filter(|part| part.owner == owner) {
            let reason = match &part.failure {
                Some(failure) => format!("without it, {} fails: {}", failure.name(), failure.what),
                None => "not tried without it alone".to_owned(),
            };
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
        if reasons.is_empty() {
            let rule = stays.iter().find_map(|inode| self.selection.rules.get(inode));
            reasons.extend(rule.map(|rule| (*rule).to_owned()));
        }
        reasons.join("; ")
    }
}

fn leave_out(owner: &Owner) -> String {
    match owner.kind {
        OwnerKind::Own | OwnerKind::Static => {
            "leave it out of COPY, for instance in .dockerignore".to_owned()
        }
        OwnerKind::Unowned | OwnerKind::Program | OwnerKind::Runtime => format!("delete {}", owner.name),
        _ => format!("leave out the package {}", owner.name),
    }
}

fn phase_name(phase: &UsePhase) -> String {
    match phase {
        UsePhase::Start => "start".to_owned(),
        UsePhase::Idle => "idle".to_owned(),
        UsePhase::Probe { group, probe } => format!("{group} · {probe}"),
        UsePhase::Stop => "stop".to_owned(),
    }
}
