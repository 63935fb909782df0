//! Scans files for secrets while they stream past: private keys, tokens of well-known services, files with credentials, and
//! values that the caller knows. Archives are not unpacked. No value is ever stored or printed: a finding has a name and a path.

pub mod assignments;
mod credentials;
mod keys;
pub mod literal;
pub mod names;
mod tokens;

use std::collections::BTreeSet;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use anyhow::{Context as _, Result};
use md5::Md5;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use self::credentials::Format;
use self::tokens::Alphabet;

/// A kind of secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Secret {
    /// A private key.
    PrivateKey,
    /// A token with a known format, by its issuer.
    Token(String),
    /// A credential in a well-known credential file, by its kind.
    Credential(String),
    /// A value that the caller knows, by its name.
    Known(String),
}

/// A secret in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FoundSecret {
    /// The file, from the image's root.
    pub path: String,
    /// The secret's kind.
    pub secret: Secret,
    /// The checksums of the file; `None` if it is large.
    pub sums: Option<Sums>,
}

/// Checksums of a file, to compare with package records.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Sums {
    /// As Debian packages record it.
    pub md5: [u8; 16],
    /// As Python distributions record it.
    pub sha256: [u8; 32],
}

impl Sums {
    /// The checksums of a file's content.
    pub fn of(content: &[u8]) -> Sums {
        Sums { md5: Md5::digest(content).into(), sha256: Sha256::digest(content).into() }
    }
}

/// Maximum distance of the evidence from the start of a match: the length of a JSON Web Token with many claims.
const REACH: usize = 4096;

/// What to look for.
#[derive(Debug)]
pub struct Scanner {
    needles: AhoCorasick,
    /// By needle.
    patterns: Vec<Pattern>,
    reach: usize,
    longest: usize,
    fingerprint: String,
}

