//! Tells literal secrets from references, placeholders, paths and other harmless values.

use super::credentials::is_real;
use super::names::is_distinctive;

/// Words that placeholders are made of. A value with only these words, such as `my-secret-token`, is not a secret.
const PLAIN: &str = " a access admin an and any api app auth bar baz be build ci client credential credentials database db \
    default demo dev devel development encryption fake foo for from generate generated generic guest here hidden id in \
    insecure is it jwt key keys local localhost long masked me minio mongo must my mysql name no none not null of on only or \
    pass passphrase passwd password passwords phrase postgres postgresql private prod production pw pwd qux rabbitmq random \
    real redis root runtime sample secret secrets secure server service session set sign signing some staging string strong \
    super supersecret test tester testing tests the this to token tokens top unsafe unset use user username value variable \
    very with ";

/// Text that occurs only in placeholders and documentation examples.
const EXAMPLES: [&str; 9] =
    ["...", "***", "deadbeef", "cafebabe", "550e8400-e29b", "insecure", "open sesame", "replace", "not-a-"];

/// Prefixes of references, public keys and encrypted values.
const HARMLESS: [&str; 15] =
    ["/", "./", "../", "~/", "[", "(", "&", "!", "|", ">", "arn:", "ENC[", "ssh-", "ecdsa-sha2-", "vault:"];

/// The ends of file names.
const FILES: [&str; 16] = [
    ".asc", ".conf", ".crt", ".env", ".gpg", ".jks", ".json", ".key", ".p12", ".pem", ".pub", ".sh", ".toml",
    ".txt", ".yaml", ".yml",
];

/// Whether a variable, option or key with a secret's name has a secret as its value.
pub(super) fn is_literal(name: &str, value: &str) -> bool {
    let value = default(value);
    let ends = |end: &&str| value.to_ascii_lowercase().ends_with(*end);
    if value.contains("://") || FILES.iter().any(ends) {
        return false;
    }
    // A key may also be the name of a cache entry or an OpenPGP fingerprint. A secret key looks random.
    let upper = name.to_ascii_uppercase();
    if upper.ends_with("KEY") || upper.ends_with("KEYS") {
        let hex = value.strip_prefix("0x").unwrap_or(value);
        let is_upper_hex = hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'));
        let has = |kind: fn(&u8) -> bool| value.as_bytes().iter().any(kind);
        if !has(u8::is_ascii_digit) || !has(u8::is_ascii_alphabetic) {
            return false;
        }
        if is_upper_hex && [16, 40].contains(&hex.len()) {
            return false;
        }
    }
    is_credential(value)
}

/// Whether a value may be a secret, regardless of its name.
pub fn is_credential(value: &str) -> bool {
    let value = default(value);
    let lower = value.to_ascii_lowercase();
    is_real(value)
        && is_distinctive(value)
        && !is_reference(value)
        && !is_sentence(&lower)
        && !HARMLESS.iter().any(|start| value.starts_with(start))
        && !EXAMPLES.iter().any(|part| lower.contains(part))
        && !is_plain(&lower)
        && !is_sequence(value)
}

/// The default in `${NAME:-DEFAULT}`; the value itself if it is none.
fn default(value: &str) -> &str {
    let inside = value.strip_prefix("${").and_then(|rest| rest.strip_suffix('}').or(Some(rest)));
    let end = inside.and_then(|inside| inside.find(|c: char| !c.is_ascii_alphanumeric() && c != '_'));
    match inside.zip(end).map(|(inside, end)| &inside[end..]) {
        Some(rest) => {
            [":-", ":=", "-", "="].iter().find_map(|start| rest.strip_prefix(start)).unwrap_or(value)
        }
        None => value,
    }
}

/// Whether it contains a placeholder or reference: `$NAME`, `{{name}}`, `<name>`, command substitution. `$$` is a dollar sign.
fn is_reference(value: &str) -> bool {
    value.replace("$$", "").contains('$')
        || ["{{", "<", "`", "%("].iter().any(|sign| value.contains(sign))
        || value.starts_with('%') && value.ends_with('%')
}

/// Whether it is a sentence that explains the value. Passphrases contain no function words.
fn is_sentence(lower: &str) -> bool {
    const GRAMMAR: [&str; 16] = [
        "a", "an", "at", "be", "for", "from", "in", "is", "must", "no", "not", "of", "or", "the", "to",
        "with",
    ];
    lower.split_whitespace().count() > 1 && lower.split_whitespace().any(|word| GRAMMAR.contains(&word))
}

fn is_plain(lower: &str) -> bool {
    let words = lower.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| !word.is_empty());
    let mut words = words.peekable();
    words.peek().is_some() && words.all(|word| PLAIN.contains(&format!(" {word} ")))
}

/// Whether most characters repeat or follow the one before, as in `0123456789abcdef` and `aaaa-bbbb-cccc`.
fn is_sequence(value: &str) -> bool {
    let steps =
        value.as_bytes().windows(2).filter(|pair| matches!(pair[1].wrapping_sub(pair[0]), 0 | 1)).count();
    steps * 3 >= value.len().saturating_sub(1) * 2
}
