//! Uploads of blobs (OCI distribution specification 1.1, "Pushing blobs"). An interrupted upload resumes after the last byte that the
//! registry has.

use std::io::{Cursor, Read};

use anyhow::{Result, bail};
use serde::Serialize;

use super::retry::TRIES;
use super::upload_steps::{Content, Step, Upload};
use super::{Ask, Method, RegistryClient};
use crate::blob;
use crate::oci;

/// The size of a chunk in bytes. Smaller blobs are sent in one request.
const CHUNK: u64 = 16 << 20;

/// A blob to upload.
pub struct BlobToUpload<'a> {
    /// `sha256:…`
    pub digest: &'a str,
    /// Size in bytes.
    pub size: u64,
    /// Opens the content at its beginning. Called again if the registry loses the upload.
    pub open: &'a dyn Fn() -> Result<Box<dyn Read>>,
}

/// How a blob got into a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delivered {
    /// It was already there.
    Present,
    /// It was uploaded.
    Uploaded,
}

/// The result for one blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct BlobDelivery {
    /// How it got there.
    pub how: Delivered,
    /// Uploaded bytes that the registry acknowledged.
    pub sent: u64,
}

/// What is known about a running upload.
enum Progress {
    /// No upload has started.
    None,
    /// The registry acknowledged this much.
    At(Upload),
    /// A request failed, so the registry must be asked how much it has.
    Unsure(Upload),
}

impl RegistryClient {
    /// Whether the repository has a blob.
    ///
    /// # Errors
    /// When the registry does not answer or denies access.
    fn has_blob(&self, digest: &str) -> Result<bool> {
        oci::hex(digest)?;
        let path = format!("blobs/{digest}");
        let response = self.ask(&Ask { method: Method::Head, path: &path, ..Ask::default() })?;
        match response.status {
            200 => Ok(true),
            404 => Ok(false),
            _ => bail!(self.refusal(response, digest)),
        }
    }

    /// Uploads a blob unless the repository has it.
    ///
    /// # Errors
    /// When the registry denies the upload, or fails several times in a row; errors reading the blob's content.
    pub fn deliver(&self, blob: &BlobToUpload<'_>) -> Result<BlobDelivery> {
        self.deliver_in_chunks(blob, CHUNK)
    }

    /// Like [`RegistryClient::deliver`], for content in memory. Returns its digest, too.
    ///
    /// # Errors
    /// See [`RegistryClient::deliver`].
    pub fn deliver_bytes(&self, bytes: &[u8]) -> Result<(String, BlobDelivery)> {
        let digest = blob::sha256(bytes);
        let open = || Ok(Box::new(Cursor::new(bytes.to_vec())) as Box<dyn Read>);
        let blob = BlobToUpload { digest: &digest, size: bytes.len() as u64, open: &open };
        let delivery = self.deliver(&blob)?;
        Ok((digest, delivery))
    }

    fn deliver_in_chunks(&self, blob: &BlobToUpload<'_>, chunk: u64) -> Result<BlobDelivery> {
        let done = |how, sent| Ok(BlobDelivery { how, sent });
        self.allow_push();
        if self.patiently(|| self.has_blob(blob.digest))? {
            return done(Delivered::Present, 0);
        }
        let mut progress = Progress::None;
        let mut content = Content::new(blob);
        let (mut tries, mut furthest, mut sent) = (0, 0, 0);
        loop {
            let step = self.advance(&progress, &mut content, chunk, tries > 0);
            let error = match step {
                Ok((Step::Done, bytes)) => return done(Delivered::Uploaded, sent + bytes),
                Ok((Step::At(upload), bytes)) => {
                    sent += bytes;
                    if upload.offset > furthest {
                        (furthest, tries) = (upload.offset, 0);
                    } else if matches!(&progress, Progress::At(before) if upload.offset <= before.offset) {
                        tries += 1;
                        if tries >= TRIES {
                            bail!("the registry accepts parts of {} without storing them", blob.digest);
                        }
                    }
                    progress = Progress::At(upload);
                    continue;
                }
                Ok((Step::Lost, _)) if tries < TRIES => {
                    tries += 1;
                    progress = match progress {
                        Progress::At(upload) => Progress::Unsure(upload),
                        _ => Progress::None,
                    };
                    continue;
                }
                Ok((Step::Lost, _)) => bail!("the registry loses every upload of {}", blob.digest),
                Err(error) => error,
            };
            tries += 1;
            self.pause_after(error, tries)?;
            progress = match progress {
                Progress::At(upload) | Progress::Unsure(upload) => Progress::Unsure(upload),
                Progress::None => Progress::None,
            };
        }
    }