#[derive(Debug, Clone)]
enum Pattern {
    Pem,
    /// A key in DER or PEM, in base64.
    Base64Key(&'static str),
    Putty,
    Jwt,
    Token(&'static str, Alphabet, usize),
    Known(String),
}

impl Scanner {
    /// Looks for keys, tokens and credentials, and for these values by name; a name may have several values.
    ///
    /// # Errors
    /// When there are too many values to search for at once.
    pub fn new(known: &[(String, Vec<u8>)]) -> Result<Scanner> {
        let mut needles: Vec<(&[u8], Pattern)> = vec![
            (keys::PEM.as_bytes(), Pattern::Pem),
            (keys::PUTTY.as_bytes(), Pattern::Putty),
            (tokens::JWT.as_bytes(), Pattern::Jwt),
        ];
        needles.extend(keys::BASE64.map(|start| (start.as_bytes(), Pattern::Base64Key(start))));
        for (name, prefix, alphabet, minimum) in tokens::TOKENS {
            needles.push((prefix.as_bytes(), Pattern::Token(name, alphabet, minimum)));
        }
        let mut hash = Sha256::new();
        for (name, value) in known {
            needles.push((value, Pattern::Known(name.clone())));
            for part in [name.as_bytes(), value] {
                hash.update((part.len() as u64).to_le_bytes());
                hash.update(part);
            }
        }
        let longest = needles.iter().map(|(needle, _)| needle.len()).max().unwrap_or_default();
        let fingerprint = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let (needles, patterns): (Vec<_>, Vec<_>) = needles.into_iter().unzip();
        // The fastest kind; its memory is bounded by the number of values.
        let needles = AhoCorasick::builder().kind(Some(AhoCorasickKind::DFA)).build(needles);
        let needles = needles.context("too many secret values to search for")?;
        Ok(Scanner { needles, patterns, reach: REACH.max(longest + 1), longest, fingerprint })
    }

    /// Identifies the set of values without revealing any.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Starts a file of this path and size.
    pub fn start(&self, path: &str, bytes: u64) -> Scan<'_> {
        let format = credentials::format_of(path).filter(|_| bytes <= credentials::MAX_BYTES);
        let (text, head, whole, found) = (Vec::new(), Vec::new(), Vec::new(), BTreeSet::new());
        Scan { scanner: self, text, seen: 0, head, bytes, format, whole, found }
    }

    /// Scans a text.
    pub fn text(&self, text: &str) -> Vec<Secret> {
        let mut scan = self.start("", text.len() as u64);
        scan.feed(text.as_bytes());
        scan.finish()
    }

    /// The secrets in a whole file, with their lines, from 1.
    pub fn lines(&self, path: &str, content: &[u8]) -> Vec<(usize, Secret)> {
        let mut found: Vec<(usize, Secret)> = Vec::new();
        for needle in self.needles.find_overlapping_iter(content) {
            let before = needle.start().checked_sub(1).map(|before| content[before]);
            let secret = self.patterns[needle.pattern()].secret(&content[needle.end()..], before);
            found.extend(secret.map(|secret| (needle.start(), secret)));
        }
        if keys::is_binary_key(&content[..content.len().min(keys::HEAD)], content.len() as u64) {
            found.push((0, Secret::PrivateKey));
        }
        let format = credentials::format_of(path).filter(|_| content.len() as u64 <= credentials::MAX_BYTES);
        if let Some(format) = format
            && let Some(at) = format.find(&String::from_utf8_lossy(content))
        {
            found.push((at, Secret::Credential(format.label.to_owned())));
        }
        let line = |at: usize| content.iter().take(at).filter(|byte| **byte == b'\n').count() + 1;
        let mut found: Vec<(usize, Secret)> =
            found.into_iter().map(|(at, secret)| (line(at), secret)).collect();
        found.sort();
        found.dedup();
        found
    }

    /// The known values in a file's path.
    pub fn known_in(&self, path: &str) -> BTreeSet<Secret> {
        let known = self.needles.find_overlapping_iter(path).map(|found| &self.patterns[found.pattern()]);
        known
            .filter_map(|pattern| matches!(pattern, Pattern::Known(_)).then(|| pattern.secret(b"", None))?)
            .collect()
    }

    /// The text with every known value replaced.
    pub fn mask(&self, text: &str) -> String {
        let mut masked = text.to_owned();
        for found in self.needles.find_overlapping_iter(text) {
            if matches!(self.patterns[found.pattern()], Pattern::Known(_)) {
                masked = masked.replace(&text[found.range()], "***");
            }
        }
        masked
    }
}

/// The scan of one file.
#[derive(Debug)]
pub struct Scan<'s> {
    scanner: &'s Scanner,
    /// The undecided text, with one byte before it.
    text: Vec<u8>,
    /// How many bytes of it are decided.
    seen: usize,
    /// The first bytes of the file.
    head: Vec<u8>,
    /// The size of the file.
    bytes: u64,
    format: Option<&'static Format>,
    /// The whole file, if it has a format.
    whole: Vec<u8>,
    found: BTreeSet<Secret>,
}

impl Scan<'_> {
    /// Scans the next chunk.
    pub fn feed(&mut self, chunk: &[u8]) {
        self.head.extend(chunk.iter().take(keys::HEAD - self.head.len()));
        if self.format.is_some() {
            self.whole.extend_from_slice(chunk);
        }
        self.text.extend_from_slice(chunk);
        // The evidence for later matches may be in the next chunk.
        let end = self.text.len().saturating_sub(self.scanner.reach);
        self.look(end);
        let keep = end.saturating_sub(1).max(self.seen.saturating_sub(1));
        self.text.drain(..keep);
        self.seen = self.seen.max(end) - keep;
    }

    /// Ends the scan and returns the secrets.
    pub fn finish(mut self) -> Vec<Secret> {
        self.look(self.text.len());
        if keys::is_binary_key(&self.head, self.bytes) {
            self.found.insert(Secret::PrivateKey);
        }
        let whole = String::from_utf8_lossy(&self.whole);
        if let Some(format) = self.format.filter(|format| format.is_in(&whole)) {
            self.found.insert(Secret::Credential(format.label.to_owned()));
        }
        self.found.into_iter().collect()
    }

    fn look(&mut self, end: usize) {
        if end <= self.seen {
            return;
        }
        // A match that begins before `end` may extend beyond it.
        let within = (end - 1).saturating_add(self.scanner.longest).min(self.text.len());
        for found in self.scanner.needles.find_overlapping_iter(&self.text[self.seen..within]) {
            let (at, rest) = (found.start() + self.seen, found.end() + self.seen);
            let before = at.checked_sub(1).map(|before| self.text[before]);
            if at < end
                && let Some(secret) =
                    self.scanner.patterns[found.pattern()].secret(&self.text[rest..], before)
            {
                self.found.insert(secret);
            }
        }
    }
}

