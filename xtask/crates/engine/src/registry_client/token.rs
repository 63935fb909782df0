//! Answers a registry that asks for an account or a token (distribution, `docs/spec/auth/token.md`).

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use host::failure::{Failure, FailureClass};
use host::process::Runner;
use serde::Deserialize;

use super::credentials::{self, Account};
use super::reference::{RemoteReference, is_loopback};
use super::transport::{Request, send};

/// Tokens have some kilobytes.
const MOST_BYTES: u64 = 1 << 20;

#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
}

/// The parameters of `WWW-Authenticate: Bearer`.
#[derive(Debug, Default, PartialEq, Eq)]
struct Bearer {
    realm: String,
    service: String,
    scope: String,
}

/// The `Authorization` header for a registry that answered 401 with these challenges. `scopes`: the scopes that the client needs, such
/// as `repository:a:pull,push`. `is_local`: whether the registry is on this machine and uses plain HTTP.
///
/// # Errors
/// When the registry asks for another kind of account, or the token service returns no token.
pub(super) fn answer(
    challenges: &[String],
    scopes: &[String],
    reference: &RemoteReference,
    is_local: bool,
    runner: &Runner,
) -> Result<String> {
    let account = credentials::find(&reference.account_keys(), runner)?;
    let sign_in = || {
        let remedy = format!("sign in with `docker login {}`", reference.host);
        Failure::new(FailureClass::Machine, "the registry requires an account (401)", remedy)
    };
    if let Some(bearer) = challenges.iter().find_map(|challenge| bearer(challenge)) {
        let token = token(&bearer, scopes, account.as_ref(), reference, is_local, runner)?;
        runner.secrets.add(&token);
        return Ok(format!("Bearer {token}"));
    }
    let is_basic =
        |challenge: &String| challenge.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("basic"));
    match account {
        Some(Account::Password { name, password }) if challenges.iter().any(is_basic) => {
            Ok(basic(&name, &password, runner))
        }
        _ if challenges.iter().any(is_basic) => Err(sign_in().into()),
        _ => bail!("the registry asks for an unsupported kind of account: {}", challenges.join(", ")),
    }
}

fn basic(name: &str, password: &str, runner: &Runner) -> String {
    let encoded = BASE64.encode(format!("{name}:{password}"));
    runner.secrets.add(&encoded);
    format!("Basic {encoded}")
}

fn token(
    bearer: &Bearer,
    scopes: &[String],
    account: Option<&Account>,
    reference: &RemoteReference,
    is_local: bool,
    runner: &Runner,
) -> Result<String> {
    // Never send the account over plain HTTP to a host that the registry names.
    let host = bearer.realm.strip_prefix("http://").and_then(|rest| rest.split(['/', '?', '#']).next());
    let is_local = is_local && host.is_some_and(|host| !host.contains('@') && is_loopback(host));
    if !is_local && !bearer.realm.starts_with("https://") {
        bail!("the registry wants a token from {}: only https is allowed", bearer.realm);
    }
    let scopes = union(&bearer.scope, scopes);
    // A URL repeats the parameter; a form separates scopes with spaces (distribution, `docs/spec/auth/oauth.md`).
    let query = || {
        let scopes = scopes.iter().map(|scope| ("scope", scope.clone()));
        std::iter::once(("service", bearer.service.clone())).chain(scopes).collect::<Vec<_>>()
    };
    let mut request = Request { url: bearer.realm.clone(), is_local, ..Request::default() };
    match account {
        Some(Account::Token(refresh)) => {
            request.form = vec![("service", bearer.service.clone()), ("scope", scopes.join(" "))];
            let client = [("grant_type", "refresh_token".to_owned()), ("client_id", "xtask".to_owned())];
            request.form.extend(client.into_iter().chain([("refresh_token", refresh.clone())]));
        }
        Some(Account::Password { name, password }) => {
            request.query = query();
            request.authorization = Some(basic(name, password, runner));
        }
        None => request.query = query(),
    }
    let response = send(&request, runner).with_context(|| format!("no token from {}", bearer.realm))?;
    if response.status != 200 {
        let what = match account {
            Some(_) => format!("the account was refused ({})", response.status),
            None => format!("access denied ({})", response.status),
        };
        let remedy = format!("sign in with `docker login {}`", reference.host);
        return Err(Failure::new(FailureClass::Machine, what, remedy).into());
    }
    let answer: Answer = serde_json::from_slice(&response.bytes(MOST_BYTES)?)
        .context("the token service returned no token")?;
    answer.token.or(answer.access_token).context("the token service returned no token")
}

