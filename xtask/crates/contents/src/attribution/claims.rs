//! Which owner claims which file. The first claim counts.

use std::collections::HashMap;

use crate::owner::{Owner, OwnerKind};
use crate::tree::{EntryId, VisibleFile};

/// Claims on the files of one image.
#[derive(Debug)]
pub struct Claims<'a, 'f> {
    files: &'a [VisibleFile<'f>],
    by_at: HashMap<EntryId, usize>,
    owner_of: Vec<Option<usize>>,
    owners: Vec<Owner>,
    by_name: HashMap<(OwnerKind, String, Option<String>), usize>,
    /// Every path that an owner lists, even of missing files: byte-code belongs to its source's owner.
    listed: HashMap<String, usize>,
}

impl<'a, 'f> Claims<'a, 'f> {
    /// No file is claimed yet.
    pub fn of(files: &'a [VisibleFile<'f>]) -> Claims<'a, 'f> {
        Claims {
            files,
            by_at: files.iter().enumerate().map(|(index, file)| (file.at, index)).collect(),
            owner_of: vec![None; files.len()],
            owners: Vec::new(),
            by_name: HashMap::new(),
            listed: HashMap::new(),
        }
    }

    /// The owner of this kind and name; adds it if it is new.
    pub fn owner(&mut self, kind: OwnerKind, name: &str) -> usize {
        self.add(kind, name, None)
    }

    /// The owner of this kind, name and version: an image may have several versions of a package.
    pub fn owner_of_version(&mut self, kind: OwnerKind, name: &str, version: &str) -> usize {
        self.add(kind, name, Some(version))
    }

    fn add(&mut self, kind: OwnerKind, name: &str, version: Option<&str>) -> usize {
        let (name, version) = (name.to_owned(), version.map(str::to_owned));
        *self.by_name.entry((kind, name.clone(), version.clone())).or_insert_with(|| {
            self.owners.push(Owner { kind, name, version, ..Owner::default() });
            self.owners.len() - 1
        })
    }

    /// An owner, to fill in.
    pub fn owner_mut(&mut self, owner: usize) -> &mut Owner {
        &mut self.owners[owner]
    }

    /// The owner of this kind and name, if there is one.
    pub fn existing(&self, kind: OwnerKind, name: &str) -> Option<usize> {
        self.by_name.get(&(kind, name.to_owned(), None)).copied()
    }

    /// Whether there is an owner of one of these kinds.
    pub fn has(&self, kinds: &[OwnerKind]) -> bool {
        self.owners.iter().any(|owner| kinds.contains(&owner.kind))
    }

    /// Claims the file with the bytes of an entry.
    pub fn claim(&mut self, at: EntryId, owner: usize) {
        if let Some(&index) = self.by_at.get(&at) {
            self.owner_of[index].get_or_insert(owner);
        }
    }

    /// Records that an owner lists a path.
    pub fn list(&mut self, path: String, owner: usize) {
        self.listed.entry(path).or_insert(owner);
    }

    /// The owner that lists a path.
    pub fn lister(&self, path: &str) -> Option<usize> {
        self.listed.get(path).copied()
    }

    /// The folders in which a single owner of these kinds lists paths. Common folders belong to everyone.
    pub fn exclusive_folders(&self, kinds: &[OwnerKind], is_common: fn(&str) -> bool) -> ExclusiveFolders {
        let mut owners: HashMap<String, Option<usize>> = HashMap::new();
        for (path, &owner) in &self.listed {
            if !kinds.contains(&self.owners[owner].kind) {
                continue;
            }
            for folder in folders_above(path).take_while(|folder| !is_common(folder)) {
                match owners.get_mut(folder) {
                    Some(Some(other)) if *other == owner => break,
                    Some(shared) => *shared = None,
                    None => drop(owners.insert(folder.to_owned(), Some(owner))),
                }
            }
        }
        ExclusiveFolders { owners, is_common }
    }

    /// The files without an owner so far.
    pub fn unclaimed(&self) -> Vec<VisibleFile<'f>> {
        let free = self.files.iter().zip(&self.owner_of).filter(|(_, owner)| owner.is_none());
        free.map(|(file, _)| *file).collect()
    }

    /// Offers every unclaimed file; the returned owner gets it.
    pub fn offer(&mut self, mut owner: impl FnMut(&VisibleFile<'f>, &Self) -> Option<usize>) {
        for index in 0..self.files.len() {
            if self.owner_of[index].is_none() {
                self.owner_of[index] = owner(&self.files[index], self);
            }
        }
    }

    /// Each file's owner as an index into the owners that have a file. The rest is unowned.
    pub fn finish(mut self) -> (Vec<usize>, Vec<Owner>) {
        let unowned = self.owner(OwnerKind::Unowned, "unowned");
        let of: Vec<usize> = self.owner_of.iter().map(|owner| owner.unwrap_or(unowned)).collect();
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

/// See [`Claims::exclusive_folders`].
#[derive(Debug)]
pub struct ExclusiveFolders {
    /// `None` for folders of several owners.
    owners: HashMap<String, Option<usize>>,
    is_common: fn(&str) -> bool,
}

impl ExclusiveFolders {
    /// The owner of the innermost folder around a path in which anyone lists paths, if it is a single one.
    pub fn owner(&self, path: &str) -> Option<usize> {
        let mut folders = folders_above(path).take_while(|folder| !(self.is_common)(folder));
        *folders.find_map(|folder| self.owners.get(folder))?
    }
}

/// The folders around a path, innermost first, without the root.
pub fn folders_above(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(path.rsplit_once('/'), |(folder, _)| folder.rsplit_once('/'))
        .map(|(folder, _)| folder)
}
