//! Go's build information (`.go.buildinfo`, Go's `debug/buildinfo`): Go's version, the main module and all others.

use object::ReadRef as _;

use crate::excerpt::Excerpt;
use crate::facts::{GoBuild, Module};

/// The first bytes of build information, aligned to 16 bytes.
pub const MAGIC: &[u8] = b"\xff Go buildinf:";
/// Where the strings begin if they are inline.
const INLINE: usize = 32;
/// Go puts 16 marker bytes before and after the list of modules.
const MARK: usize = 16;
/// The longest list of modules.
pub const MAX_TEXT: usize = 1 << 20;
/// Most modules.
const MAX_MODULES: usize = 10_000;

/// A segment in memory: its address, and its place and size in the file.
#[derive(Debug, Clone, Copy)]
pub struct Segment {
    /// Its address.
    pub address: u64,
    /// Its offset in the file.
    pub offset: u64,
    /// Its bytes in the file.
    pub size: u64,
}

/// Reads build information at a place in a file.
pub fn read(file: &Excerpt, at: u64, segments: &[Segment]) -> Option<GoBuild> {
    let head = file.read_bytes_at(at, INLINE as u64).ok()?;
    head.starts_with(MAGIC).then_some(())?;
    let (width, flags) = (head[14], head[15]);
    let (version, modules) = if flags & 2 != 0 {
        inline(file.rest(at + INLINE as u64)?)?
    } else {
        let memory = Memory { file, segments, width: width.into(), is_big: flags & 1 != 0 };
        let pointers = at + 16;
        (memory.string_behind(pointers)?, memory.string_behind(pointers + u64::from(width))?)
    };
    build(&version, &modules)
}

/// Since Go 1.18: both strings follow, each behind its length.
fn inline(bytes: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (version, rest) = counted(bytes)?;
    let (modules, _) = counted(rest)?;
    Some((version.to_vec(), modules.to_vec()))
}

/// A string behind its length, a varint, and what follows.
fn counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut length = 0_usize;
    for (index, byte) in bytes.iter().take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return bytes.get(index + 1..)?.split_at_checked(length);
        }
    }
    None
}

/// Before Go 1.18: pointers to Go's strings, each a pointer and a length.
struct Memory<'e> {
    file: &'e Excerpt,
    segments: &'e [Segment],
    width: usize,
    is_big: bool,
}

impl Memory<'_> {
    /// Follows the pointer at a file offset to a string's header, and reads the string.
    fn string_behind(&self, place: u64) -> Option<Vec<u8>> {
        let header = self.place(self.number(place)?)?;
        let (text, length) = (self.number(header)?, self.number(header + self.width as u64)?);
        (length <= MAX_TEXT as u64).then_some(())?;
        self.file.read_bytes_at(self.place(text)?, length).ok().map(<[u8]>::to_vec)
    }

    fn number(&self, place: u64) -> Option<u64> {
        let bytes = self.file.read_bytes_at(place, self.width as u64).ok()?;
        match (bytes.len(), self.is_big) {
            (8, false) => Some(u64::from_le_bytes(bytes.try_into().ok()?)),
            (8, true) => Some(u64::from_be_bytes(bytes.try_into().ok()?)),
            (4, false) => Some(u32::from_le_bytes(bytes.try_into().ok()?).into()),
            (4, true) => Some(u32::from_be_bytes(bytes.try_into().ok()?).into()),
            _ => None,
        }
    }

    /// The file offset of a memory address.
    fn place(&self, address: u64) -> Option<u64> {
        self.segments.iter().find_map(|segment| {
            let inside = address.checked_sub(segment.address).filter(|inside| *inside < segment.size)?;
            segment.offset.checked_add(inside)
        })
    }
}

