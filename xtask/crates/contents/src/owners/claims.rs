//! Who claims which file. The first claim stands.

use std::collections::HashMap;

use crate::owner::{Owner, OwnerKind};
use crate::owners::named;
use crate::tree::{At, Seen};

/// Claims on the files of one image.
#[derive(Debug)]
pub struct Claims<'a, 'f> {
    files: &'a [Seen<'f>],
    by_at: HashMap<At, usize>,
    of: Vec<Option<usize>>,
    owners: Vec<Owner>,
    by_name: HashMap<(OwnerKind, String), usize>,
    /// Every path that somebody lists, whether a file is there or not: byte-code stands beside sources that are gone.
    listed: HashMap<String, usize>,
}

impl<'a, 'f> Claims<'a, 'f> {
    /// Nobody's yet.
    pub fn of(files: &'a [Seen<'f>]) -> Claims<'a, 'f> {
        Claims {
            files,
            by_at: files.iter().enumerate().map(|(index, file)| (file.at, index)).collect(),
            of: vec![None; files.len()],
            owners: Vec::new(),
            by_name: HashMap::new(),
            listed: HashMap::new(),
        }
    }

    /// The owner of this kind and name, made where it is new.
    pub fn owner(&mut self, kind: OwnerKind, name: &str) -> usize {
        let next = self.owners.len();
        let index = *self.by_name.entry((kind, name.to_owned())).or_insert(next);
        if index == next {
            self.owners.push(named(kind, name));
        }
        index
    }

    /// The owner of this kind, name and version: several versions of one package may stand side by side.
    pub fn version(&mut self, kind: OwnerKind, name: &str, version: &str) -> usize {
        let next = self.owners.len();
        // No name holds this character.
        let index = *self.by_name.entry((kind, format!("{name}\0{version}"))).or_insert(next);
        if index == next {
            self.owners.push(Owner { version: Some(version.to_owned()), ..named(kind, name) });
        }
        index
    }

    /// An owner, to be told more about.
    pub fn about(&mut self, owner: usize) -> &mut Owner {
        &mut self.owners[owner]
    }

    /// An owner that is there already.
    pub fn known(&self, kind: OwnerKind, name: &str) -> Option<usize> {
        self.by_name.get(&(kind, name.to_owned())).copied()
    }

    /// Claims the file that holds the bytes of an entry.
    pub fn claim(&mut self, at: At, owner: usize) {
        if let Some(&index) = self.by_at.get(&at) {
            self.of[index].get_or_insert(owner);
        }
    }

    /// Remembers that an owner lists a path.
    pub fn list(&mut self, path: String, owner: usize) {
        self.listed.entry(path).or_insert(owner);
    }

    /// Who lists a path.
    pub fn lister(&self, path: &str) -> Option<usize> {
        self.listed.get(path).copied()
    }

    /// Every listed path with who lists it.
    pub fn all_listed(&self) -> impl Iterator<Item = (&str, usize)> {
        self.listed.iter().map(|(path, owner)| (path.as_str(), *owner))
    }

    /// Every owner so far.
    pub fn owners(&self) -> &[Owner] {
        &self.owners
    }

    /// Files that nobody claims yet.
    pub fn free(&self) -> Vec<Seen<'f>> {
        let free = self.files.iter().zip(&self.of).filter(|(_, owner)| owner.is_none());
        free.map(|(file, _)| *file).collect()
    }

    /// Offers every free file; who is returned gets it.
    pub fn offer(&mut self, mut who: impl FnMut(&Seen<'f>, &Self) -> Option<usize>) {
        for index in 0..self.files.len() {
            if self.of[index].is_none() {
                self.of[index] = who(&self.files[index], self);
            }
        }
    }

    /// Each file's owner, and the owners that have a file. What is left belongs to nobody.
    pub fn finish(mut self) -> (Vec<usize>, Vec<Owner>) {
        let nobody = self.owner(OwnerKind::Unowned, "unowned");
        let of: Vec<usize> = self.of.iter().map(|owner| owner.unwrap_or(nobody)).collect();
        let mut new: Vec<Option<usize>> = vec![None; self.owners.len()];
        of.iter().for_each(|&owner| new[owner] = Some(0));
        let mut kept = Vec::new();
        for (index, owner) in self.owners.into_iter().enumerate() {
            if new[index].is_some() {
                new[index] = Some(kept.len());
                kept.push(owner);
            }
        }
        (of.into_iter().filter_map(|owner| new[owner]).collect(), kept)
    }
}
