//! The accounts of `docker login`, which `docker push` uses too (docker/cli, `cli/config/configfile`).

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Result, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use host::files;
use host::process::Runner;
use serde::Deserialize;

/// An account of a registry.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Account {
    Password {
        name: String,
        password: String,
    },
    /// An OAuth2 refresh token.
    Token(String),
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Config {
    auths: Option<BTreeMap<String, Auth>>,
    creds_store: Option<String>,
    cred_helpers: Option<BTreeMap<String, String>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase", default)]
struct Auth {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

/// The answer of a credential helper.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Helped {
    username: String,
    secret: String,
}

/// The account for a registry; `None` without one. `keys` are the names under which docker may keep it. Its secrets are masked
/// in all output from now on.
///
/// # Errors
/// When Docker's configuration cannot be read.
pub(super) fn find(keys: &[String], runner: &Runner) -> Result<Option<Account>> {
    let Some(path) = config_file() else { return Ok(None) };
    let Some(text) = files::read_if_there(&path)? else { return Ok(None) };
    // serde's message quotes values.
    let config: Config = serde_json::from_str(&text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        anyhow!("invalid Docker configuration {}: line {line}, column {column}", path.display())
    })?;
    let account = match helper(&config, keys) {
        Some(helper) => keys.iter().find_map(|key| ask(helper, key, runner)),
        None => None,
    };
    // A helper that does not know the registry does not hide what the file has.
    let account = account.or_else(|| {
        let auths = config.auths.as_ref()?;
        keys.iter().find_map(|key| auths.get(key).and_then(of_file))
    });
    if let Some(Account::Password { password: secret, .. } | Account::Token(secret)) = &account {
        runner.secrets.add(secret);
    }
    Ok(account)
}

fn config_file() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let docker = folder("DOCKER_CONFIG").or_else(|| folder("HOME").map(|home| home.join(".docker")))?;
    Some(docker.join("config.json"))
}

fn helper<'c>(config: &'c Config, keys: &[String]) -> Option<&'c str> {
    let special = config.cred_helpers.as_ref();
    let special = keys.iter().find_map(|key| special?.get(key));
    let name = special.or(config.creds_store.as_ref())?.as_str();
    // It becomes part of a program's name, which must be on PATH.
    (!name.is_empty() && !name.contains('/')).then_some(name)
}

/// The helper's answer; `None` if it does not know the registry or does not run.
fn ask(helper: &str, key: &str, runner: &Runner) -> Option<Account> {
    let output = runner.cmd(format!("docker-credential-{helper}")).arg("get").stdin(key).capture().ok()?;
    let helped: Helped = serde_json::from_str(&output.stdout).ok().filter(|_| output.success())?;
    match helped.username.as_str() {
        "<token>" => Some(Account::Token(helped.secret)),
        _ => password(helped.username, helped.secret),
    }
}

fn of_file(auth: &Auth) -> Option<Account> {
    if let Some(token) = auth.identitytoken.as_ref().filter(|token| !token.is_empty()) {
        return Some(Account::Token(token.clone()));
    }
    if let Some(encoded) = auth.auth.as_ref().filter(|text| !text.is_empty()) {
        let bytes = BASE64.decode(encoded.trim()).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let (name, secret) = text.split_once(':')?;
        return password(name.to_owned(), secret.trim_end_matches('\0').to_owned());
    }
    password(auth.username.clone()?, auth.password.clone()?)
}

fn password(name: String, password: String) -> Option<Account> {
    (!name.is_empty()).then_some(Account::Password { name, password })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_read_as_docker_writes_them() {
        let account = |json: &str| of_file(&serde_json::from_str(json).unwrap());
        let expected = Account::Password { name: "me".into(), password: "a:b".into() };
        assert!(account(&format!(r#"{{"auth":"{}"}}"#, BASE64.encode("me:a:b"))) == Some(expected.clone()));
        assert!(account(r#"{"username":"me","password":"a:b"}"#) == Some(expected));
        assert!(account(r#"{"auth":"","identitytoken":"t"}"#) == Some(Account::Token("t".into())));
        for nothing in ["{}", r#"{"auth":"%%%"}"#, r#"{"auth":null}"#] {
            assert!(account(nothing).is_none(), "{nothing}");
        }
    }

    #[test]
    fn a_registrys_own_helper_comes_before_the_general_one() {
        let config: Config = serde_json::from_str(
            r#"{"credsStore":"desktop","credHelpers":{"hub.example":"ecr","bad.example":"../x"}}"#,
        )
        .unwrap();
        let helper = |key: &str| helper(&config, &[key.to_owned()]).map(str::to_owned);
        assert_eq!(helper("hub.example").as_deref(), Some("ecr"));
        assert_eq!(helper("other.example").as_deref(), Some("desktop"));
        assert_eq!(helper("bad.example"), None);
    }
}
