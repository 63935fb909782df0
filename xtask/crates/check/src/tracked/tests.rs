//! Kinds of files, lines and ordinary text. `xtask/tests/it/check_tracked.rs` has a table of secrets and look-alikes.

use super::{findings, syntax};
use crate::report::Finding;
use contents::scan::Scanner;
use contents::scan::assignments::Syntax;

fn scanner() -> Scanner {
    Scanner::new(&[("the value of KNOWN".to_owned(), b"correct%20horse".to_vec())]).unwrap()
}

fn whats(found: &[Finding]) -> Vec<&str> {
    found.iter().map(|finding| finding.what.as_str()).collect()
}

#[test]
fn ordinary_lines_of_dockerfiles_compose_files_and_scripts_are_silent() {
    let line = |path: &str, text: &str| {
        let found = findings(path, text.as_bytes(), false, &scanner());
        assert!(found.is_empty(), "{text}: {found:?}");
    };
    for text in [
        "RUN gpg --batch --keyserver hkps://keys.openpgp.org --recv-keys 7169605F62C751356D054A26A821E680E5FA6305",
        "RUN key='B97B0AFCAA1A47F044F244A07FCC7D46ACCC4CF8'; gpg --recv-keys \"$key\"",
        "RUN printf 'passwd: files\\ngroup: files\\n' > /etc/nsswitch.conf",
        "RUN --mount=type=secret,id=token,target=/run/secrets/token-1 cat /run/secrets/token-1",
        "RUN --mount=type=secret,id=npmrc-2,env=NPM_TOKEN npm ci",
        "ARG API_TOKEN",
        "ENV GPG_KEYS=39B641343D8C104B2B146DC3F9C39DC0B9698544",
        "COPY --from=keys-stage-1 /key.pub /etc/keys/",
    ] {
        line("Dockerfile", text);
    }
    for text in [
        "secrets:\n  db_password:\n    file: ./secrets/db-password-1.txt\n",
        "services:\n  a:\n    secrets: [db-password-1, api-token-2]\n",
        "services:\n  a:\n    user: \"65532:65532\"\n    ports: [\"127.0.0.1:8000:8000\"]\n",
        "services:\n  a:\n    healthcheck: { test: [\"CMD\", \"mysqladmin\", \"-p$$MYSQL_PASSWORD\"] }\n",
        "# The token: it is created by the installation-1\n",
        "x-key: &default-key-1\n  a: 1\nb:\n  key: *default-key-1\n",
    ] {
        line("compose.yaml", text);
    }
    for text in [
        "if [ \"$TOKEN\" = \"\" ]; then TOKEN=$(openssl rand -hex 32); fi",
        "password=${1:?usage: login PASSWORD-1}",
        "read -r -p \"Password: \" password",
        "curl -u \"$USER:$PASSWORD\" https://h",
        "docker run -u 1000:1000 x",
        "echo \"key: $(cat key-1)\"",
    ] {
        line("login.sh", text);
    }
}

#[test]
fn kinds_of_files_are_recognized_by_name_or_content() {
    for (path, text, expected) in [
        ("a/Dockerfile.dockerignore", "TOKEN: x", None),
        ("src/token.py", "token = 'x'", None),
        ("ci.yml", "jobs:\n  services:\n    a: 1\n", None),
        ("notes.md", "A=1\ntext\n", None),
        ("Cargo.toml", "[package]\nname = \"x\"\n", None),
        ("any.yaml", "services:\n  a: {}\n", Some(Syntax::Mixed)),
        ("run", "#!/usr/bin/env -S bash -e\n", Some(Syntax::Mixed)),
        ("run", "#!/usr/bin/env python3\n", None),
        ("prod.env.sample", "", Some(Syntax::Variables)),
        ("example.env", "", Some(Syntax::Variables)),
        ("settings", "# c\nA=1\n\nexport B=2\n", Some(Syntax::Variables)),
    ] {
        assert_eq!(syntax(path, text), expected, "{path}");
    }
}

#[test]
fn other_lines_are_counted_and_the_lines_of_one_key_are_one() {
    let key = [
        concat!("-----BEGIN RSA PRIVATE", " KEY-----"),
        concat!("MIIEpAIBAAK", "CAQEAq1w2e3r4t5y6u7i8o9p0a1s2d3f4g5h6j7k8l9z0x1c2v3b4n5m6"),
        "-----END RSA PRIVATE KEY-----",
    ];
    let key = key.join("\n");
    let of = |text: String| findings("a.txt", text.as_bytes(), false, &scanner());
    let one = of(format!("\n{key}\n"));
    assert_eq!(whats(&one), ["a private key is in a file that git tracks"]);
    assert_eq!(one[0].place.as_ref().unwrap().line, 2);
    assert_eq!(
        whats(&of(format!("{key}\n{key}\n"))),
        ["a private key is in a file that git tracks, also on line 4"]
    );
    assert_eq!(
        whats(&of(format!("{key}\n{key}\n{key}\n"))),
        ["a private key is in a file that git tracks, also on 2 other lines from 4 on"]
    );
}

#[test]
fn a_file_named_by_a_secret_is_reported_without_it() {
    let secret = "correct%20horse";
    let found = findings(&format!("keys/{secret}.txt"), b"x", false, &scanner());
    assert_eq!(whats(&found), ["the value of KNOWN is in the name of a file that git tracks"]);
    assert!(!format!("{found:?}").contains(secret), "{found:?}");
    assert_eq!(found[0].path.as_deref(), Some("keys/***.txt"));
}