/// The scopes of a challenge and of the client, merged into one scope per repository with all actions.
fn union(challenge: &str, own: &[String]) -> Vec<String> {
    let mut all: Vec<(String, Vec<&str>)> = Vec::new();
    for scope in challenge.split_whitespace().chain(own.iter().map(String::as_str)) {
        let Some((resource, actions)) = scope.rsplit_once(':') else { continue };
        let place = match all.iter().position(|(other, _)| other == resource) {
            Some(place) => place,
            None => {
                all.push((resource.to_owned(), Vec::new()));
                all.len() - 1
            }
        };
        for action in actions.split(',') {
            if !all[place].1.contains(&action) {
                all[place].1.push(action);
            }
        }
    }
    all.into_iter().map(|(resource, actions)| format!("{resource}:{}", actions.join(","))).collect()
}

/// Parses `Bearer realm="…",service="…",scope="…"` (RFC 9110, section 11.6.1).
fn bearer(challenge: &str) -> Option<Bearer> {
    let (scheme, mut rest) = challenge.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let mut found = Bearer::default();
    while let Some((name, after)) = rest.split_once('=') {
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(',').unwrap_or((after, "")),
        };
        match name.trim_matches([',', ' ']).to_ascii_lowercase().as_str() {
            "realm" => value.clone_into(&mut found.realm),
            "service" => value.clone_into(&mut found.service),
            "scope" => value.clone_into(&mut found.scope),
            _ => {}
        }
        rest = next;
    }
    (!found.realm.is_empty()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Fake, State};
    use super::*;

    #[test]
    fn challenges_are_parsed() {
        let found = bearer(
            r#"Bearer realm="https://auth.example/token?x=1",service="registry.example",scope="repository:a/b:pull,push""#,
        );
        let expected = Bearer {
            realm: "https://auth.example/token?x=1".into(),
            service: "registry.example".into(),
            scope: "repository:a/b:pull,push".into(),
        };
        assert_eq!(found, Some(expected));
        assert_eq!(bearer("bearer realm=https://a, error=x").unwrap().realm, "https://a");
        for wrong in ["Basic realm=\"x\"", "Bearer", "Bearer service=\"x\"", "Bearer realm=\"x"] {
            assert_eq!(bearer(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_token_is_for_all_that_the_client_is_about_to_do() {
        let own = ["repository:a/b:pull,push".to_owned(), "repository:c:pull".to_owned()];
        assert_eq!(union("repository:a/b:pull", &own), own);
        assert_eq!(union("", &own[1..]), own[1..]);
        let all = union("repository:a/b:delete registry:catalog:*", &own);
        assert_eq!(all, ["repository:a/b:delete,pull,push", "registry:catalog:*", "repository:c:pull"]);
    }

    #[test]
    fn another_host_gets_no_account_and_names_no_token_service() {
        let other = Fake::start(State { asks: true, ..State::default() });
        let elsewhere = format!("http://{}", other.address);
        let fake = Fake::start(State { redirects_to: Some(elsewhere.clone()), ..State::default() });
        let client = fake.client("a");
        let error = |path: &str| client.get(path, None).err().unwrap().to_string();
        for path in ["manifests/1", &format!("{elsewhere}/v2/a/blobs/uploads/1")] {
            assert!(error(path).starts_with("another host"), "{}", error(path));
        }
        assert_eq!(other.state().tokens, [""; 0]);
        // A URL of the registry itself.
        fake.state().redirects_to = None;
        fake.state().asks = true;
        let own = format!("http://{}/v2/a/manifests/1", fake.address);
        assert_eq!(client.get(&own, None).unwrap().status, 404);
        assert_eq!(fake.state().tokens.len(), 1);
    }

    #[test]
    fn a_token_is_not_fetched_over_plain_http() {
        let bearer = Bearer { realm: "http://auth.example/token".into(), ..Bearer::default() };
        let reference = "hub.example/x".parse().unwrap();
        let error = token(&bearer, &[], None, &reference, false, &Runner::default()).unwrap_err();
        assert!(error.to_string().contains("only https is allowed"), "{error:#}");
    }
}
