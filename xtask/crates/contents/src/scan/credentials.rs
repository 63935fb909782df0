//! Files in which programs keep credentials, by name.

use super::names::{is_distinctive, is_secret};

/// The largest file that is parsed.
pub(super) const MAX_BYTES: u64 = 1_000_000;

/// A kind of file with credentials.
#[derive(Debug)]
pub(super) struct Format {
    /// The label in findings.
    pub label: &'static str,
    /// Path suffixes.
    names: &'static [&'static str],
    holds: Holds,
}

/// Location of the credential.
#[derive(Debug)]
enum Holds {
    /// Behind one of these keys: `KEY=VALUE`, `"KEY": "VALUE"`, `KEY VALUE`, `<KEY>VALUE</KEY>`.
    Keys(&'static [&'static str]),
    /// In a URL: `//USER:PASSWORD@`.
    Urls,
    /// In the fifth field of a line: `HOST:PORT:DATABASE:USER:PASSWORD`.
    FifthField,
    /// In variables with a secret's name.
    Variables,
}

const FORMATS: [Format; 17] = [
    Format { label: "netrc password", names: &[".netrc", "_netrc"], holds: Holds::Keys(&["password"]) },
    Format {
        label: "git password",
        names: &[".git-credentials", "git/credentials", ".git/config", ".gitconfig"],
        holds: Holds::Urls,
    },
    Format {
        label: "registry password",
        names: &[".docker/config.json", ".dockercfg", "containers/auth.json"],
        holds: Holds::Keys(&["auth", "identitytoken", "registrytoken", "password"]),
    },
    Format {
        label: "npm password",
        names: &[".npmrc", "etc/npmrc"],
        holds: Holds::Keys(&["_authToken", "_auth", "_password"]),
    },
    Format { label: "PyPI password", names: &[".pypirc"], holds: Holds::Keys(&["password"]) },
    Format { label: "pip password", names: &["pip.conf", "pip.ini"], holds: Holds::Urls },
    Format {
        label: "AWS secret key",
        names: &[".aws/credentials", ".aws/config", ".boto", ".s3cfg"],
        holds: Holds::Keys(&["aws_secret_access_key", "aws_session_token", "secret_key"]),
    },
    Format { label: "PostgreSQL password", names: &[".pgpass"], holds: Holds::FifthField },
    Format { label: "MySQL password", names: &[".my.cnf"], holds: Holds::Keys(&["password"]) },
    Format {
        label: "Kubernetes credential",
        names: &[".kube/config", "kubeconfig"],
        holds: Holds::Keys(&["client-key-data", "token", "password"]),
    },
    Format {
        label: "Cargo token",
        names: &[".cargo/credentials", "cargo/credentials.toml", ".cargo/credentials.toml"],
        holds: Holds::Keys(&["token"]),
    },
    Format { label: "GitHub token", names: &["gh/hosts.yml"], holds: Holds::Keys(&["oauth_token"]) },
    Format {
        label: "Maven password",
        names: &[".m2/settings.xml"],
        holds: Holds::Keys(&["password", "passphrase"]),
    },
    Format { label: "RubyGems key", names: &[".gem/credentials"], holds: Holds::Keys(&["rubygems_api_key"]) },
    Format {
        label: "Terraform token",
        names: &[".terraformrc", "credentials.tfrc.json"],
        holds: Holds::Keys(&["token"]),
    },
    Format {
        label: "rclone password",
        names: &["rclone.conf"],
        holds: Holds::Keys(&["pass", "secret_access_key", "client_secret"]),
    },
    Format { label: "secret of an environment file", names: &[".env"], holds: Holds::Variables },
];

/// Suffixes of `.env` templates.
const TEMPLATES: [&str; 5] = ["example", "sample", "template", "dist", "defaults"];

/// The format of a file by its path.
pub(super) fn format_of(path: &str) -> Option<&'static Format> {
    let is_named =
        |name: &&str| path.strip_suffix(*name).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'));
    let name = path.rsplit('/').next()?;
    let stage = name.strip_prefix(".env.").filter(|stage| !TEMPLATES.iter().any(|end| stage.ends_with(end)));
    FORMATS.iter().find(|format| {
        format.names.iter().any(is_named) || (stage.is_some() && matches!(format.holds, Holds::Variables))
    })
}

impl Format {
    /// Whether the text has a credential that is neither a placeholder nor a reference to a variable.
    pub(super) fn is_in(&self, text: &str) -> bool {
        self.find(text).is_some()
    }

    /// The position of the first such credential.
    pub(super) fn find(&self, text: &str) -> Option<usize> {
        let is_credential = |value: &&str| is_real(value);
        let value = match self.holds {
            Holds::Keys(keys) => keys.iter().flat_map(|key| values(text, key)).find(is_credential),
            Holds::Urls => text.split("://").skip(1).filter_map(password_of_url).find(is_credential),
            Holds::FifthField => {
                let fields = text.lines().filter(|line| !line.starts_with('#'));
                fields.filter_map(|line| line.splitn(5, ':').nth(4)).find(is_credential)
            }
            Holds::Variables => {
                let secrets = text.lines().filter_map(variable).filter(|(name, _)| is_secret(name));
                secrets.map(|(_, value)| value).find(|value| is_real(value) && is_distinctive(value))
            }
        };
        // A value is a part of the text.
        value.map(|value| value.as_ptr() as usize - text.as_ptr() as usize)
    }
}

