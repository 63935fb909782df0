//! Hostile archives: whatever their bytes, there is an error or a record that adds up, and memory is bounded.

use std::io::{self, Read};
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::explain::explain;
use crate::facts::LayerFacts;
use crate::reading::{self, ReadOptions};
use engine::images::Image;
use host::interrupt::Interrupt;

/// A layer's tar with every kind of entry.
fn layer(seed: u8) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |path: &str, kind: tar::EntryType, content: &[u8], target: &str| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o755);
        header.set_size(content.len() as u64);
        if target.is_empty() {
            tar.append_data(&mut header, path, content).unwrap();
        } else {
            tar.append_link(&mut header, path, target).unwrap();
        }
    };
    let file = tar::EntryType::Regular;
    add("usr/bin/x", file, &[b"\x7fELF\x02\x01".as_slice(), &[seed; 600]].concat(), "");
    add("usr/bin/y", tar::EntryType::Link, b"", "usr/bin/x");
    add("lib", tar::EntryType::Symlink, b"", "usr/lib");
    add("a/b", file, &[seed; 100], "");
    add(&format!("a/.wh.{seed}"), file, b"", "");
    add("a/c/.wh..wh..opq", file, b"", "");
    add(&"long/".repeat(40), tar::EntryType::Directory, b"", "");
    add("var/lib/dpkg/status", file, b"Package: p\nStatus: install ok installed\nVersion: 1\n", "");
    add("var/lib/dpkg/info/p.list", file, b"/usr/bin/x\n/lib/../z\n", "");
    add("s/site-packages/d-1.dist-info/METADATA", file, b"Name: d\nVersion: 1\n", "");
    add("s/site-packages/d-1.dist-info/RECORD", file, b"d/e.py,,\n../../../../../f,,\n", "");
    add("n/node_modules/q/package.json", file, br#"{"name":"q","version":"2"}"#, "");
    tar.into_inner().unwrap()
}

fn digest(name: &str) -> String {
    format!("sha256:{:0>64}", name.len())
}

/// An archive as an engine saves it, with the offsets of its headers.
fn saved() -> (Vec<u8>, Vec<usize>) {
    let mut tar = tar::Builder::new(Vec::new());
    let config = format!(r#"{{"rootfs":{{"diff_ids":["{}","{}"]}}}}"#, digest("1"), digest("22"));
    let manifest = br#"[{"Config":"c.json","Layers":["1/layer.tar","22/layer.tar"]}]"#;
    let files: [(&str, Vec<u8>); 4] = [
        ("1/layer.tar", layer(1)),
        ("22/layer.tar", layer(2)),
        ("c.json", config.into_bytes()),
        ("manifest.json", manifest.to_vec()),
    ];
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, name, content.as_slice()).unwrap();
    }
    let bytes = tar.into_inner().unwrap();
    let headers =
        (0..bytes.len()).step_by(512).filter(|at| bytes[at + 257..].starts_with(b"ustar")).collect();
    (bytes, headers)
}

fn image() -> Image {
    let layers = [digest("1"), digest("22")];
    serde_json::from_value(
        serde_json::json!({"Id": "x", "RootFS": {"Layers": layers}, "Config": {"WorkingDir": "/a"}}),
    )
    .unwrap()
}

/// Reads and explains an archive. Returns whether there is a record.
fn survives(archive: impl Read) -> bool {
    let Ok(read) = reading::read(archive, &|_| false, ReadOptions::default(), &Interrupt::default()) else {
        return false;
    };
    let image = image();
    let facts: Option<Vec<&LayerFacts>> =
        image.layers().iter().map(|id| Some(&read.get(id)?.facts)).collect();
    let Some(facts) = facts else { return false };
    let contents = explain("x", &image, &facts).unwrap();
    assert!(contents.adds_up(), "{contents:#?}");
    true
}

/// A manipulation of an archive.
#[derive(Debug, Clone)]
enum Harm {
    /// A byte of a header changes, and the header's checksum is corrected.
    Header { header: usize, at: usize, value: u8 },
    /// Any byte changes.
    Byte { at: usize, value: u8 },
    /// The rest is cut off.
    Cut { at: usize },
    /// A block is repeated.
    Twice { block: usize },
    /// A block is missing.
    Without { block: usize },
}

fn harm() -> impl Strategy<Value = Harm> {
    let index = any::<prop::sample::Index>;
    // Values that matter in headers: digits, terminators, the bit that marks base-256 numbers.
    let value =
        || prop_oneof![b'0'..=b'9', Just(0), Just(0x80), Just(0xff), Just(b'/'), Just(b'.'), any::<u8>()];
    let header = (index(), 0..500_usize, value()).prop_map(|(header, at, value)| Harm::Header {
        header: header.index(1000),
        at,
        value,
    });
    prop_oneof![
        6 => header,
        2 => (index(), value()).prop_map(|(at, value)| Harm::Byte { at: at.index(1 << 20), value }),
        1 => index().prop_map(|at| Harm::Cut { at: at.index(1 << 20) }),
        1 => index().prop_map(|block| Harm::Twice { block: block.index(1 << 12) }),
        1 => index().prop_map(|block| Harm::Without { block: block.index(1 << 12) }),
    ]
}

