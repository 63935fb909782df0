//! Whether everything is committed, and no secret file is.

use anyhow::Result;

use crate::checklist::context::CheckContext;
use crate::checklist::listing::first_of;
use crate::checklist::report::{ItemAnswer, ItemFault};

/// How many files a fault names.
const NAMED: usize = 5;

pub(super) fn tree(checks: &CheckContext<'_>) -> Result<ItemAnswer> {
    let Some(commit) = &checks.commit else {
        let fault = ItemFault::new("not a git checkout, or no commit yet", "release from a commit");
        return Ok(ItemAnswer::now(vec![fault], Vec::new()));
    };
    let git = checks.context.git();
    let mut faults = Vec::new();
    let changed = git.uncommitted()?;
    if !changed.is_empty() {
        let remedy = "commit or stash them (git stash --include-untracked)";
        faults.push(ItemFault::new(format!("not committed: {}", first_of(&changed, NAMED)), remedy));
    }
    let tracked = git.tracked(".")?;
    let secret: Vec<&String> = tracked.iter().filter(|path| is_secret(path)).collect();
    if !secret.is_empty() {
        let remedy =
            "git rm --cached FILE, add it to .gitignore and rotate its secrets: git history keeps them";
        faults
            .push(ItemFault::new(format!("secret files are tracked: {}", first_of(&secret, NAMED)), remedy));
    }
    let evidence = format!("commit {commit}, {} tracked files", tracked.len());
    Ok(ItemAnswer::now(faults, vec![evidence]))
}

/// Whether a file usually holds secrets, judged by its name. Examples without values do not.
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
    fn secret_files_are_recognized_by_name() {
        for path in [".env", "a/.env.production", "prod.env", "tls/server.KEY", "id_ed25519", "x/.netrc"] {
            assert!(is_secret(path), "{path}");
        }
        for path in [".env.example", "env.rs", "id_ed25519.pub", "src/keys.py", "docs/env"] {
            assert!(!is_secret(path), "{path}");
        }
    }
}