impl Pattern {
    /// What a match is, from the text behind it and the byte before it.
    fn secret(&self, rest: &[u8], before: Option<u8>) -> Option<Secret> {
        match self {
            Pattern::Known(name) => Some(Secret::Known(name.clone())),
            Pattern::Pem => keys::is_pem_key(rest).then_some(Secret::PrivateKey),
            Pattern::Base64Key(start) => {
                keys::is_base64_key(start, rest, before).then_some(Secret::PrivateKey)
            }
            Pattern::Putty => keys::is_putty_key(rest).then_some(Secret::PrivateKey),
            Pattern::Jwt => tokens::is_jwt(rest, before).then(|| Secret::Token("JSON Web Token".to_owned())),
            Pattern::Token(name, alphabet, minimum) => {
                tokens::is_token(rest, before, *alphabet, *minimum).then(|| Secret::Token((*name).to_owned()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg";

    fn scanner() -> Scanner {
        Scanner::new(&[("API_KEY".into(), b"correct horse battery".into())]).unwrap()
    }

    #[test]
    fn tokens_are_whole_words_in_their_issuers_format() {
        let found = |text: &str| scanner().text(text);
        let github = |token: &str| format!("ghp_{token}");
        assert_eq!(
            found(&github("a8Bc2dE5fG7hI1jK4lM6nO9pQ3rS0tU2vW5x")),
            [Secret::Token("GitHub token".into())]
        );
        for key in ["key=AKIA", "ASIA"].map(|prefix| format!("{prefix}Q3EGV7XN2LMZK5TP\n")) {
            assert_eq!(found(&key), [Secret::Token("AWS access key".into())]);
        }
        let hub = format!("-p dckr_pat_{}", "a8Bc2dE5fG7h_1jK4lM6nO9pQ3r");
        assert_eq!(found(&hub), [Secret::Token("Docker Hub token".into())]);
        let face = format!("hf_{}", "aBcDeFgHiJkLmNoPqRsTuVwXyZaBcDeFgH");
        assert_eq!(found(&face), [Secret::Token("Hugging Face token".into())]);
        for none in [
            "AKIAIOSFODNN7EXAMPLE",
            "AKIAQ3EGV7XN2LMZK5TPLONGER",
            "XAKIAQ3EGV7XN2LMZK5TP",
            "npm_config_registry",
            "hf_device_map_of_the_model_for_text_generation",
            &github(&"x".repeat(36)),
        ] {
            assert_eq!(found(none), [], "{none}");
        }
    }

    #[test]
    fn secrets_are_found_across_chunks() {
        let text = format!(
            "{}correct horse battery{}-----BEGIN PRIVATE KEY-----\n{BODY}\n",
            "a".repeat(700),
            "b".repeat(300)
        );
        for size in [1, 7, 100, 256, 511, 5000] {
            let scanner = scanner();
            let mut scan = scanner.start("x", text.len() as u64);
            text.as_bytes().chunks(size).for_each(|chunk| scan.feed(chunk));
            assert_eq!(scan.finish(), [Secret::PrivateKey, Secret::Known("API_KEY".into())], "{size}");
        }
    }

    #[test]
    fn the_fingerprint_depends_on_the_values_without_revealing_them() {
        let other = Scanner::new(&[("API_KEY".into(), b"correct horse batterz".into())]).unwrap();
        assert_ne!(scanner().fingerprint(), other.fingerprint());
        assert!(!scanner().fingerprint().contains("horse"));
    }
}