fn build(version: &[u8], modules: &[u8]) -> Option<GoBuild> {
    let version = String::from_utf8_lossy(version);
    // `devel +abc` for a Go that was built from its repository.
    let version = version.strip_prefix("go").unwrap_or(&version).to_owned();
    let mut build = GoBuild { version, ..GoBuild::default() };
    let text = modules.get(MARK..modules.len().saturating_sub(MARK)).unwrap_or_default();
    for line in String::from_utf8_lossy(text).lines().take(2 * MAX_MODULES) {
        let mut words = line.split('\t');
        match (words.next(), words.next()) {
            (Some("path"), Some(path)) => path.clone_into(&mut build.path),
            (Some("mod"), Some(path)) => build.main = module(path, words.next()),
            (Some("dep"), Some(path)) => build.modules.extend(module(path, words.next())),
            (Some("=>"), Some(path)) => {
                // A module that was replaced by a folder keeps its own name: a folder is not a published module.
                let replaced = module(path, words.next()).filter(|module| module.version.is_some());
                if let (Some(last), Some(by)) = (build.modules.last_mut(), replaced) {
                    *last = by;
                }
            }
            _ => {}
        }
    }
    build.modules.truncate(MAX_MODULES);
    let is_plausible = !build.version.is_empty() && build.version.len() < 200;
    is_plausible.then_some(build)
}

fn module(path: &str, version: Option<&str>) -> Option<Module> {
    let version = version.filter(|version| !version.is_empty() && *version != "(devel)");
    (!path.is_empty()).then(|| Module { path: path.to_owned(), version: version.map(str::to_owned) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULES: &str = "path\texample.org/shop/cmd/api\nmod\texample.org/shop\t(devel)\t\n\
        dep\tgolang.org/x/text\tv0.7.0\th1:abc=\ndep\tgithub.com/a/b\tv1.0.0\n=>\tgithub.com/c/b\tv1.1.0\th1:d=\n\
        dep\tgithub.com/local/x\tv2.0.0\n=>\t./x\t\t\nbuild\tCGO_ENABLED=0\n";

    fn excerpt(bytes: &[u8]) -> Excerpt {
        let mut excerpt = Excerpt::default();
        let mut parts = crate::excerpt::Parts::default();
        parts[0] = 0..bytes.len() as u64;
        excerpt.start(parts);
        excerpt.feed(bytes, 0);
        excerpt
    }

    fn marked() -> Vec<u8> {
        [[1; MARK].as_slice(), MODULES.as_bytes(), &[2; MARK]].concat()
    }

    fn check(build: Option<GoBuild>) {
        let build = build.unwrap();
        assert_eq!((build.version.as_str(), build.path.as_str()), ("1.19.8", "example.org/shop/cmd/api"));
        assert_eq!(build.main, module("example.org/shop", None));
        let modules: Vec<(&str, Option<&str>)> =
            build.modules.iter().map(|module| (module.path.as_str(), module.version.as_deref())).collect();
        let expected =
            [("golang.org/x/text", "v0.7.0"), ("github.com/c/b", "v1.1.0"), ("github.com/local/x", "v2.0.0")];
        assert_eq!(modules, expected.map(|(path, version)| (path, Some(version))));
    }

    #[test]
    fn inline_strings_are_read() {
        let modules = marked();
        let length = [modules.len() as u8 & 0x7f | 0x80, (modules.len() >> 7) as u8];
        let bytes =
            [[0; 16].as_slice(), MAGIC, &[8, 2], &[0; 16], &[8], b"go1.19.8", &length, &modules].concat();
        check(read(&excerpt(&bytes), 16, &[]));
        for end in 0..bytes.len() {
            assert_eq!(read(&excerpt(&bytes[..end]), 16, &[]), None, "cut at {end}");
        }
    }

    #[test]
    fn strings_behind_pointers_are_read() {
        for is_big in [false, true] {
            let number = |value: usize| {
                let value = value as u64;
                if is_big { value.to_be_bytes() } else { value.to_le_bytes() }
            };
            let (modules, base) = (marked(), 0x40_0000);
            let strings = 32 + 32;
            let bytes = [
                [MAGIC, &[8, u8::from(is_big)]].concat(),
                [number(base + 32), number(base + 48)].concat(),
                [number(base + strings), number(8)].concat(),
                [number(base + strings + 8), number(modules.len())].concat(),
                b"go1.19.8".to_vec(),
                modules,
            ]
            .concat();
            let segments = [Segment { address: base as u64, offset: 0, size: bytes.len() as u64 }];
            check(read(&excerpt(&bytes), 0, &segments));
            for at in 14..strings {
                let mut damaged = bytes.clone();
                damaged[at] ^= 0xff;
                drop(read(&excerpt(&damaged), 0, &segments));
            }
        }
    }
}
