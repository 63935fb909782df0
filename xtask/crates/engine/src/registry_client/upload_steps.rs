//! The requests of an upload.

use std::io::{self, Read, Write as _};

use anyhow::{Context as _, Result, bail};
use tempfile::NamedTempFile;

use super::transport::Response;
use super::upload::BlobToUpload;
use super::{Ask, Method, RegistryClient};

/// An upload that the registry has accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Upload {
    /// Where the next request goes.
    location: String,
    /// How many bytes the registry has.
    pub(super) offset: u64,
    /// The smallest chunk that the registry accepts, in bytes.
    min_chunk: u64,
}

/// The outcome of an upload request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The registry has this much.
    At(Upload),
    /// The blob is in the repository.
    Done,
    /// The registry does not know the upload, or expects it to continue at a different offset.
    Lost,
}

/// The content of a blob, read piece by piece.
pub(super) struct Content<'a> {
    blob: &'a BlobToUpload<'a>,
    /// The open content and its position.
    open: Option<(Box<dyn Read>, u64)>,
}

impl<'a> Content<'a> {
    pub(super) fn new(blob: &'a BlobToUpload<'a>) -> Content<'a> {
        Content { blob, open: None }
    }

    pub(super) fn digest(&self) -> &'a str {
        self.blob.digest
    }

    /// Copies `length` bytes from `offset` to a temporary file: curl reads a body from a file, since its standard input carries the credentials.
    fn piece(&mut self, offset: u64, length: u64) -> Result<NamedTempFile> {
        let what = || format!("cannot read {} to upload it", self.blob.digest);
        let (mut reader, at) = match self.open.take().filter(|(_, at)| *at <= offset) {
            Some(open) => open,
            None => ((self.blob.open)()?, 0),
        };
        io::copy(&mut reader.by_ref().take(offset - at), &mut io::sink()).with_context(what)?;
        let mut file = NamedTempFile::new().context("cannot create a temporary file for an upload")?;
        let copied = io::copy(&mut reader.by_ref().take(length), &mut file).with_context(what)?;
        file.flush().context("cannot write a temporary file for an upload")?;
        if copied < length {
            bail!("{} has {} bytes, expected {}", self.blob.digest, offset + copied, self.blob.size);
        }
        self.open = Some((reader, offset + length));
        Ok(file)
    }
}

impl RegistryClient {
    /// Starts an upload.
    pub(super) fn begin(&self, digest: &str) -> Result<Step> {
        let ask = Ask { method: Method::Post, path: "blobs/uploads/", ..Ask::default() };
        let response = self.ask(&ask)?;
        match response.status {
            202 => Ok(Step::At(upload(&response, 0, None)?)),
            _ => bail!(self.rejection(response, digest)),
        }
    }

    /// Asks how much of an upload the registry has.
    pub(super) fn position(&self, known: &Upload) -> Result<Step> {
        let response = self.ask(&Ask { path: &known.location, ..Ask::default() })?;
        match response.status {
            204 => Ok(Step::At(upload(&response, 0, Some(known))?)),
            400 | 404 | 416 => Ok(Step::Lost),
            _ => bail!(self.rejection(response, "the status of an upload")),
        }
    }

    /// Sends the next chunk, and returns how many bytes the registry accepted. The last chunk also ends the upload.
    pub(super) fn send_chunk(
        &self,
        known: &Upload,
        content: &mut Content<'_>,
        chunk: u64,
    ) -> Result<(Step, u64)> {
        let (offset, size) = (known.offset, content.blob.size);
        let rest = size.saturating_sub(offset);
        let is_last = rest <= chunk.max(known.min_chunk);
        let length = if is_last { rest } else { chunk.max(known.min_chunk) };
        let mut headers = vec![("Content-Type", "application/octet-stream".to_owned())];
        // A request with the whole blob has no range.
        if length > 0 && !(offset == 0 && is_last) {
            headers.push(("Content-Range", format!("{offset}-{}", offset + length - 1)));
        }
        let piece = if length > 0 { Some(content.piece(offset, length)?) } else { None };
        let separator = if known.location.contains('?') { '&' } else { '?' };
        let end = format!("{}{separator}digest={}", known.location, content.digest());
        let response = self.ask(&Ask {
            method: if is_last { Method::Put } else { Method::Patch },
            path: if is_last { &end } else { &known.location },
            headers,
            body: piece.as_ref().map(NamedTempFile::path),
            ..Ask::default()
        })?;
        match response.status {
            201 if is_last => Ok((Step::Done, length)),
            202 if !is_last => Ok((Step::At(upload(&response, offset + length, Some(known))?), length)),
            404 | 416 => Ok((Step::Lost, 0)),
            _ => bail!(self.rejection(response, content.digest())),
        }
    }
}

/// The upload after a response. `offset`: how much the registry has, if the response does not say.
fn upload(response: &Response, offset: u64, before: Option<&Upload>) -> Result<Upload> {
    let mut location = response.headers("location").next().map(str::to_owned);
    location = location.or_else(|| Some(before?.location.clone()));
    let location = location.context("the registry started an upload without a `Location` header")?;
    let min_chunk = response.headers("oci-chunk-min-length").find_map(|length| length.parse().ok());
    Ok(Upload {
        location,
        offset: response.headers("range").next().map_or(Ok(offset), range)?,
        min_chunk: min_chunk.or(before.map(|before| before.min_chunk)).unwrap_or(0),
    })
}

/// The number of bytes in `Range: 0-LAST`. Registries also write `0-0` for no bytes, so a single byte is sent again.
fn range(text: &str) -> Result<u64> {
    let last = text.trim_start_matches("bytes=").strip_prefix("0-").and_then(|last| last.parse::<u64>().ok());
    let count = match last {
        Some(0) => Some(0),
        last => last.and_then(|last| last.checked_add(1)),
    };
    match count {
        Some(count) => Ok(count),
        None => bail!("the registry returned an invalid range of an upload: {text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_registries_write_them() {
        for (text, bytes) in [("0-0", 0), ("0-1023", 1024), ("bytes=0-9", 10)] {
            assert_eq!(range(text).unwrap(), bytes, "{text}");
        }
        for wrong in ["", "5-9", "0-x", "0--1", "0-18446744073709551615"] {
            assert!(range(wrong).is_err(), "{wrong}");
        }
    }
}
