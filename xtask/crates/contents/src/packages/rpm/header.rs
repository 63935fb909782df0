//! RPM headers as databases have them (rpm.org, "RPM V4 package format"): two numbers, an index of tags, and their values. All
//! numbers are big-endian.

use crate::facts::{Ecosystem, Installed};
use crate::packages::rpm::u32_be;
use crate::paths::PathBudget;

// Tags (rpmtag.h).
const NAME: u32 = 1000;
const VERSION: u32 = 1001;
const RELEASE: u32 = 1002;
const EPOCH: u32 = 1003;
const LICENCE: u32 = 1014;
const ARCHITECTURE: u32 = 1022;
const OLD_FILE_NAMES: u32 = 1027;
const SOURCE: u32 = 1044;
const FOLDER_INDEXES: u32 = 1116;
const BASE_NAMES: u32 = 1117;
const FOLDERS: u32 = 1118;

/// The size of an entry of the index: tag, type, offset, count.
const ENTRY: usize = 16;

struct Header<'b> {
    index: &'b [u8],
    values: &'b [u8],
}

impl<'b> Header<'b> {
    fn of(blob: &'b [u8]) -> Option<Header<'b>> {
        let (entries, size) = (u32_be(blob, 0)? as usize, u32_be(blob, 4)? as usize);
        let (index, rest) = blob.get(8..)?.split_at_checked(entries.checked_mul(ENTRY)?)?;
        Some(Header { index, values: rest.get(..size)? })
    }

    /// The values of a tag from its first on, and how many there are.
    fn tag(&self, tag: u32) -> Option<(&'b [u8], usize)> {
        let entry = self.index.chunks_exact(ENTRY).find(|entry| u32_be(entry, 0) == Some(tag))?;
        Some((self.values.get(u32_be(entry, 8)? as usize..)?, u32_be(entry, 12)? as usize))
    }

    fn strings(&self, tag: u32) -> impl Iterator<Item = &'b [u8]> {
        let (values, count) = self.tag(tag).unwrap_or_default();
        values.split(|byte| *byte == 0).take(count)
    }

    fn text(&self, tag: u32) -> Option<String> {
        let text = String::from_utf8_lossy(self.strings(tag).next()?).into_owned();
        (1..500).contains(&text.len()).then_some(text)
    }

    fn numbers(&self, tag: u32) -> impl Iterator<Item = u32> {
        let (values, count) = self.tag(tag).unwrap_or_default();
        values.chunks_exact(4).take(count).filter_map(|number| u32_be(number, 0))
    }
}

/// More folders than any package has.
const MOST_FOLDERS: usize = 400_000;

/// The package of a header; `None` for the keys that rpm stores as packages, and for invalid headers.
pub fn read(blob: &[u8], budget: &mut PathBudget) -> Option<Installed> {
    let header = Header::of(blob)?;
    let name = header.text(NAME).filter(|name| name != "gpg-pubkey")?;
    let version = format!("{}-{}", header.text(VERSION)?, header.text(RELEASE)?);
    let mut found = Installed::new(Ecosystem::Rpm, name, version);
    found.package.architecture = header.text(ARCHITECTURE);
    found.package.licence = header.text(LICENCE);
    let epoch = header.numbers(EPOCH).next().filter(|epoch| *epoch > 0).map(|epoch| epoch.to_string());
    let all = [("epoch", epoch), ("upstream", header.text(SOURCE))];
    found.qualifiers = all.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect();
    let folders: Vec<&[u8]> = header.strings(FOLDERS).take(MOST_FOLDERS).collect();
    for (name, index) in header.strings(BASE_NAMES).zip(header.numbers(FOLDER_INDEXES)) {
        let Some(folder) = folders.get(index as usize) else { continue };
        found.files.extend(budget.joined(&String::from_utf8_lossy(folder), &String::from_utf8_lossy(name)));
    }
    found.files.extend(
        header.strings(OLD_FILE_NAMES).filter_map(|path| budget.joined("", &String::from_utf8_lossy(path))),
    );
    Some(found)
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A header with strings and numbers.
    pub fn header(strings: &[(u32, &[&str])], numbers: &[(u32, &[u32])]) -> Vec<u8> {
        let (mut index, mut values) = (Vec::new(), Vec::new());
        let mut add = |tag: u32, kind: u32, at: usize, count: usize| {
            index.extend([tag, kind, at as u32, count as u32].map(u32::to_be_bytes).concat());
        };
        for (tag, all) in numbers {
            add(*tag, 4, values.len(), all.len());
            values.extend(all.iter().flat_map(|number| number.to_be_bytes()));
        }
        for (tag, all) in strings {
            add(*tag, 8, values.len(), all.len());
            values.extend(all.iter().flat_map(|text| [text.as_bytes(), b"\0"].concat()));
        }
        let sizes = [index.len() / ENTRY, values.len()].map(|size| (size as u32).to_be_bytes()).concat();
        [sizes, index, values].concat()
    }

    pub fn bash() -> Vec<u8> {
        header(
            &[
                (NAME, &["bash"]),
                (VERSION, &["5.1.8"]),
                (RELEASE, &["6.el9"]),
                (ARCHITECTURE, &["x86_64"]),
                (LICENCE, &["GPLv3+"]),
                (SOURCE, &["bash-5.1.8-6.el9.src.rpm"]),
                (FOLDERS, &["/usr/bin/", "/etc/skel/"]),
                (BASE_NAMES, &["bash", ".bashrc", "sh"]),
            ],
            &[(EPOCH, &[2]), (FOLDER_INDEXES, &[0, 1, 0])],
        )
    }

    #[test]
    fn a_header_has_a_package_and_its_files() {
        let found = read(&bash(), &mut PathBudget::default()).unwrap();
        assert_eq!((found.package.name.as_str(), found.package.version.as_str()), ("bash", "5.1.8-6.el9"));
        assert_eq!(found.files, ["usr/bin/bash", "etc/skel/.bashrc", "usr/bin/sh"]);
        assert_eq!(found.qualifiers[0], ("epoch".to_owned(), "2".to_owned()));
    }

    #[test]
    fn damaged_headers_do_no_harm() {
        let whole = bash();
        for at in 0..whole.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut damaged = whole.clone();
                damaged[at] = value;
                drop(read(&damaged, &mut PathBudget::default()));
            }
            drop(read(&whole[..at], &mut PathBudget::default()));
        }
    }
}
