//! Blobs of layers: unpacked and verified while they are read.

use std::io::{self, Read};

use anyhow::{Context as _, Result, bail};
use flate2::read::MultiGzDecoder;
use sha2::{Digest as _, Sha256};

use crate::zstd::{self, ZstdReader};

/// How many bytes at the start of a blob are enough to identify its compression.
const START: usize = 512;

/// How a blob is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    /// Not at all.
    Tar,
    Gzip,
    Zstd,
}

/// Digests of the data read; `None` if not requested.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Digests {
    /// Of the blob as it is stored.
    pub(crate) blob: Option<String>,
    /// Of the unpacked layer.
    pub(crate) diff_id: Option<String>,
}

/// The SHA-256 digest of some bytes.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    digest(Sha256::digest(bytes).as_slice())
}

fn digest(hash: &[u8]) -> String {
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

impl Packing {
    /// By the first bytes of a blob, which may be fewer than 512.
    ///
    /// # Errors
    /// For compressions that are not supported; the error names it.
    pub(crate) fn of(start: &[u8]) -> Result<Option<Packing>, &'static str> {
        let foreign: [(&[u8], &str); 2] = [(b"BZh", "bzip2"), (&[0xfd, b'7', b'z', b'X', b'Z'], "xz")];
        if let Some((_, name)) = foreign.into_iter().find(|(magic, _)| start.starts_with(magic)) {
            return Err(name);
        }
        let is_tar = start.len() == START && (&start[257..262] == b"ustar" || start.iter().all(|b| *b == 0));
        Ok(if start.starts_with(&[0x1f, 0x8b]) {
            Some(Packing::Gzip)
        } else if start.starts_with(&zstd::MAGIC) {
            Some(Packing::Zstd)
        } else if is_tar {
            Some(Packing::Tar)
        } else {
            None
        })
    }
}

/// The first bytes of a blob, for [`Packing::of`].
///
/// # Errors
/// When it cannot be read.
pub(crate) fn start_of(reader: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut start = Vec::with_capacity(START);
    reader.take(START as u64).read_to_end(&mut start)?;
    Ok(start)
}

/// Unpacks a stream of any supported compression; a plain one is passed on.
///
/// # Errors
/// When it cannot be read, or for an unsupported compression.
pub(crate) fn unpacked<'r>(mut reader: Box<dyn Read + 'r>) -> Result<Box<dyn Read + 'r>> {
    let start = start_of(&mut reader)?;
    let packing = Packing::of(&start);
    let whole = io::Cursor::new(start).chain(reader);
    Ok(match packing {
        Err(name) => bail!("unsupported compression: {name}\nhelp: unpack it first, or use gzip or zstd"),
        Ok(Some(Packing::Gzip)) => Box::new(MultiGzDecoder::new(whole)),
        Ok(Some(Packing::Zstd)) => Box::new(ZstdReader::new(whole)),
        Ok(_) => Box::new(whole),
    })
}

/// Passes the plain tar of a layer to `visit`, and reads both streams to their ends. `start` was already read from `rest`.
///
/// # Errors
/// When the blob is damaged; and errors of `visit`.
pub(crate) fn read_layer(
    packing: Packing,
    start: &[u8],
    rest: &mut dyn Read,
    verify: bool,
    visit: &mut dyn FnMut(&mut dyn Read) -> Result<()>,
) -> Result<Digests> {
    let mut blob = Hashing::new(start.chain(rest), verify);
    let diff_id = match packing {
        Packing::Tar => {
            visit(&mut blob)?;
            // The padding is read too, or the writer gets a broken pipe.
            drain(&mut blob)?;
            let digest = blob.digest();
            return Ok(Digests { blob: digest.clone(), diff_id: digest });
        }
        Packing::Gzip => {
            let mut layer = Hashing::new(MultiGzDecoder::new(&mut blob), verify);
            visit(&mut layer)?;
            drain(&mut layer)?;
            layer.digest()
        }
        Packing::Zstd => {
            let mut layer = Hashing::new(ZstdReader::new(&mut blob), verify);
            visit(&mut layer)?;
            drain(&mut layer)?;
            layer.digest()
        }
    };
    drain(&mut blob)?;
    Ok(Digests { blob: blob.digest(), diff_id })
}

fn drain(reader: &mut dyn Read) -> Result<()> {
    io::copy(reader, &mut io::sink()).context("cannot read it to its end").map(drop)
}

/// Hashes what passes through.
pub(crate) struct Hashing<R> {
    inner: R,
    hash: Option<Sha256>,
}

impl<R> Hashing<R> {
    pub(crate) fn new(inner: R, verify: bool) -> Hashing<R> {
        Hashing { inner, hash: verify.then(Sha256::new) }
    }

    fn digest(self) -> Option<String> {
        self.hash.map(|hash| digest(hash.finalize().as_slice()))
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        if let Some(hash) = &mut self.hash {
            hash.update(&buffer[..n]);
        }
        Ok(n)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::io::Write;

    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    fn tar(size: usize) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(size as u64);
        tar.append_data(&mut header, "x", vec![7; size].as_slice()).unwrap();
        tar.into_inner().unwrap()
    }

    pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn digests_are_those_of_the_blob_and_of_the_layer() {
        let plain = tar(100_000);
        let zstd = compress_to_vec(plain.as_slice(), CompressionLevel::Fastest);
        for (packing, blob) in
            [(Packing::Tar, plain.clone()), (Packing::Gzip, gzip(&plain)), (Packing::Zstd, zstd)]
        {
            let mut rest = blob.as_slice();
            let start = start_of(&mut rest).unwrap();
            assert_eq!(Packing::of(&start), Ok(Some(packing)));
            let mut seen = Vec::new();
            let digests = read_layer(packing, &start, &mut rest, true, &mut |layer| {
                // A reader of tars may stop before the padding.
                layer.take(1000).read_to_end(&mut seen).map(drop).map_err(Into::into)
            });
            let expected = Digests { blob: Some(sha256(&blob)), diff_id: Some(sha256(&plain)) };
            assert_eq!((digests.unwrap(), seen.as_slice()), (expected, &plain[..1000]));
        }
    }

    #[test]
    fn a_stream_is_unpacked_by_its_first_bytes() {
        let plain = tar(10);
        for packed in
            [plain.clone(), gzip(&plain), compress_to_vec(plain.as_slice(), CompressionLevel::Fastest)]
        {
            let mut read = Vec::new();
            unpacked(Box::new(packed.as_slice())).unwrap().read_to_end(&mut read).unwrap();
            assert_eq!(read, plain);
        }
        let error = unpacked(Box::new(b"BZh91AY&SY".as_slice())).err().unwrap().to_string();
        assert!(error.contains("bzip2"), "{error}");
    }
}
