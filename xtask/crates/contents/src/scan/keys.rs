//! Private keys: PEM text, PuTTY's format, DER and Java key stores.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// How a PEM block starts (RFC 7468).
pub(super) const PEM: &str = "-----BEGIN ";

/// How a PuTTY key starts (PuTTY user manual, appendix C).
pub(super) const PUTTY: &str = "PuTTY-User-Key-File-";

/// First characters of base64-encoded keys in DER: PKCS #1 and PKCS #8, RSA with 2048, 3072 and 4096 bits, P-256, P-384 and
/// Ed25519. The fourth character depends on the exact length.
pub(super) const BASE64: [&str; 26] = [
    PEM_BASE64,
    "MIIEogIBAAKCAQEA",
    "MIIEowIBAAKCAQEA",
    "MIIEpAIBAAKCAQEA",
    "MIIEpQIBAAKCAQEA",
    "MIIG4gIBAAKCAYEA",
    "MIIG4wIBAAKCAYEA",
    "MIIG5AIBAAKCAYEA",
    "MIIG5QIBAAKCAYEA",
    "MIIJJwIBAAKCAgEA",
    "MIIJKAIBAAKCAgEA",
    "MIIJKQIBAAKCAgEA",
    "MIIJKgIBAAKCAgEA",
    "MIIEuwIBADANBgkqhkiG9w0BAQEFAASC",
    "MIIEvAIBADANBgkqhkiG9w0BAQEFAASC",
    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC",
    "MIIEvgIBADANBgkqhkiG9w0BAQEFAASC",
    "MIIEvwIBADANBgkqhkiG9w0BAQEFAASC",
    "MIIG/AIBADANBgkqhkiG9w0BAQEFAASC",
    "MIIG/QIBADANBgkqhkiG9w0BAQEFAASC",
    "MIIG/gIBADANBgkqhkiG9w0BAQEFAASC",
    "MIIJQQIBADANBgkqhkiG9w0BAQEFAASC",
    "MIIJQgIBADANBgkqhkiG9w0BAQEFAASC",
    "MIIJQwIBADANBgkqhkiG9w0BAQEFAASC",
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49",
    "MC4CAQAwBQYDK2VwBCIEI",
];

/// The base64 of [`PEM`].
const PEM_BASE64: &str = "LS0tLS1CRUdJTi";

/// Number of leading bytes that [`is_binary_key`] needs.
pub(super) const HEAD: usize = 64;

/// Minimum base64 characters of a key, and of its first line.
const LEAST: usize = 40;
const LEAST_WORD: usize = 16;

/// Whether the rest of a key follows [`PEM`], such as `RSA PRIVATE KEY-----` and base64: programs that read keys contain only the
/// first line. Line ends may be real, escaped for JSON or a shell variable (also twice), or replaced with spaces.
pub(super) fn is_pem_key(rest: &[u8]) -> bool {
    let text = String::from_utf8_lossy(&rest[..rest.len().min(400)]);
    let Some((label, body)) = text.split_once("-----") else { return false };
    if !label.strip_suffix(" BLOCK").unwrap_or(label).ends_with("PRIVATE KEY") || label.len() > 40 {
        return false;
    }
    let body = body.replace("\\\\n", "\n").replace("\\r", "\n").replace("\\n", "\n");
    let body = body.trim_start();
    let header =
        ["Proc-Type:", "DEK-Info:", "Version:", "Comment:"].iter().any(|name| body.starts_with(name));
    let base64 = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
    // The words of a sentence about keys are short.
    let first = body.split_whitespace().next().unwrap_or_default();
    let length = body.chars().filter(|c| !c.is_whitespace()).take_while(base64).count();
    header || first.len() >= LEAST_WORD && length >= LEAST
}

/// Whether the rest of a key follows one of [`BASE64`] on the same line. `before` is the preceding byte.
pub(super) fn is_base64_key(start: &str, rest: &[u8], before: Option<u8>) -> bool {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let length = rest.iter().take(600).take_while(|byte| is_base64(byte)).count();
    if before.as_ref().is_some_and(is_base64) {
        return false;
    }
    if start != PEM_BASE64 {
        let mut bytes = rest[..length].to_vec();
        bytes.sort_unstable();
        bytes.dedup();
        return length >= LEAST && bytes.len() > LEAST / 4;
    }
    let text = [start.as_bytes(), &rest[..length]].concat();
    let whole = &text[..text.len() / 4 * 4];
    let decoded = STANDARD.decode(whole).unwrap_or_default();
    decoded.strip_prefix(PEM.as_bytes()).is_some_and(is_pem_key)
}

/// Whether a key follows [`PUTTY`]: its version and its algorithm.
pub(super) fn is_putty_key(rest: &[u8]) -> bool {
    let text = String::from_utf8_lossy(&rest[..rest.len().min(40)]);
    let algorithm = text.strip_prefix(['1', '2', '3']).and_then(|text| text.strip_prefix(": "));
    algorithm.is_some_and(|name| ["ssh-", "ecdsa-"].iter().any(|start| name.starts_with(start)))
}

/// Whether a file is a private key in DER form or a Java key store with one, from its first [`HEAD`] bytes and its size.
pub(super) fn is_binary_key(head: &[u8], bytes: u64) -> bool {
    is_der_key(head, bytes) || is_java_key_store(head)
}