    /// Sends the next request of an upload, and returns how many bytes it sent. `has_failed`: whether the upload may be complete although
    /// its last response was lost.
    fn advance(
        &self,
        progress: &Progress,
        content: &mut Content<'_>,
        chunk: u64,
        has_failed: bool,
    ) -> Result<(Step, u64)> {
        match progress {
            Progress::None if has_failed && self.has_blob(content.digest())? => Ok((Step::Done, 0)),
            Progress::None => Ok((self.begin(content.digest())?, 0)),
            Progress::Unsure(upload) => Ok((self.position(upload)?, 0)),
            Progress::At(upload) => self.send_chunk(upload, content, chunk),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Fake, State};
    use super::*;

    /// Larger than curl's and the socket's buffers, so that a chunk can break in the middle.
    const SIZE: usize = 3_000_000;

    fn content() -> Vec<u8> {
        let mut random = 1_u32;
        let next = || {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            random.to_be_bytes()[0]
        };
        std::iter::repeat_with(next).take(SIZE).collect()
    }

    /// Delivers the content in chunks of a million bytes. Returns the result, and whether the registry then has the content.
    fn delivered(fake: &Fake) -> (BlobDelivery, bool) {
        let content = content();
        let open = || Ok(Box::new(Cursor::new(content.clone())) as Box<dyn Read>);
        let digest = blob::sha256(&content);
        let blob = BlobToUpload { digest: &digest, size: content.len() as u64, open: &open };
        let delivery = fake.client("a").deliver_in_chunks(&blob, 1_000_000).unwrap();
        let is_there = fake.state().blobs.get(&("a".to_owned(), digest)) == Some(&content);
        (delivery, is_there)
    }

    fn uploaded(sent: usize) -> (BlobDelivery, bool) {
        (BlobDelivery { how: Delivered::Uploaded, sent: sent as u64 }, true)
    }

    #[test]
    fn a_blob_is_sent_in_chunks_and_only_once() {
        let fake = Fake::start(State::default());
        assert_eq!(delivered(&fake), uploaded(SIZE));
        assert_eq!((fake.count("PATCH"), fake.count("PUT")), (2, 1));
        assert_eq!(delivered(&fake).0, BlobDelivery { how: Delivered::Present, sent: 0 });
        assert_eq!(fake.state().received, SIZE);
        let (digest, small) = fake.client("b").deliver_bytes(b"small").unwrap();
        assert_eq!(small.sent, 5);
        assert_eq!(fake.state().blobs[&("b".to_owned(), digest)], b"small");
        assert_eq!(fake.count("PATCH"), 2, "a small blob needs one request");
    }

    #[test]
    fn a_broken_upload_continues_where_the_registry_has_it() {
        // In the middle of the second chunk, and of the last one.
        let fake = Fake::start(State { breaks: vec![1_400_000, 2_700_000], ..State::default() });
        let (delivery, is_there) = delivered(&fake);
        assert!(is_there && delivery.how == Delivered::Uploaded);
        assert_eq!(fake.state().received, SIZE, "no byte is sent twice");
        assert_eq!((fake.count("POST"), fake.count("GET")), (1, 2));
    }

    #[test]
    fn a_registry_that_stores_nothing_is_given_up() {
        let fake = Fake::start(State { drops: true, ..State::default() });
        let content = content();
        let open = || Ok(Box::new(Cursor::new(content.clone())) as Box<dyn Read>);
        let digest = blob::sha256(&content);
        let blob = BlobToUpload { digest: &digest, size: content.len() as u64, open: &open };
        let error = fake.client("a").deliver_in_chunks(&blob, 1_000_000).unwrap_err().to_string();
        assert!(error.contains("without storing them"), "{error}");
        assert_eq!(fake.count("PATCH"), TRIES as usize);
    }

    #[test]
    fn an_upload_that_the_registry_lost_begins_again() {
        let fake = Fake::start(State { breaks: vec![1_400_000], forgets: true, ..State::default() });
        assert!(delivered(&fake).1);
        assert_eq!((fake.count("POST"), fake.state().received), (2, 1_400_000 + SIZE));
    }

    #[test]
    fn a_lost_response_does_not_upload_again() {
        let fake = Fake::start(State { loses_response: true, ..State::default() });
        assert!(delivered(&fake).1);
        assert_eq!(fake.state().received, SIZE);
    }

    #[test]
    fn a_registry_that_always_breaks_is_given_up() {
        let breaks = (0..20).map(|n| n * 10 + 1).collect();
        let fake = Fake::start(State { breaks, forgets: true, ..State::default() });
        let open = || Ok(Box::new(Cursor::new(vec![1_u8; 1000])) as Box<dyn Read>);
        let digest = blob::sha256(&[1; 1000]);
        let blob = BlobToUpload { digest: &digest, size: 1000, open: &open };
        let error = fake.client("a").deliver(&blob).unwrap_err();
        assert_eq!(host::failure::class_of(&error), host::failure::FailureClass::Network, "{error:#}");
    }

    #[test]
    fn content_with_another_digest_or_length_is_rejected() {
        let fake = Fake::start(State::default());
        let digest = blob::sha256(b"right");
        let deliver = |text: &'static [u8]| {
            let open = || Ok(Box::new(text) as Box<dyn Read>);
            let blob = BlobToUpload { digest: &digest, size: 5, open: &open };
            fake.client("a").deliver(&blob).unwrap_err().to_string()
        };
        let wrong = deliver(b"wrong");
        assert!(wrong.contains("(400): DIGEST_INVALID: provided digest did not match"), "{wrong}");
        assert!(deliver(b"two").contains("has 3 bytes, expected 5"));
        assert!(fake.state().blobs.is_empty());
    }

    #[test]
    fn a_token_allows_the_push() {
        let fake = Fake::start(State { asks: true, ..State::default() });
        assert!(delivered(&fake).1);
        let tokens = fake.state().tokens.clone();
        // curl versions differ in the case of hexadecimal digits.
        let last = tokens.last().unwrap().to_lowercase();
        let scope = |text: &str| text.replace(':', "%3a").replace(',', "%2c");
        assert!(last.contains(&scope("scope=repository:a:pull,push")), "{last}");
    }
}
