//! `check` on generated images: forms of secrets, files of public packages, and `[check]` in the manifest.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use contents::scan::Sums;
use serde_json::json;

use crate::check::{KEY, holding, sound, sound_repository};
use crate::support::saved::{LayerTar, Saved};
use crate::support::{FakeDocker, Folder, told};

const IMAGE: &str = "fx-alpha:latest-simple-optimized";

/// A repository whose lock accepts any small image.
fn accepting(manifest: &str) -> Folder {
    let repository = sound_repository();
    let text = repository.read("xtask/images.toml");
    repository.write("xtask/images.toml", &format!("{text}\n{manifest}"));
    let lock = "schema = 1\n[alpha]\nsimple.\"linux/amd64\" = { own = 1, base = 0, accepted = \"2026-01-01\", reason = \"r\" }\n";
    repository.write("xtask/sizes.lock.toml", lock);
    repository
}

/// An image with these files, which also runs.
fn image(files: &[(&str, &[u8])]) -> Saved {
    let tar = LayerTar::new().program("hello", 0o755, b"x");
    let tar = files.iter().fold(tar, |tar, (path, content)| tar.file(path, content));
    Saved { layers: vec![tar.done()], ..sound(IMAGE, 1) }
}

/// The exit code and output of `check alpha`.
fn check(repository: &Folder, image: Saved) -> (Option<i32>, String) {
    let output = holding(&[image]).run(repository, &["check", "alpha"]);
    (output.status.code(), told(&output, repository))
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[test]
fn a_known_value_is_found_in_every_encoding_and_never_printed() {
    let secret = "correct horse/battery";
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let files: [(&str, Vec<u8>); 8] = [
        ("f/plain", secret.into()),
        ("f/base64", STANDARD.encode(format!("me:{secret}")).into()),
        ("f/base64url", URL_SAFE_NO_PAD.encode(format!("x{secret}")).into()),
        ("f/hex", hex.clone().into()),
        ("f/HEX", hex.to_uppercase().into()),
        ("f/url", "https://h/?key=correct%20horse%2Fbattery".into()),
        ("f/form", "key=correct+horse%2Fbattery".into()),
        ("f/utf16", utf16(secret)),
    ];
    let repository = accepting("");
    repository.write(".env", &format!("DB_PASSWORD='{secret}'\n"));
    for (path, content) in &files {
        let (code, text) = check(&repository, image(&[(path, content)]));
        assert_eq!(code, Some(1), "{path}: {text}");
        assert!(text.contains(&format!("the value of DB_PASSWORD is in /{path}\n")), "{path}: {text}");
    }
}

#[test]
fn a_file_named_by_a_secret_is_reported_without_it() {
    let repository = accepting("");
    repository.write(".env", "API_TOKEN=s3cret-0f-mine\n");
    let (code, text) = check(&repository, image(&[("etc/keys/s3cret-0f-mine.txt", b"x")]));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("the value of API_TOKEN is in /etc/keys/***.txt\n"), "{text}");
    assert!(!text.contains("s3cret-0f-mine"), "{text}");
}

