//! Recognizes secrets by the variable's name.

/// The last word of a secret's name, before qualifiers.
const SECRET_WORDS: [&str; 15] = [
    "SECRET",
    "SECRETS",
    "TOKEN",
    "TOKENS",
    "PASSWORD",
    "PASSWORDS",
    "PASSWD",
    "PASSPHRASE",
    "PWD",
    "KEY",
    "KEYS",
    "APIKEY",
    "CREDENTIAL",
    "CREDENTIALS",
    "PAT",
];

/// Words that may follow it: which secret, or in what form.
const QUALIFIERS: [&str; 20] = [
    "BASE",
    "BASE64",
    "B64",
    "HEX",
    "RAW",
    "PLAIN",
    "PEM",
    "JSON",
    "STRING",
    "VALUE",
    "PROD",
    "PRODUCTION",
    "STAGING",
    "DEV",
    "TEST",
    "OLD",
    "NEW",
    "PREVIOUS",
    "CURRENT",
    "DEFAULT",
];

/// Words before KEY that make it a name, a position or a public key. GPG_KEY, which Docker's official Python images set, is a
/// fingerprint, and so is what `--recv-keys` names.
const ORDINARY_KEYS: [&str; 19] = [
    "ANON",
    "AUTHORIZED",
    "PUBLISHABLE",
    "RECV",
    "SITE",
    "TRUSTED",
    "PUBLIC",
    "PRIMARY",
    "FOREIGN",
    "UNIQUE",
    "PARTITION",
    "SORT",
    "CACHE",
    "ROUTING",
    "OBJECT",
    "INDEX",
    "LOOKUP",
    "GPG",
    "PGP",
];

/// Whether a variable of this name holds a secret: `STRIPE_API_KEY` and `DB_PASSWORD_1` do, `TOKEN_ENDPOINT`, `PASSWORD_FILE` and
/// `PRIMARY_KEY` do not.
pub fn is_secret(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    let mut words: Vec<&str> = upper.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let is_qualifier =
        |word: &&str| QUALIFIERS.contains(word) || word.bytes().all(|byte| byte.is_ascii_digit());
    while words.len() > 1 && words.last().is_some_and(is_qualifier) {
        words.pop();
    }
    let Some((last, before)) = words.split_last().filter(|(last, _)| SECRET_WORDS.contains(last)) else {
        return false;
    };
    match *last {
        // The working directory.
        "PWD" => !before.is_empty(),
        "KEY" | "KEYS" if before.last().is_some_and(|word| ORDINARY_KEYS.contains(word)) => false,
        // By convention, NEXT_PUBLIC_API_KEY and the like are part of a public web page.
        "KEY" | "KEYS" | "APIKEY" | "TOKEN" => !before.contains(&"PUBLIC"),
        _ => true,
    }
}

/// Whether a match of this value is significant: short and plain words occur in many files.
pub fn is_distinctive(value: &str) -> bool {
    let kinds: [fn(&char) -> bool; 4] =
        [char::is_ascii_lowercase, char::is_ascii_uppercase, char::is_ascii_digit, |c| {
            !c.is_ascii_alphanumeric()
        }];
    let mixed = kinds.iter().filter(|kind| value.chars().any(|c| kind(&c))).count() > 1;
    value.len() >= 16 || value.len() >= 8 && mixed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_ends_with_a_secret_word_holds_a_secret() {
        for name in [
            "SUTRA_API_KEY",
            "GITHUB_TOKEN",
            "db.password",
            "DB_PASSWORD_1",
            "PUBLIC_ADMIN_PASSWORD",
            "SECRET_KEY_BASE",
            "JWT_SECRET",
            "AWS_SECRET_ACCESS_KEY",
            "DB_PWD",
            "TLS_PRIVATE_KEY_PEM",
            "KEYS",
            "GH_PAT",
            "STRIPE_KEY_PROD",
        ] {
            assert!(is_secret(name), "{name}");
        }
    }

    #[test]
    fn names_that_only_mention_a_secret_hold_none() {
        for name in [
            "KMS_KEY_ALIAS",
            "PRIMARY_KEY_COLUMN",
            "PRIMARY_KEY",
            "TOKEN_ENDPOINT",
            "PASSWORD_POLICY",
            "TOKEN_FILE",
            "GPG_KEY",
            "SSH_PUBLIC_KEY",
            "NEXT_PUBLIC_MAPS_KEY",
            "MONKEY_BUSINESS",
            "SECRET_ARN",
            "PWD",
            "OLDPWD",
            "PARTITION_KEY",
            "CACHE_KEY",
            "recv-keys",
            "AUTHORIZED_KEYS",
            "STRIPE_PUBLISHABLE_KEY",
            "TOKENIZER",
            "KEYBOARD",
            "",
        ] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
