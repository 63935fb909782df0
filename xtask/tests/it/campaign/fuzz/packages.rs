//! Databases and manifests of package managers, and contents of programs.

use contents::code;
use contents::code::build_info::{self, Segment};
use contents::code::symbols::{self, Function};
use contents::excerpt::{Excerpt, Parts};
use contents::facts::{InsideBytes, Metadata};
use contents::packages::{self, PackageFile, Room};
use fastrand::Rng;

use super::mutator::Vocabulary;

/// JSON of package managers, specifications of gems, and names of symbols.
pub const TEXT: Vocabulary = Vocabulary {
    tokens: &[
        "{",
        "}",
        "[",
        "]",
        "\"",
        ":",
        ",",
        "null",
        "1e999",
        "\\ud800",
        "\n",
        "\n\n",
        "../",
        "/",
        "..",
        ".",
        "*",
        "=",
        "P:a\n",
        "V:1\n",
        "F:a/b\n",
        "R:c\n",
        "\"name\":\"a/b\"",
        "\"version\":\"1\"",
        "\"packages\":[",
        "\"install-path\":\"../../..\"",
        "\"files\":[\"../x\"]",
        "\"build\":\"0\"",
        "\"runtimeTarget\":",
        "\"targets\":{",
        "\"resources\":{\"x\":{\"locale\":\"..\"}}",
        "# stub: a 1 ruby lib\n",
        "s.name = \"x\".freeze\n",
        "s.version = Gem::Version.new('1')\n",
        "s.executables = [\"../../x\"]\n",
        "_ZN",
        "_R",
        "17h0123456789abcdefE",
        "$LT$",
        "$u20$as$u20$",
        "NtB4_",
        "E\n",
        "\u{feff}",
        "\u{e9}",
        "\0",
    ],
    nests: &[
        ("{\"a\":", "}"),
        ("[", "]"),
        ("\"", "\""),
        ("../", ""),
        ("_RIC", "E"),
        ("F:a/\n", ""),
        ("R:b\n", ""),
        ("NtB0_", ""),
    ],
};

/// Binary databases, Java archives, and Go's tables.
pub const BINARY: Vocabulary = Vocabulary {
    tokens: &[
        "SQLite format 3\0",
        "RpmP",
        "Slot",
        "BlbS",
        "\0\0\0\0",
        "\0\0\0\x01",
        "\x01\0\0\0",
        "PK\x01\x02",
        "PK\x03\x04",
        "PK\x05\x06",
        "PK\x06\x06",
        "PK\x06\x07",
        "META-INF/maven/a/b/pom.properties",
        "groupId=a\n",
        "artifactId=b\n",
        "version=1\n",
        ".jar",
        "BOOT-INF/lib/",
        "../",
        "/usr/bin/",
        "go1.19",
        "path\ta/b\n",
        "mod\ta/b\tv1\n",
        "dep\tc/d\tv2\n",
        "=>\te/f\tv3\n",
        "a/b.(*C).d\0",
        "Packages",
        "table",
    ],
    nests: &[
        ("\0", ""),
        ("../", ""),
        ("a/", ""),
        ("dep\ta\tb\n", ""),
        ("\x05", "\r"),
        ("PK\x03\x04", "PK\x01\x02"),
    ],
};

/// Most bytes that are unpacked from one input.
const UNPACKED: u64 = 20_000_000;

pub fn apk(bytes: &[u8], rng: &mut Rng) -> Result<bool, String> {
    file("lib/apk/db/installed", bytes, rng)
}

pub fn rpm(bytes: &[u8], rng: &mut Rng) -> Result<bool, String> {
    file("var/lib/rpm/rpmdb.sqlite", bytes, rng)
}

pub fn conda(bytes: &[u8], rng: &mut Rng) -> Result<bool, String> {
    file("opt/conda/conda-meta/zlib-1.3.1-h4ab18f5_1.json", bytes, rng)
}