#[test]
fn keys_tokens_and_credentials_are_found_and_look_alikes_are_not() {
    let jwt = |claims: &str| {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        format!(
            "{}.{}.{}",
            part(r#"{"alg":"HS256","typ":"JWT"}"#),
            part(claims),
            part("0123456789abcdef-signature")
        )
    };
    let (real, example) =
        (jwt(r#"{"sub":"svc","iss":"us"}"#), jwt(r#"{"sub":"1234567890","name":"John Doe"}"#));
    let one_line = KEY.replace('\n', "\\n");
    let der =
        [&[0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70][..], &[7; 36]].concat();
    let github = "a8Bc2dE5fG7hI1jK4lM6nO9pQ3rS0tU2vW5x";
    let found: [(&str, Vec<u8>, &str); 9] = [
        ("etc/key.pem", KEY.into(), "a private key"),
        ("app/.envrc", format!("KEY=\"{one_line}\"").into(), "a private key"),
        ("etc/key.der", der, "a private key"),
        ("root/.netrc", "machine h login me password s3same".into(), "a possible netrc password"),
        (
            "root/.docker/config.json",
            br#"{"auths":{"r":{"auth":"bWU6czNzYW1l"}}}"#.into(),
            "a possible registry password",
        ),
        ("app/a.js", format!("t='ghu_{github}'").into(), "a possible GitHub token"),
        ("app/b.js", format!("'xoxp-{github}-{github}'").into(), "a possible Slack token"),
        ("app/c.py", format!("sk-{github}A1").into(), "a possible OpenAI key"),
        ("app/d.txt", format!("Bearer {real}").into(), "a possible JSON Web Token"),
    ];
    let repository = accepting("");
    for (path, content, label) in &found {
        let (code, text) = check(&repository, image(&[(path, content)]));
        assert_eq!(code, Some(1), "{path}: {text}");
        assert!(text.contains(&format!("{label} is in /{path}\n")), "{path}: {text}");
    }
    let public: [(&str, Vec<u8>); 7] = [
        ("usr/bin/reads-keys", b"-----BEGIN RSA PRIVATE KEY-----\0-----END RSA PRIVATE KEY-----\0".into()),
        ("app/key.pub.pem", KEY.replace("PRIVATE", "PUBLIC").into()),
        ("app/docs.md", example.into()),
        ("root/.npmrc", b"//r.example/:_authToken=${NPM_TOKEN}\n".into()),
        ("app/.env.example", b"API_KEY=0123456789abcdef\n".into()),
        ("app/style.css", b".sk-fading-circle-with-a-very-long-name-of-its-own{}".into()),
        (
            "opt/java/cacerts",
            [&[0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2, 0, 0, 0, 9, 0, 0, 0, 2][..], &[7; 99]].concat(),
        ),
    ];
    let files: Vec<(&str, &[u8])> =
        public.iter().map(|(path, content)| (*path, content.as_slice())).collect();
    let (code, text) = check(&repository, image(&files));
    assert_eq!(code, Some(0), "{text}");
}

#[test]
fn literal_secrets_in_the_configuration_and_the_history_are_found_and_public_keys_are_not() {
    let password = format!("hunter{}", "2-real");
    let repository = accepting("");
    let with = |config: serde_json::Value, line: &'static str| {
        let image = image(&[]);
        Saved { instructions: vec![line], ..image.config(config) }
    };
    let copy = "COPY alpha/hello /hello # buildkit";
    for (config, place) in [
        (
            json!({"Env": [format!("DB_PASSWORD={password}")]}),
            "the value of DB_PASSWORD is in the image variable DB_PASSWORD",
        ),
        (
            json!({"Env": [format!("DB=postgres://app:{password}@db/app")]}),
            "a password in a URL is in the image variable DB",
        ),
        (
            json!({"Labels": {"db.password": password}}),
            "the value of db.password is in the image label db.password",
        ),
        (
            json!({"Cmd": ["/hello", format!("--password={password}")]}),
            "the value of password is in the image command",
        ),
    ] {
        let mut all = json!({"Cmd": ["/hello"], "User": "1"});
        all.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
        let (code, text) = check(&repository, with(all, copy));
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains(place) && !text.contains(&password), "{place}: {text}");
    }
    let sound = json!({"Cmd": ["/hello"], "User": "1",
        "Env": ["GPG_KEY=7169605F62C751356D054A26A821E680E5FA6305", "DB_PASSWORD=changeme", "DB_PASSWORD_FILE=/run/secrets/db-1"]});
    let history = "RUN /bin/sh -c key='B97B0AFCAA1A47F044F244A07FCC7D46ACCC4CF8'; gpg --recv-keys \"$key\"; \
                   gpg --recv-keys 39B641343D8C104B2B146DC3F9C39DC0B9698544 # buildkit";
    let (code, text) = check(&repository, with(sound, history));
    assert_eq!(code, Some(0), "{text}");
}

#[test]
fn a_file_that_its_package_vouches_for_is_public_unless_it_holds_a_secret_of_this_environment() {
    let library = format!("\x7fnot quite ELF {KEY}");
    let md5: String = Sums::of(library.as_bytes()).md5.iter().map(|byte| format!("{byte:02x}")).collect();
    let changed = format!("{library} ");
    let sums = format!("{md5}  usr/lib/libgnutls.so.30\n");
    let record =
        format!("pkg/test.py,sha256={},9\n", URL_SAFE_NO_PAD.encode(Sums::of(KEY.as_bytes()).sha256));
    let site = "usr/lib/python3/dist-packages";
    let (python, info) = (format!("{site}/pkg/test.py"), format!("{site}/pkg-1.dist-info"));
    let (metadata, record_path) = (format!("{info}/METADATA"), format!("{info}/RECORD"));
    let local = format!("{info}/direct_url.json");
    let files = |more: &[(&str, &[u8])]| {
        let mut files: Vec<(&str, &[u8])> = vec![
            ("usr/lib/libgnutls.so.30", library.as_bytes()),
            ("var/lib/dpkg/info/libgnutls30:amd64.md5sums", sums.as_bytes()),
            (&python, KEY.as_bytes()),
            (&metadata, b"Name: pkg\nVersion: 1\n"),
            (&record_path, record.as_bytes()),
        ];
        files.extend(more.iter().map(|(path, content)| {
            if *path == "LOCAL" { (local.as_str(), *content) } else { (*path, *content) }
        }));
        image(&files)
    };
    let repository = accepting("");
    let (code, text) = check(&repository, files(&[]));
    assert_eq!(code, Some(0), "{text}");
    // Its own package, installed from a folder of the build, is not public.
    let (code, text) = check(&repository, files(&[("LOCAL", br#"{"url":"file:///src","dir_info":{}}"#)]));
    assert!(code == Some(1) && text.contains(&format!("a private key is in /{python}\n")), "{text}");
    assert!(!text.contains("libgnutls"), "{text}");
    // A changed file is not the package's.
    let (code, text) = check(&repository, files(&[("usr/lib/libgnutls.so.30", changed.as_bytes())]));
    assert!(code == Some(1) && text.contains("a private key is in /usr/lib/libgnutls.so.30"), "{text}");
    repository.write(".env", "DB_PASSWORD=MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgAbCd\n");
    let (code, text) = check(&repository, files(&[]));
    assert!(
        code == Some(1) && text.contains("the value of DB_PASSWORD is in /usr/lib/libgnutls.so.30"),
        "{text}"
    );
}

#[test]
fn allowed_findings_are_notes_with_their_reason_and_stale_allowances_are_reported() {
    let rules = "[check]\nuser = \"warn\"\n\
                 [[check.allow]]\nkind = \"secret\"\npath = \"/test/\"\nreason = \"keys of the test suite\"\n\
                 [[check.allow]]\nkind = \"secret\"\npath = \"/gone\"\nservices = [\"alpha\"]\nreason = \"r\"\n";
    let repository = accepting(rules);
    let root = |files: &[(&str, &[u8])]| image(files).config(json!({"Cmd": ["/hello"], "User": "root"}));
    let (code, text) = check(&repository, root(&[("test/a.pem", KEY.as_bytes())]));
    assert_eq!(code, Some(0), "{text}");
    for line in [
        "a private key is in /test/a.pem (allowed: keys of the test suite)",
        "the allowance for secret at /gone covers nothing",
        "user · alpha (simple): runs as `root`",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let (code, text) = check(&repository, root(&[("test.pem", KEY.as_bytes())]));
    assert!(code == Some(1) && text.contains("a private key is in /test.pem\n"), "{text}");
}

#[test]
fn limits_that_disable_the_guard_are_manifest_errors() {
    let repository = sound_repository();
    let manifest = repository.read("xtask/images.toml");
    std::os::unix::fs::symlink("/etc/hostname", repository.0.join("alpha/Dockerfile.link")).unwrap();
    let faults = |from: &str, to: &str| {
        assert!(manifest.contains(from), "{from}");
        repository.write("xtask/images.toml", &manifest.replacen(from, to, 1));
        let output = FakeDocker::new().run(&repository, &["check"]);
        assert_eq!(output.status.code(), Some(2), "{to}");
        told(&output, &repository)
    };
    let upstream = |text: &str| format!("{text}\n[upstream");
    for (from, to, text) in [
        (
            "[upstream",
            upstream("[baselines]\nstep-bytes = \"9999999GB\""),
            "step-bytes: must be at most 100MB",
        ),
        ("[upstream", upstream("[baselines]\nstep-percent = 51"), "step-percent: must be from 0 to 50"),
        ("\"trixie\"", "\"../../x\"".into(), "invalid suite `../../x`"),
        ("[service.alpha]", "[service.\"\"]".into(), "invalid name ``"),
        ("[service.alpha]", "[service.-x]".into(), "invalid name `-x`"),
        (
            "alpha/Dockerfile.optimized",
            "alpha/Dockerfile.link".into(),
            "is a link to a file outside of the repository",
        ),
        (
            "[upstream",
            upstream("[check]\nuser = \"off\""),
            "check.user: unknown value `off` (known: error, warn)",
        ),
        ("[upstream", upstream("[check]\nsize = \"warn\""), "check: unknown key `size`"),
        (
            "[upstream",
            upstream("[[check.allow]]\nkind = \"baseline\"\npath = \"/\"\nreason = \"r\""),
            "unknown value `baseline`",
        ),
    ] {
        let told = faults(from, &to);
        assert!(told.contains(text), "{text}: {told}");
    }
    let told = faults("goal = \"10MB\"", "goal = \"60MB\"");
    assert!(told.contains("goal: 60MB is above the target of 50MB"), "{told}");
}
