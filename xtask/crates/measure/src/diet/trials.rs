//! The search: trials of images without candidates, first by owner, then by parts of the owners that must stay.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use crate::diet::minimize::minimize;
use crate::diet::selection::{Files, Selection};
use engine::flat_image::FlatPath;
use model::bytes::Bytes;
use stack::throwaway::TrialFailure;

/// Smaller parts are not split further: a trial takes seconds.
const WORTH_A_SPLIT: u64 = 100_000;

/// Candidates that stay or go together.
#[derive(Debug, Clone)]
pub(super) struct Part {
    /// Their owner, by index.
    pub(super) owner: usize,
    /// Inodes.
    pub(super) files: BTreeSet<usize>,
    bytes: u64,
    /// How a trial failed without them; `None` if unknown for this part alone.
    pub(super) failure: Option<TrialFailure>,
}

/// Runs a trial of a selection. Returns the first failure, if any.
pub(super) type Try<'t> = &'t mut dyn FnMut(&Selection<'_>) -> Result<Option<TrialFailure>>;

/// A search among the candidates of an image.
pub(super) struct TrialSearch<'i> {
    files: &'i Files<'i>,
    /// Files that stay without a trial.
    base: BTreeSet<usize>,
    all: BTreeMap<usize, FlatPath<'i>>,
    /// Remaining number of trials.
    pub(super) left: usize,
}

impl<'i> TrialSearch<'i> {
    pub(super) fn new(files: &'i Files<'i>, base: BTreeSet<usize>, most: usize) -> TrialSearch<'i> {
        TrialSearch { files, base, all: files.all(), left: most }
    }

    /// The candidates by owner, largest first. Metadata and licences are excluded: they follow their owner.
    pub(super) fn candidates(&self) -> Vec<Part> {
        let kept = self.files.with(&self.base);
        let mut by_owner: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for (inode, path) in &self.all {
            if !kept.files.contains(inode)
                && crate::diet::rules::of_owner(path.path).is_none()
                && let Some(owner) = self.files.owner(path.path)
            {
                by_owner.entry(owner).or_default().insert(*inode);
            }
        }
        let mut parts: Vec<Part> =
            by_owner.into_iter().map(|(owner, files)| self.part(owner, files)).collect();
        parts.sort_by_key(|part| std::cmp::Reverse(part.bytes));
        parts
    }

    fn part(&self, owner: usize, files: BTreeSet<usize>) -> Part {
        let bytes = files.iter().filter_map(|inode| self.all.get(inode)?.bytes()).sum();
        Part { owner, files, bytes, failure: None }
    }

    /// The files that an image keeps if these parts stay.
    pub(super) fn selection(&self, parts: &[Part]) -> Selection<'i> {
        let must = self.base.iter().chain(parts.iter().flat_map(|part| &part.files));
        self.files.with(&must.copied().collect())
    }

    /// The parts that must stay.
    pub(super) fn needed(&mut self, attempt: Try<'_>) -> Result<Vec<Part>> {
        let candidates = self.candidates();
        let mut needed = self.among(candidates, &[], attempt)?;
        loop {
            let worth = |part: &&Part| part.bytes > WORTH_A_SPLIT && part.files.len() > 1;
            let Some(largest) = needed.iter().filter(worth).max_by_key(|part| part.bytes).cloned() else {
                break;
            };
            if self.left == 0 {
                break;
            }
            needed.retain(|part| part.files != largest.files);
            let split = self.split(&largest);
            let mut stay = self.among(split, &needed, attempt)?;
            for part in &mut stay {
                part.failure = part.failure.take().or_else(|| largest.failure.clone());
                // A part that cannot shrink further is not tried again.
                if part.files == largest.files {
                    part.bytes = 0;
                }
            }
            needed.extend(stay);
        }
        needed.iter_mut().for_each(|part| part.bytes = self.part(part.owner, part.files.clone()).bytes);
        Ok(needed)
    }

    /// Which of these parts must stay, given that the parts in `beside` stay.
    fn among(&mut self, parts: Vec<Part>, beside: &[Part], attempt: Try<'_>) -> Result<Vec<Part>> {
        let mut left = self.left;
        let minimum = minimize(parts.len(), &mut left, &mut |kept| {
            let kept = kept.iter().filter_map(|index| parts.get(*index)).chain(beside);
            attempt(&self.selection(&kept.cloned().collect::<Vec<_>>()))
        })?;
        self.left = left;
        let of = |index: &usize| {
            let part = parts.get(*index)?.clone();
            Some(Part { failure: minimum.reasons.get(index).cloned(), ..part })
        };
        Ok(minimum.kept.iter().filter_map(of).collect())
    }

    /// Splits a part by the first folder level at which its paths differ, or else file by file.
    fn split(&self, part: &Part) -> Vec<Part> {
        let path = |inode: &usize| self.all.get(inode).map_or("", |path| path.path);
        let paths: Vec<&str> = part.files.iter().map(path).collect();
        let depth = (0..).find(|depth| {
            let mut names = paths.iter().map(|path| path.split('/').nth(*depth));
            let first = names.next().flatten();
            first.is_none() || names.any(|name| name != first)
        });
        let mut folders: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
        for inode in &part.files {
            let name = path(inode).split('/').nth(depth.unwrap_or_default()).unwrap_or_default();
            folders.entry(name).or_default().insert(*inode);
        }
        folders.into_values().map(|files| self.part(part.owner, files)).collect()
    }

    /// Bytes of a set of files.
    pub(super) fn bytes(&self, files: impl Iterator<Item = usize>) -> Bytes {
        Bytes(files.filter_map(|inode| self.all.get(&inode)?.bytes()).sum())
    }

    /// A file by its inode, under its first name.
    pub(super) fn path(&self, inode: usize) -> &'i str {
        self.all.get(&inode).map_or("", |path| path.path)
    }

    /// Every file that is not empty.
    pub(super) fn inodes(&self) -> impl Iterator<Item = usize> {
        self.all.keys().copied()
    }
}
