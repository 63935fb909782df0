//! The settings of a build in the output of `docker compose config` and of `docker buildx bake --print`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::Rooted;
use model::build_settings::{BuildSecret, BuildSettings, SecretSource, fields, join_fields};

/// Keys of a Compose build that change its result and that no bake definition can express.
const OF_COMPOSE_ONLY: [&str; 2] = ["privileged", "isolation"];

/// Keys of a bake target that change its result and that this program does not pass on.
const OF_BAKE_ONLY: [&str; 2] = ["attest", "annotations"];

/// The permission that `network: host` implies. Others are the user's to grant, on Docker's own command line.
const NETWORK_HOST: &str = "network.host";

/// A secret at the top of a Compose file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct ComposeSecret {
    file: Option<String>,
    environment: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SecretUse {
    source: String,
    target: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Ulimit {
    Both(i64),
    Each { soft: i64, hard: i64 },
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ComposeSettings {
    secrets: Vec<SecretUse>,
    ssh: Vec<String>,
    network: Option<String>,
    extra_hosts: Vec<String>,
    shm_size: Option<String>,
    ulimits: BTreeMap<String, Ulimit>,
    cache_from: Vec<String>,
    labels: BTreeMap<String, String>,
    no_cache: bool,
    pull: bool,
}

/// The settings of a Compose build. `secrets` are those at the top of the files; a secret's id is its `target`, else its name there,
/// as in `docker compose build`. `Err` says what is wrong and how to fix it.
pub(super) fn of_compose(
    build: &Value,
    secrets: &BTreeMap<String, ComposeSecret>,
    root: &Rooted,
) -> Result<BuildSettings, (String, String)> {
    let mut left_out = present(build, &OF_COMPOSE_ONLY);
    left_out.extend(ungranted(build));
    let build: ComposeSettings = serde_json::from_value(build.clone()).map_err(|_| unsupported())?;
    let secret = |used: &SecretUse| {
        let source = secrets.get(&used.source).and_then(|secret| match (&secret.environment, &secret.file) {
            (Some(name), _) => Some(SecretSource::Variable(name.clone())),
            (None, Some(path)) => Some(SecretSource::File(root.text(path))),
            (None, None) => None,
        });
        let id = used.target.as_ref().filter(|target| !target.is_empty()).unwrap_or(&used.source).clone();
        source.map(|source| BuildSecret { id, source }).ok_or_else(|| {
            let what = format!("its secret {} is neither a file nor an environment variable", used.source);
            (what, "declare its `file` or `environment`".to_owned())
        })
    };
    let mut extra_hosts = BTreeMap::<String, String>::new();
    for (host, address) in build.extra_hosts.iter().filter_map(|entry| entry.split_once(['=', ':'])) {
        let addresses = extra_hosts.entry(host.to_owned()).or_default();
        addresses.push_str(if addresses.is_empty() { "" } else { "," });
        addresses.push_str(address);
    }
    let ulimit = |(name, limit): (String, Ulimit)| match limit {
        Ulimit::Both(limit) => format!("{name}={limit}"),
        Ulimit::Each { soft, hard } => format!("{name}={soft}:{hard}"),
    };
    Ok(BuildSettings {
        secrets: build.secrets.iter().map(secret).collect::<Result<_, _>>()?,
        ssh: build.ssh,
        network: build.network.filter(|network| !matches!(network.as_str(), "" | "default")),
        extra_hosts,
        shm_size: build.shm_size.filter(|size| size != "0"),
        ulimits: build.ulimits.into_iter().map(ulimit).collect(),
        cache_from: build.cache_from.iter().map(|cache| absolute(cache, root)).collect(),
        labels: build.labels,
        no_cache: build.no_cache,
        pull: build.pull,
        left_out,
        ..BuildSettings::default()
    })
}

/// An entry of a list: a text, or since Buildx 0.20 a table.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Entry {
    Text(String),
    Table(BTreeMap<String, Value>),
}

impl Entry {
    fn fields(&self) -> Vec<(String, String)> {
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            Value::Array(all) => all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
            other => other.to_string(),
        };
        match self {
            Entry::Text(spec) => fields(spec),
            Entry::Table(table) => table.iter().map(|(key, value)| (key.clone(), text(value))).collect(),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct BakeSettings {
    secret: Vec<Entry>,
    ssh: Vec<Entry>,
    network: Option<String>,
    extra_hosts: BTreeMap<String, Option<String>>,
    shm_size: Option<String>,
    ulimits: Vec<String>,
    cache_from: Vec<Entry>,
    labels: BTreeMap<String, Option<String>>,
    no_cache: bool,
    no_cache_filter: Vec<String>,
    pull: bool,
}

/// The settings of a bake target; relative paths start at the root. `is_set` tells whether an environment variable is set.
pub(super) fn of_bake(
    target: &Value,
    root: &Rooted,
    is_set: &dyn Fn(&str) -> bool,
) -> Result<BuildSettings, (String, String)> {
    let mut left_out = present(target, &OF_BAKE_ONLY);
    left_out.extend(ungranted(target));
    let target: BakeSettings = serde_json::from_value(target.clone()).map_err(|_| unsupported())?;
    let declared = |values: BTreeMap<String, Option<String>>| {
        values.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    };
    Ok(BuildSettings {
        secrets: target.secret.iter().map(|entry| secret(&entry.fields(), root, is_set)).collect(),
        ssh: target.ssh.iter().map(|entry| ssh(entry, root)).collect(),
        network: target.network.filter(|network| !matches!(network.as_str(), "" | "default")),
        extra_hosts: declared(target.extra_hosts),
        shm_size: target.shm_size,
        ulimits: target.ulimits,
        cache_from: target.cache_from.iter().map(|entry| with_absolute_paths(entry.fields(), root)).collect(),
        labels: declared(target.labels),
        no_cache: target.no_cache,
        no_cache_filter: target.no_cache_filter,
        pull: target.pull,
        left_out,
        env_file: None,
    })
}

/// A secret without `src` and `env` is the variable named like its id, if there is one, else the file (Buildx, `--secret`).
fn secret(fields: &[(String, String)], root: &Rooted, is_set: &dyn Fn(&str) -> bool) -> BuildSecret {
    let value = |keys: &[&str]| {
        let found = fields.iter().find(|(key, value)| keys.contains(&key.as_str()) && !value.is_empty());
        found.map(|(_, value)| value.clone())
    };
    let (id, file) = (value(&["id"]).unwrap_or_default(), value(&["src", "source"]));
    let is_variable = value(&["type"]).as_deref() == Some("env");
    let source = match (value(&["env"]), file) {
        (Some(name), _) => SecretSource::Variable(name),
        (None, Some(name)) if is_variable => SecretSource::Variable(name),
        (None, Some(path)) => SecretSource::File(root.text(&path)),
        (None, None) if is_variable || is_set(&id) => SecretSource::Variable(id.clone()),
        (None, None) => SecretSource::File(root.text(&id)),
    };
    BuildSecret { id, source }
}

/// `ID`, or `ID=PATH,PATH`.
fn ssh(entry: &Entry, root: &Rooted) -> String {
    let (id, paths) = match entry {
        Entry::Text(text) => match text.split_once('=') {
            Some((id, paths)) => (id.to_owned(), paths.to_owned()),
            None => (text.clone(), String::new()),
        },
        Entry::Table(table) => {
            let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
            let paths = table.get("paths").and_then(Value::as_array).into_iter().flatten();
            (text(table.get("id")), paths.filter_map(Value::as_str).collect::<Vec<_>>().join(","))
        }
    };
    let paths: Vec<String> =
        paths.split(',').filter(|path| !path.is_empty()).map(|path| root.text(path)).collect();
    if paths.is_empty() { id } else { format!("{id}={}", paths.join(",")) }
}

/// A cache whose folder is absolute: bake runs elsewhere.
fn absolute(spec: &str, root: &Rooted) -> String {
    with_absolute_paths(fields(spec), root)
}

fn with_absolute_paths(mut fields: Vec<(String, String)>, root: &Rooted) -> String {
    if fields.iter().any(|(key, value)| key == "type" && value == "local") {
        for (_, path) in fields.iter_mut().filter(|(key, _)| key == "src") {
            *path = root.text(path);
        }
    }
    join_fields(&fields)
}

/// The build's keys with a value other than `false`.
fn present(build: &Value, keys: &[&str]) -> Vec<String> {
    let is_set = |key: &&&str| !matches!(build[**key], Value::Null | Value::Bool(false));
    keys.iter().filter(is_set).map(|key| (*key).to_owned()).collect()
}

/// Permissions that only the user can grant.
fn ungranted(build: &Value) -> Option<String> {
    let all = build["entitlements"].as_array()?;
    let is_implied = |one: &&str| *one == NETWORK_HOST && build["network"] == "host";
    let others: Vec<&str> = all.iter().filter_map(Value::as_str).filter(|one| !is_implied(one)).collect();
    (!others.is_empty()).then(|| format!("entitlements ({})", others.join(", ")))
}

fn unsupported() -> (String, String) {
    ("its build has an unsupported format".to_owned(), "update this tool".to_owned())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;

    fn secrets(settings: &BuildSettings) -> Vec<String> {
        settings.secrets.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn settings_of_a_compose_build() {
        let build = json!({
            "context": "/r", "secrets": [{"source": "npm"}, {"source": "token", "target": "other"}], "ssh": ["default"],
            "network": "none", "extra_hosts": ["a=1.2.3.4", "a=2.2.2.2", "b:::1"], "shm_size": "134217728",
            "ulimits": {"nofile": {"soft": 1, "hard": 2}, "nproc": 65}, "labels": {"x": "y"}, "no_cache": true, "pull": true,
            "cache_from": ["team/app:1", "type=local,src=./cache"], "privileged": true, "isolation": null,
            "entitlements": ["network.host"],
        });
        let top: BTreeMap<String, ComposeSecret> = serde_json::from_value(json!({
            "npm": {"name": "t_npm", "file": "/home/u/.npmrc"}, "token": {"name": "t_token", "environment": "TOKEN"},
        }))
        .unwrap();
        let root = Rooted::new(Path::new("/r"));
        let found = of_compose(&build, &top, &root).unwrap();
        assert_eq!(secrets(&found), ["id=npm,src=/home/u/.npmrc", "id=other,env=TOKEN"]);
        assert_eq!((found.network.as_deref(), found.shm_size.as_deref()), (Some("none"), Some("134217728")));
        let hosts = [("a", "1.2.3.4,2.2.2.2"), ("b", "::1")];
        assert_eq!(found.extra_hosts, hosts.map(|(host, to)| (host.to_owned(), to.to_owned())).into());
        assert_eq!(
            (found.ssh, found.ulimits),
            (vec!["default".to_owned()], vec!["nofile=1:2".to_owned(), "nproc=65".to_owned()])
        );
        assert_eq!(found.cache_from, ["team/app:1", "type=local,src=/r/cache"]);
        assert_eq!((found.labels["x"].as_str(), found.no_cache, found.pull), ("y", true, true));
        assert_eq!(found.left_out, ["privileged", "entitlements (network.host)"]);
        let external = json!({"secrets": [{"source": "npm"}]});
        let (what, _) = of_compose(&external, &BTreeMap::new(), &root).unwrap_err();
        assert_eq!(what, "its secret npm is neither a file nor an environment variable");
    }

    #[test]
    fn settings_of_a_bake_target_in_old_and_new_forms() {
        let root = Rooted::new(Path::new("/r"));
        let old = json!({
            "secret": ["id=a,env=A", "type=file,id=b,src=b.txt", "type=env,id=c,src=C", "id=SET", "id=d"], "ssh": ["default", "k=id,/x"],
            "cache-from": ["type=local,src=cache", "team/app:1"], "shm-size": "128m", "ulimits": ["nofile=1:2"],
            "no-cache-filter": ["deps"], "network": "default", "labels": {"x": "y", "unset": null},
        });
        let found = of_bake(&old, &root, &|name| name == "SET").unwrap();
        let expected = ["id=a,env=A", "id=b,src=/r/b.txt", "id=c,env=C", "id=SET,env=SET", "id=d,src=/r/d"];
        assert_eq!(secrets(&found), expected);
        assert_eq!(found.ssh, ["default", "k=/r/id,/x"]);
        assert_eq!(found.cache_from, ["type=local,src=/r/cache", "team/app:1"]);
        assert_eq!((found.network, found.no_cache_filter), (None, vec!["deps".to_owned()]));
        assert_eq!(found.labels.len(), 1);

        let new = json!({
            "secret": [{"id": "a", "env": "A"}, {"id": "b", "src": "b.txt"}], "ssh": [{"id": "default"}, {"id": "k", "paths": ["id", "/x"]}],
            "cache-from": [{"type": "registry", "ref": "team/app:1"}], "network": "host", "extra-hosts": {"a": "1.2.3.4"},
            "attest": [{"type": "sbom"}], "entitlements": ["network.host", "security.insecure"],
        });
        let found = of_bake(&new, &root, &|_| false).unwrap();
        assert_eq!(secrets(&found), expected[..2]);
        assert_eq!(found.ssh, ["default", "k=/r/id,/x"]);
        assert_eq!(found.cache_from, ["ref=team/app:1,type=registry"]);
        assert_eq!((found.network.as_deref(), found.extra_hosts["a"].as_str()), (Some("host"), "1.2.3.4"));
        assert_eq!(found.left_out, ["attest", "entitlements (security.insecure)"]);
    }
}