/// PKCS #1 (RFC 8017, A.1.2), SEC 1 (RFC 5915), PKCS #8 (RFC 5208), also encrypted, and PKCS #12 (RFC 7292).
fn is_der_key(head: &[u8], bytes: u64) -> bool {
    // The outermost SEQUENCE is the whole file.
    let Some((length, content)) = sequence(head) else { return false };
    if (head.len() - content.len()) as u64 + length != bytes {
        return false;
    }
    let is_sequence = |rest: &[u8]| sequence(rest).is_some();
    match content {
        // INTEGER 0, then the algorithm of PKCS #8 or the modulus of PKCS #1.
        [0x02, 0x01, 0x00, rest @ ..] => is_sequence(rest) || matches!(rest, [0x02, 0x81 | 0x82, ..]),
        // INTEGER 1, then the key of SEC 1 (32, 48 or 66 bytes), or the algorithm of RFC 5958.
        [0x02, 0x01, 0x01, rest @ ..] => matches!(rest, [0x04, 0x20 | 0x30 | 0x42, ..]) || is_sequence(rest),
        // INTEGER 3: PKCS #12.
        [0x02, 0x01, 0x03, rest @ ..] => is_sequence(rest),
        // An encrypted key: PKCS #5 (1.2.840.113549.1.5).
        _ => sequence(content).is_some_and(|(_, inner)| {
            matches!(inner, [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, ..])
        }),
    }
}

/// The length and the content of a SEQUENCE with a definite length (X.690, section 8.1.3).
fn sequence(bytes: &[u8]) -> Option<(u64, &[u8])> {
    match bytes {
        [0x30, length @ 0..=0x7f, rest @ ..] => Some((u64::from(*length), rest)),
        [0x30, 0x81, a, rest @ ..] => Some((u64::from(*a), rest)),
        [0x30, 0x82, a, b, rest @ ..] => Some((u64::from(u16::from_be_bytes([*a, *b])), rest)),
        _ => None,
    }
}

/// A key store of Java's own format (`JKS`) whose first entry is a private key. Stores of certificates, such as `cacerts`, have
/// only entries of kind 2.
fn is_java_key_store(head: &[u8]) -> bool {
    matches!(head, [0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 1 | 2, _, _, _, _, 0, 0, 0, 1, ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg";

    #[test]
    fn a_pem_key_is_found_in_any_line_form() {
        let is_key = |text: &str| is_pem_key(text.strip_prefix(PEM).unwrap().as_bytes());
        for label in ["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "] {
            assert!(is_key(&format!("-----BEGIN {label}PRIVATE KEY-----\n{BODY}\n")), "{label}");
        }
        for end in ["\\n", "\\r\\n", "\\\\n", " ", "\r\n", ""] {
            assert!(is_key(&format!("-----BEGIN PRIVATE KEY-----{end}{BODY}{end}x")), "{end:?}");
        }
        assert!(is_key(&format!("{PEM}PGP PRIVATE KEY BLOCK-----\nVersion: 2\n\nlQ")));
        for none in [
            "-----BEGIN RSA PRIVATE KEY-----\0-----END",
            "-----BEGIN PRIVATE KEY-----\n...\n",
            "-----BEGIN PRIVATE KEY----- and a long sentence about what such a key looks like in general",
            &format!("-----BEGIN CERTIFICATE-----\n{BODY}\n"),
            &format!("-----BEGIN PUBLIC KEY-----\n{BODY}\n"),
        ] {
            assert!(!is_key(none), "{none}");
        }
    }

    #[test]
    fn a_der_key_is_a_whole_file() {
        let head = |start: &[u8], length: u16| {
            let [a, b] = length.to_be_bytes();
            let mut head = [&[0x30, 0x82, a, b], start].concat();
            head.resize(HEAD, 7);
            head
        };
        let oid = [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d];
        for start in [
            &[0x02, 0x01, 0x00, 0x30, 0x0d][..],
            &[0x02, 0x01, 0x00, 0x02, 0x82, 0x01, 0x01, 0x00],
            &[0x02, 0x01, 0x01, 0x04, 0x20],
            &[0x02, 0x01, 0x03, 0x30, 0x82, 0x09, 0x10],
            &[&[0x30, 0x82, 0x00, 0x40][..], &oid[2..]].concat(),
        ] {
            assert!(is_binary_key(&head(start, 1200), 1204), "{start:x?}");
            assert!(!is_binary_key(&head(start, 1200), 1205), "not the whole file: {start:x?}");
        }
        // A certificate: a SEQUENCE in a SEQUENCE, with a version or a serial number.
        assert!(!is_binary_key(&head(&[0x30, 0x82, 0x02, 0x10, 0xa0, 0x03], 1200), 1204));
    }

    #[test]
    fn a_java_key_store_counts_only_with_a_key() {
        let store = |kind| [0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2, 0, 0, 0, 9, 0, 0, 0, kind, 0, 3];
        assert!(is_binary_key(&store(1), 5000) && !is_binary_key(&store(2), 5000));
    }

    #[test]
    fn a_putty_key_names_its_algorithm() {
        assert!(is_putty_key(b"2: ssh-rsa\r\nEncryption: none"));
        assert!(!is_putty_key(b"%d: %s\n") && !is_putty_key(b"2: "));
    }
}