pub fn gem(bytes: &[u8], rng: &mut Rng) -> Result<bool, String> {
    file("usr/local/bundle/specifications/x-1.gemspec", bytes, rng)
}

pub fn composer(bytes: &[u8], rng: &mut Rng) -> Result<bool, String> {
    file("srv/vendor/composer/installed.json", bytes, rng)
}

pub fn dotnet(bytes: &[u8], rng: &mut Rng) -> Result<bool, String> {
    file("app/Shop.deps.json", bytes, rng)
}

pub fn archive(bytes: &[u8], rng: &mut Rng) -> Result<bool, String> {
    file("app/shop.jar", bytes, rng)
}

/// Checks that every path stays within the root, and that chunk boundaries do not matter.
fn file(path: &str, bytes: &[u8], rng: &mut Rng) -> Result<bool, String> {
    let kind = PackageFile::at(path).ok_or_else(|| format!("{path} is no database"))?;
    let size = bytes.len() as u64;
    let read = |length: usize| {
        packages::read(kind, path, size, &excerpt(kind.parts(size), bytes, length), &mut Room::of(UNPACKED))
    };
    let (whole, pieces) = (read(bytes.len().max(1)), read(rng.usize(1..=4096)));
    if whole != pieces {
        return Err(format!("{whole:?}\nin pieces: {pieces:?}"));
    }
    let mut accepted = false;
    for found in whole.iter().filter_map(|found| match found {
        Metadata::Installed(all) => Some(all),
        _ => None,
    }) {
        accepted |= !found.is_empty();
        let paths = found.iter().flat_map(|found| found.files.iter().chain(&found.folders));
        if let Some(path) =
            paths.into_iter().find(|path| path.split('/').any(|part| matches!(part, "" | "." | "..")))
        {
            return Err(format!("`{path}` may be outside of the root"));
        }
    }
    Ok(accepted)
}

fn excerpt(parts: Parts, bytes: &[u8], length: usize) -> Excerpt {
    let mut excerpt = Excerpt::default();
    excerpt.start(parts);
    let mut at = 0;
    for chunk in bytes.chunks(length) {
        excerpt.feed(chunk, at);
        at += chunk.len() as u64;
    }
    excerpt
}

/// Checks that modules have names.
pub fn build_info(bytes: &[u8], _: &mut Rng) -> Result<bool, String> {
    let size = bytes.len() as u64;
    let file = excerpt([0..size, 0..0, 0..0, 0..0, 0..0], bytes, 4096);
    let segments = [Segment { address: 0x1000, offset: 0, size }];
    match build_info::read(&file, 0, &segments) {
        Some(build) if build.modules.iter().chain(&build.main).any(|module| module.path.is_empty()) => {
            Err(format!("a module has no name: {build:?}"))
        }
        found => Ok(found.is_some()),
    }
}

pub fn function_table(bytes: &[u8], _: &mut Rng) -> Result<bool, String> {
    in_order(&code::packages(bytes))
}

/// Each line is the name of a function.
pub fn symbols(bytes: &[u8], rng: &mut Rng) -> Result<bool, String> {
    let functions = bytes.split(|byte| *byte == b'\n').map(|name| {
        let size = if rng.u8(..8) == 0 { u64::MAX } else { rng.u64(..5000) };
        Function { address: rng.u64(..1000), size, name }
    });
    in_order(&symbols::crates(functions.collect()))
}

/// Checks that a list is short, each name stands once, and the largest is first.
fn in_order(found: &[InsideBytes]) -> Result<bool, String> {
    let mut names: Vec<&str> = found.iter().map(|one| one.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let is_sorted = found.is_sorted_by(|a, b| a.bytes >= b.bytes);
    if found.len() > 201 || names.len() != found.len() || !is_sorted {
        return Err(format!("{found:?}"));
    }
    Ok(!found.is_empty())
}