/// The values behind a key.
fn values<'t>(text: &'t str, key: &'t str) -> impl Iterator<Item = &'t str> {
    text.match_indices(key).filter_map(move |(at, _)| {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let line = text[..at].rsplit('\n').next().unwrap_or_default();
        if line.ends_with(is_part) || line.trim_start().starts_with(['#', ';']) {
            return None;
        }
        let rest = text[at + key.len()..].strip_prefix(['"', '\'']).unwrap_or(&text[at + key.len()..]);
        let rest = rest.strip_prefix(|c: char| " \t=:>".contains(c))?;
        let rest = rest.trim_start_matches(|c: char| " \t=:".contains(c));
        let rest = rest.strip_prefix(['"', '\'']).unwrap_or(rest);
        rest.split(|c: char| c.is_whitespace() || "\"',<".contains(c)).next()
    })
}

/// The password in what follows `://` of a URL.
pub(super) fn password_of_url(rest: &str) -> Option<&str> {
    let authority = rest.split(|c: char| c.is_whitespace() || "/\"'`<>?".contains(c)).next()?;
    let (user, _) = authority.rsplit_once('@')?;
    Some(user.split_once(':')?.1)
}

fn variable(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    let (name, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
    Some((name.trim(), value.trim().trim_matches(['"', '\''])))
}

/// Whether a value may be a credential: not a reference, a placeholder or one repeated character.
pub(super) fn is_real(value: &str) -> bool {
    const PLACEHOLDERS: [&str; 9] =
        ["change", "example", "placeholder", "your", "xxx", "dummy", "insert", "todo", "redacted"];
    const WORDS: [&str; 6] = ["password", "secret", "token", "false", "true", "none"];
    let lower = value.to_ascii_lowercase();
    let is_reference = value.starts_with(['$', '%', '{', '<', '*', '@']);
    let is_repeated = value.chars().all(|c| value.starts_with(c));
    value.len() >= 5
        && !is_reference
        && !is_repeated
        && !WORDS.contains(&lower.as_str())
        && !PLACEHOLDERS.iter().any(|word| lower.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(path: &str, text: &str) -> Option<&'static str> {
        format_of(path).filter(|format| format.is_in(text)).map(|format| format.label)
    }

    #[test]
    fn credentials_are_found_in_the_files_that_keep_them() {
        for (path, text, expected) in [
            ("root/.netrc", "machine h.example\n  login me\n  password s3same\n", "netrc password"),
            ("root/.git-credentials", "https://me:s3same@h.example\n", "git password"),
            ("app/.git/config", "[remote]\n\turl = https://x:gh0st5@h.example/r.git\n", "git password"),
            ("root/.docker/config.json", r#"{"auths":{"r":{"auth":"bWU6czNzYW1l"}}}"#, "registry password"),
            ("root/.npmrc", "//r.example/:_authToken=1b2c3d-4e5f\n", "npm password"),
            (".pypirc", "[pypi]\nusername: u\npassword: s3same\n", "PyPI password"),
            ("etc/pip.conf", "index-url = https://u:s3same@h.example/simple\n", "pip password"),
            ("root/.aws/credentials", "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG\n", "AWS secret key"),
            ("root/.pgpass", "*:*:*:u:s3same\n", "PostgreSQL password"),
            ("root/.my.cnf", "[client]\npassword=s3same\n", "MySQL password"),
            ("root/.kube/config", "    client-key-data: LS0tLS1CRUdJTg==\n", "Kubernetes credential"),
            ("c/.cargo/credentials.toml", "[registry]\ntoken = \"cioS3same\"\n", "Cargo token"),
            ("root/.config/gh/hosts.yml", "h:\n    oauth_token: abcdef1\n", "GitHub token"),
            ("root/.m2/settings.xml", "<server><password>s3same</password></server>", "Maven password"),
            ("root/.gem/credentials", ":rubygems_api_key: rubygems_1\n", "RubyGems key"),
            ("root/.terraformrc", "credentials \"h\" {\n  token = \"abc.def\"\n}", "Terraform token"),
            ("app/.env", "export DB_PASSWORD='s3same-2'\n", "secret of an environment file"),
            ("app/.env.production", "API_KEY=0123456789abcdef\n", "secret of an environment file"),
        ] {
            assert_eq!(label(path, text), Some(expected), "{path}");
        }
    }

    #[test]
    fn placeholders_references_and_other_files_do_not_count() {
        for (path, text) in [
            ("root/.netrc", "machine h login me password ${TOKEN}\n"),
            ("root/.npmrc", "//r/:_authToken=${NPM_TOKEN}\nregistry=https://r.example\n"),
            ("root/.npmrc", "# _authToken=1b2c3d4e\n"),
            ("root/.docker/config.json", r#"{"auths":{"r":{}},"credsStore":"desktop"}"#),
            ("root/.git-credentials", "https://me@h.example\n"),
            ("etc/pip.conf", "index-url = https://h.example/simple\n"),
            (
                "app/.env",
                "DB_PASSWORD=postgres\nTOKEN_ENDPOINT=https://x.example/a1\nAPI_KEY=your-key-here-1\n",
            ),
            ("app/.env.example", "API_KEY=0123456789abcdef\n"),
            ("app/notes.txt", "password s3same\n"),
            ("app/x.netrc", "password s3same\n"),
            ("root/.my.cnf", "[client]\npassword=\nuser=x\n"),
        ] {
            assert_eq!(label(path, text), None, "{path}: {text}");
        }
    }
}