fn harmed(bytes: &mut Vec<u8>, headers: &[usize], harm: &Harm) {
    let length = bytes.len();
    let blocks = length / 512;
    match *harm {
        Harm::Header { header, at, value } => {
            let start = headers[header % headers.len()];
            let Some(header) = bytes.get_mut(start..start + 512) else { return };
            header[at] = value;
            header[148..156].fill(b' ');
            let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
            header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
        Harm::Byte { at, value } => bytes[at % length] = value,
        Harm::Cut { at } => bytes.truncate(1 + at % (length - 1)),
        Harm::Twice { block } => {
            let start = block % blocks * 512;
            let copy = bytes[start..start + 512].to_vec();
            drop(bytes.splice(start..start, copy));
        }
        Harm::Without { block } => {
            let start = block % blocks * 512;
            bytes.drain(start..start + 512);
        }
    }
}

#[test]
fn manipulated_archives_give_an_error_or_a_record_that_adds_up() {
    let (whole, headers) = saved();
    assert!(survives(whole.as_slice()), "the original archive is invalid");
    let (survived, refused) = (AtomicU32::new(0), AtomicU32::new(0));
    // The same cases every time: the counts below must not depend on chance.
    let config = Config { cases: 2000, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let harms = prop::collection::vec(harm(), 1..4);
    let ran = runner.run(&harms, |harms| {
        let mut bytes = whole.clone();
        for harm in &harms {
            if bytes.len() > 1024 {
                harmed(&mut bytes, &headers, harm);
            }
        }
        let counter = if survives(bytes.as_slice()) { &survived } else { &refused };
        counter.fetch_add(1, Ordering::Relaxed);
        Ok(())
    });
    ran.unwrap();
    let (survived, refused) = (survived.into_inner(), refused.into_inner());
    assert!(
        survived >= 200 && refused >= 200,
        "both outcomes must be tested: {survived} records, {refused} errors"
    );
}

/// An endless repetition of blocks.
struct Endless {
    block: Vec<u8>,
    at: usize,
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = &self.block[self.at..];
        let n = rest.len().min(buffer.len());
        buffer[..n].copy_from_slice(&rest[..n]);
        self.at = (self.at + n) % self.block.len();
        Ok(n)
    }
}

/// An archive of one layer of a given size.
fn endless(block: Vec<u8>, size: u64) -> impl Read {
    let mut header = tar::Header::new_gnu();
    header.set_path("1/layer.tar").unwrap();
    header.set_size(size);
    header.set_cksum();
    io::Cursor::new(header.as_bytes().to_vec()).chain(Endless { block, at: 0 }.take(size))
}

fn refusal(archive: impl Read) -> String {
    let error =
        reading::read(archive, &|_| false, ReadOptions::default(), &Interrupt::default()).unwrap_err();
    format!("{error:#}")
}

#[test]
fn a_million_entries_are_refused_before_they_fill_the_memory() {
    let mut header = tar::Header::new_gnu();
    header.set_path("f").unwrap();
    header.set_size(0);
    header.set_cksum();
    let error = refusal(endless(header.as_bytes().to_vec(), 512 * 1_000_000));
    assert!(error.contains("more than 400000 entries"), "{error}");
}

#[test]
fn names_are_refused_if_they_are_too_long_in_total() {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_path("././@LongLink").unwrap();
    header.set_size(4000);
    header.set_cksum();
    let mut block = header.as_bytes().to_vec();
    block.extend([b"n/".repeat(2000), vec![0; 96]].concat());
    let mut file = tar::Header::new_gnu();
    file.set_path("f").unwrap();
    file.set_size(0);
    file.set_cksum();
    block.extend(file.as_bytes());
    let error = refusal(endless(block, 10_000_000_000));
    assert!(error.contains("more than 50000000 bytes of names"), "{error}");
}

/// An archive of one layer, which has one entry.
fn with_entry(entry: &tar::Header) -> impl Read {
    let layer = [entry.as_bytes().as_slice(), &[0; 1024]].concat();
    let size = layer.len() as u64;
    endless(layer, size)
}

#[test]
fn entries_that_would_replace_or_delete_the_root_are_refused() {
    for (path, expected) in
        [("./", "the root is not a folder"), ("a/.wh...", "deletes a folder"), (".wh..", "deletes a folder")]
    {
        let mut entry = tar::Header::new_gnu();
        entry.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        entry.set_size(0);
        entry.set_cksum();
        let error = refusal(with_entry(&entry));
        assert!(error.contains(expected), "{path}: {error}");
    }
}

#[test]
fn a_sparse_file_in_the_archive_itself_is_refused() {
    let mut header = tar::Header::new_gnu();
    header.set_path("layer.tar").unwrap();
    header.set_entry_type(tar::EntryType::GNUSparse);
    header.set_size(0);
    let gnu = header.as_gnu_mut().unwrap();
    gnu.set_real_size(1 << 62);
    gnu.sparse[0].set_offset(1 << 62);
    gnu.sparse[0].set_length(0);
    header.set_cksum();
    let error = refusal(header.as_bytes().as_slice());
    assert!(error.contains("sparse file; engines never write these"), "{error}");
}
