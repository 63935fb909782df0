//! Whether everything is committed, and nothing is that must not be.

use anyhow::Result;

use crate::checklist::asked::Asked;
use crate::checklist::report::{Answer, Fault};

/// How many files a fault names.
const NAMED: usize = 5;

pub(super) fn tree(asked: &Asked<'_>) -> Result<Answer> {
    let Some(commit) = &asked.commit else {
        let fault = Fault::new("this is no git checkout, or nothing is committed", "release from a commit");
        return Ok(Answer::now(vec![fault], Vec::new()));
    };
    let git = asked.context.git();
    let mut faults = Vec::new();
    let changed = git.uncommitted()?;
    if !changed.is_empty() {
        let remedy = "commit them, or put them aside (git stash --include-untracked)";
        faults.push(Fault::new(format!("not committed: {}", some(&changed)), remedy));
    }
    let tracked = git.tracked(".")?;
    let secret: Vec<String> = tracked.iter().filter(|path| is_secret(path)).cloned().collect();
    if !secret.is_empty() {
        let remedy =
            "git rm --cached FILE, put it into .gitignore, and change what it held: history keeps it";
        faults.push(Fault::new(format!("files of secrets are tracked: {}", some(&secret)), remedy));
    }
    let evidence = format!("commit {commit}, {} files tracked", tracked.len());
    Ok(Answer::now(faults, vec![evidence]))
}

fn some(names: &[String]) -> String {
    let more = names.len().saturating_sub(NAMED);
    let named = names[..names.len().min(NAMED)].join(", ");
    if more == 0 { named } else { format!("{named} and {more} more") }
}

/// Whether a file is one that people keep secrets in, by its name; examples without values are none.
fn is_secret(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path).to_lowercase();
    let is_example = ["example", "sample", "template"].iter().any(|end| name.ends_with(end));
    let ends = [".pem", ".key", ".p12", ".pfx", ".jks", ".keystore"];
    let names = [".netrc", ".pypirc", ".htpasswd", ".git-credentials", "credentials.json"];
    let is_env = name == ".env" || name.starts_with(".env.") || name.ends_with(".env");
    let is_key = ["id_rsa", "id_dsa", "id_ecdsa", "id_ed25519"].contains(&name.as_str());
    !is_example
        && (is_env || is_key || names.contains(&name.as_str()) || ends.iter().any(|end| name.ends_with(end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_secrets_are_told_by_their_names() {
        for path in [".env", "a/.env.production", "prod.env", "tls/server.KEY", "id_ed25519", "x/.netrc"] {
            assert!(is_secret(path), "{path}");
        }
        for path in [".env.example", "env.rs", "id_ed25519.pub", "src/keys.py", "docs/env"] {
            assert!(!is_secret(path), "{path}");
        }
    }

    #[test]
    fn of_many_files_some_are_named() {
        let names = ["a", "b", "c", "d", "e", "f", "g"].map(str::to_owned);
        assert_eq!(some(&names[..2]), "a, b");
        assert_eq!(some(&names), "a, b, c, d, e and 2 more");
    }
}
