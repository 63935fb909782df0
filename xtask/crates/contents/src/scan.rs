//! Scans files for secrets while they stream past: private keys, tokens of well-known services, and values that the caller
//! knows. Archives are not unpacked. No value is ever stored or printed: a finding has a name and a path.

use std::collections::BTreeSet;

use memchr::memmem::Finder;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A kind of secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Secret {
    /// A private key in PEM form (RFC 7468).
    PrivateKey,
    /// A token with a known prefix, by its issuer.
    Token(String),
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
}

/// Tokens: issuer, prefix, the characters that follow, their minimum number.
const TOKENS: [(&str, &str, Alphabet, usize); 14] = [
    ("AWS access key", "AKIA", Alphabet::Upper, 16),
    ("AWS access key", "ASIA", Alphabet::Upper, 16),
    ("Docker Hub token", "dckr_pat_", Alphabet::Web, 20),
    ("Hugging Face token", "hf_", Alphabet::Plain, 34),
    ("GitHub token", "ghp_", Alphabet::Word, 36),
    ("GitHub token", "gho_", Alphabet::Word, 36),
    ("GitHub token", "ghs_", Alphabet::Word, 36),
    ("GitHub token", "github_pat_", Alphabet::Word, 60),
    ("GitLab token", "glpat-", Alphabet::Web, 20),
    ("npm token", "npm_", Alphabet::Word, 36),
    ("PyPI token", "pypi-AgEIcHlwaS5vcmc", Alphabet::Web, 50),
    ("Slack token", "xoxb-", Alphabet::Web, 40),
    ("Stripe key", "sk_live_", Alphabet::Word, 24),
    ("Google key", "AIza", Alphabet::Web, 35),
];

/// The characters of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Alphabet {
    /// Capitals and digits.
    Upper,
    /// Letters and digits.
    Plain,
    /// Letters, digits, underscore.
    Word,
    /// Letters, digits, underscore, dash.
    Web,
}

impl Alphabet {
    fn has(self, byte: u8) -> bool {
        match self {
            Alphabet::Upper => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Alphabet::Plain => byte.is_ascii_alphanumeric(),
            Alphabet::Word => byte.is_ascii_alphanumeric() || byte == b'_',
            Alphabet::Web => byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-',
        }
    }
}

const PEM: &str = "-----BEGIN ";

/// How far from the start of a match its evidence may reach.
const REACH: usize = 256;

/// What to look for.
#[derive(Debug)]
pub struct Scanner {
    needles: Vec<(Finder<'static>, Pattern)>,
    reach: usize,
    fingerprint: String,
}

#[derive(Debug)]
enum Pattern {
    Pem,
    Token(&'static str, Alphabet, usize),
    Known(String),
}

impl Scanner {
    /// Looks for keys and tokens, and for these values by name; a name may have several values.
    pub fn new(known: &[(String, Vec<u8>)]) -> Scanner {
        let mut needles = vec![(Finder::new(PEM).into_owned(), Pattern::Pem)];
        for (name, prefix, alphabet, minimum) in TOKENS {
            needles.push((Finder::new(prefix).into_owned(), Pattern::Token(name, alphabet, minimum)));
        }
        let mut hash = Sha256::new();
        let mut reach = REACH;
        for (name, value) in known {
            needles.push((Finder::new(value).into_owned(), Pattern::Known(name.clone())));
            reach = reach.max(value.len() + 1);
            for part in [name.as_bytes(), value] {
                hash.update((part.len() as u64).to_le_bytes());
                hash.update(part);
            }
        }
        let fingerprint = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Scanner { needles, reach, fingerprint }
    }

    /// Identifies the set of values without revealing any.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Starts a file.
    pub fn start(&self) -> Scan<'_> {
        Scan { scanner: self, text: Vec::new(), seen: 0, found: BTreeSet::new() }
    }

    /// Scans a text.
    pub fn text(&self, text: &str) -> Vec<Secret> {
        let mut scan = self.start();
        scan.feed(text.as_bytes());
        scan.finish()
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
    found: BTreeSet<Secret>,
}

impl Scan<'_> {
    /// Scans the next chunk.
    pub fn feed(&mut self, chunk: &[u8]) {
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
        self.found.into_iter().collect()
    }

