//! What a build gets besides its files and arguments, as Compose and bake files declare it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// Settings of a build, in the forms of a bake definition (Docker, "Bake file reference").
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildSettings {
    /// Where its secrets come from. No value is stored.
    pub secrets: Vec<BuildSecret>,
    /// The env file that Compose takes the secrets' variables from if they are not set.
    pub env_file: Option<PathBuf>,
    /// SSH agents and keys: `default`, or `ID=PATH`.
    pub ssh: Vec<String>,
    /// The network of RUN instructions: `none` or `host`; `None` for the builder's own.
    pub network: Option<String>,
    /// Entries for `/etc/hosts`: addresses, separated by commas, by host name.
    pub extra_hosts: BTreeMap<String, String>,
    /// The size of `/dev/shm`, such as `128m`.
    pub shm_size: Option<String>,
    /// Limits of processes, such as `nofile=1024:2048`.
    pub ulimits: Vec<String>,
    /// Caches to read: references, or `type=…,KEY=VALUE`.
    pub cache_from: Vec<String>,
    /// Labels of the image.
    pub labels: BTreeMap<String, String>,
    /// Whether to ignore the cache.
    pub no_cache: bool,
    /// Stages that ignore the cache.
    pub no_cache_filter: Vec<String>,
    /// Whether to pull newer base images.
    pub pull: bool,
    /// What the files declare and this program cannot pass on, such as `privileged`.
    pub left_out: Vec<String>,
}

/// A secret of a build.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BuildSecret {
    /// Its name in Dockerfiles.
    pub id: String,
    /// Where its value is.
    pub source: SecretSource,
}

/// Where a secret's value is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretSource {
    /// In a file, by its absolute path.
    File(String),
    /// In an environment variable, by its name.
    Variable(String),
}

impl fmt::Display for BuildSecret {
    /// `id=…,src=…` or `id=…,env=…`, as Buildx takes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, place) = match &self.source {
            SecretSource::File(path) => ("src", path),
            SecretSource::Variable(name) => ("env", name),
        };
        f.write_str(&join_fields(&[("id".to_owned(), self.id.clone()), (key.to_owned(), place.clone())]))
    }
}

/// The fields of `KEY=VALUE,KEY=VALUE`, one record of comma-separated values (RFC 4180); a field without `=` has an empty key.
pub fn fields(spec: &str) -> Vec<(String, String)> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut chars = spec.chars().peekable();
    while let Some(c) = chars.next() {
        let last = fields.len() - 1;
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                fields[last].push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            c => fields[last].push(c),
        }
    }
    let pair = |field: String| match field.split_once('=') {
        Some((key, value)) => (key.to_owned(), value.to_owned()),
        None => (String::new(), field),
    };
    fields.into_iter().map(pair).collect()
}

/// The inverse of [`fields`].
pub fn join_fields(fields: &[(String, String)]) -> String {
    let field = |(key, value): &(String, String)| {
        let text = if key.is_empty() { value.clone() } else { format!("{key}={value}") };
        if text.contains([',', '"']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
    };
    fields.iter().map(field).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_with_commas_and_quotes_are_quoted() {
        let secret = |source| BuildSecret { id: "npm".to_owned(), source };
        let of_file = secret(SecretSource::File("/a, \"b\"/c".to_owned())).to_string();
        assert_eq!(of_file, "id=npm,\"src=/a, \"\"b\"\"/c\"");
        assert_eq!(
            fields(&of_file),
            [("id".to_owned(), "npm".to_owned()), ("src".to_owned(), "/a, \"b\"/c".to_owned())]
        );
        assert_eq!(secret(SecretSource::Variable("NPM".to_owned())).to_string(), "id=npm,env=NPM");
        assert_eq!(fields("team/app:cache"), [(String::new(), "team/app:cache".to_owned())]);
        assert_eq!(join_fields(&fields("team/app:cache")), "team/app:cache");
    }
}
