//! Secrets that Compose and bake files declare for builds: no log or message shows their values, no file holds them.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;

use engine::bake::Definition;
use engine::dotenv;
use host::files;
use host::secrets::Secrets;
use model::build_settings::fields;

/// Larger files are not masked: every line of a log is compared with every line of the file.
const LARGEST_FILE: usize = 16 << 10;

/// Shorter values of `KEY=VALUE` lines in files are not masked, because they occur in ordinary text.
const SHORTEST_VALUE: usize = 8;

/// Registers the values of the definition's secrets, and returns the variables that bake needs besides its environment: as in
/// `docker compose build`, an unset variable has the value in the env file. `environment` is this program's.
///
/// # Errors
/// When an env file cannot be read.
pub fn register(
    definition: &Definition,
    environment: &BTreeMap<String, String>,
    secrets: &Secrets,
) -> Result<BTreeMap<String, String>> {
    let mut added = BTreeMap::new();
    for target in definition.target.values() {
        for (key, value) in target.secret.iter().flat_map(|spec| fields(spec)) {
            match key.as_str() {
                "src" => register_file(Path::new(&value), secrets),
                "env" => {
                    let found = match environment.get(&value) {
                        Some(found) => Some(found.clone()),
                        None => of_env_file(&value, target.env_file.as_deref(), environment)?
                            .inspect(|found| drop(added.insert(value.clone(), found.clone()))),
                    };
                    found.iter().for_each(|found| secrets.add(found));
                }
                _ => {}
            }
        }
    }
    Ok(added)
}

fn of_env_file(
    name: &str,
    file: Option<&Path>,
    environment: &BTreeMap<String, String>,
) -> Result<Option<String>> {
    let text = file.map(files::read_if_there).transpose()?.flatten();
    Ok(text.and_then(|text| dotenv::variables(&text, environment).remove(name)))
}

/// Ignores unreadable files; Buildx reports them.
fn register_file(path: &Path, secrets: &Secrets) {
    let Ok(text) = files::read(path) else { return };
    // Certificates are public.
    let is_public = text.contains("-----BEGIN CERTIFICATE-----") && !text.contains("PRIVATE KEY-----");
    if is_public || text.len() > LARGEST_FILE {
        return;
    }
    secrets.add(&text);
    for (_, value) in text.lines().filter_map(|line| line.split_once('=')) {
        let value = value.trim().trim_matches(['"', '\'']);
        // A URL without a password is needed to understand messages.
        if value.len() >= SHORTEST_VALUE && (!value.contains("://") || value.contains('@')) {
            secrets.add(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::bake::Target;

    #[test]
    fn values_are_masked_and_those_of_the_env_file_passed_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let word = |parts: &[&str]| parts.concat();
        let (set, of_file, npm) =
            (word(&["hun", "ter-1"]), word(&["hun", "ter-2"]), word(&["npm-", "auth-", "77"]));
        std::fs::write(path(".env"), format!("UNSET={of_file}\nSET=other-value\n")).unwrap();
        std::fs::write(path("npmrc"), format!("registry=https://npm.example/\n//npm.example/:_auth={npm}\n"))
            .unwrap();
        std::fs::write(path("ca.pem"), "-----BEGIN CERTIFICATE-----\nQUJDREVG\n-----END CERTIFICATE-----\n")
            .unwrap();
        let secret = ["id=a,env=SET", "id=b,env=UNSET", "id=c,env=NOWHERE"].map(str::to_owned);
        let files = ["npmrc", "ca.pem", "gone"].map(|name| format!("id={name},src={}", path(name).display()));
        let target = Target {
            secret: secret.into_iter().chain(files).collect(),
            env_file: Some(path(".env")),
            ..Target::default()
        };
        let definition =
            Definition { target: BTreeMap::from([("t".to_owned(), target)]), ..Definition::default() };
        let secrets = Secrets::default();
        let environment = BTreeMap::from([("SET".to_owned(), set.clone())]);
        let added = register(&definition, &environment, &secrets).unwrap();
        assert_eq!(added, BTreeMap::from([("UNSET".to_owned(), of_file.clone())]));
        let shown = secrets.mask(&format!("{set} {of_file} {npm} https://npm.example/ QUJDREVG other-value"));
        assert_eq!(shown, "*** *** *** https://npm.example/ QUJDREVG other-value");
        assert!(!definition.json().unwrap().contains(&of_file));
        // A bake file's target has no env file.
        let mut of_bake = definition.clone();
        of_bake.target.get_mut("t").unwrap().env_file = None;
        assert_eq!(register(&of_bake, &environment, &secrets).unwrap(), BTreeMap::new());
    }
}