    fn look(&mut self, end: usize) {
        if end <= self.seen {
            return;
        }
        for (finder, pattern) in &self.scanner.needles {
            // A match that begins before `end` may extend beyond it.
            let within = (end - 1).saturating_add(finder.needle().len()).min(self.text.len());
            for at in finder.find_iter(&self.text[self.seen..within]) {
                let at = at + self.seen;
                let before = at.checked_sub(1).map(|before| self.text[before]);
                if let Some(secret) = pattern.secret(&self.text[at + finder.needle().len()..], before) {
                    self.found.insert(secret);
                    break;
                }
            }
        }
    }
}

impl Pattern {
    /// What a match is, from the text behind it and the byte before it.
    fn secret(&self, rest: &[u8], before: Option<u8>) -> Option<Secret> {
        match self {
            Pattern::Known(name) => Some(Secret::Known(name.clone())),
            Pattern::Pem => is_private_key(rest).then_some(Secret::PrivateKey),
            Pattern::Token(name, alphabet, minimum) => {
                let length = rest.iter().take_while(|byte| alphabet.has(**byte)).count();
                // Exclude parts of longer words, the issuer's examples, and repetitions.
                let is_word = before.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
                let is_example = rest[..length].ends_with(b"EXAMPLE");
                let is_varied =
                    rest[..length].iter().collect::<BTreeSet<_>>().len() > rest[..length].len().min(24) / 3;
                let exact = *alphabet != Alphabet::Upper || length == *minimum;
                (length >= *minimum && exact && !is_word && !is_example && is_varied)
                    .then(|| Secret::Token((*name).to_owned()))
            }
        }
    }
}

/// Whether `RSA PRIVATE KEY-----` and a key follow: programs that read keys contain only the first line.
fn is_private_key(rest: &[u8]) -> bool {
    let rest = &rest[..rest.len().min(REACH - PEM.len())];
    let text = String::from_utf8_lossy(rest);
    let Some((label, body)) = text.split_once("-----") else { return false };
    if !label.strip_suffix(" BLOCK").unwrap_or(label).ends_with("PRIVATE KEY") {
        return false;
    }
    // JSON and shell variables may escape line ends.
    let body = body.replace("\\r", "\r").replace("\\n", "\n");
    if !body.starts_with(['\n', '\r']) {
        return false;
    }
    let body = body.trim_start();
    let header =
        ["Proc-Type:", "DEK-Info:", "Version:", "Comment:"].iter().any(|name| body.starts_with(name));
    let base64 = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
    header || body.chars().filter(|c| !matches!(c, '\n' | '\r')).take_while(base64).count() >= 40
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg";

    fn scanner() -> Scanner {
        Scanner::new(&[("API_KEY".into(), b"correct horse battery".into())])
    }

    #[test]
    fn keys_are_found_but_not_their_first_line_alone() {
        let found = |text: &str| scanner().text(text);
        for label in ["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "] {
            let key = format!("x-----BEGIN {label}PRIVATE KEY-----\n{BODY}\n");
            assert_eq!(found(&key), [Secret::PrivateKey], "{label}");
        }
        assert_eq!(found(&format!("-----BEGIN PRIVATE KEY-----\\n{BODY}")), [Secret::PrivateKey]);
        let pgp = "-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: 2\n\nlQ";
        assert_eq!(found(pgp), [Secret::PrivateKey]);
        for none in [
            "-----BEGIN RSA PRIVATE KEY-----\0-----END",
            "-----BEGIN PRIVATE KEY-----\n...\n",
            &format!("-----BEGIN CERTIFICATE-----\n{BODY}\n"),
            &format!("-----BEGIN PUBLIC KEY-----\n{BODY}\n"),
        ] {
            assert_eq!(found(none), [], "{none}");
        }
    }

    #[test]
    fn tokens_are_whole_words_in_their_issuers_format() {
        let found = |text: &str| scanner().text(text);
        let github = |token: &str| format!("ghp_{token}");
        assert_eq!(
            found(&github("a8Bc2dE5fG7hI1jK4lM6nO9pQ3rS0tU2vW5x")),
            [Secret::Token("GitHub token".into())]
        );
        for key in ["key=AKIAQ3EGV7XN2LMZK5TP\n", "ASIAQ3EGV7XN2LMZK5TP"] {
            assert_eq!(found(key), [Secret::Token("AWS access key".into())]);
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
            let mut scan = scanner.start();
            text.as_bytes().chunks(size).for_each(|chunk| scan.feed(chunk));
            assert_eq!(scan.finish(), [Secret::PrivateKey, Secret::Known("API_KEY".into())], "{size}");
        }
    }

    #[test]
    fn the_fingerprint_depends_on_the_values_without_revealing_them() {
        let other = Scanner::new(&[("API_KEY".into(), b"correct horse batterz".into())]);
        assert_ne!(scanner().fingerprint(), other.fingerprint());
        assert!(!scanner().fingerprint().contains("horse"));
    }
}
