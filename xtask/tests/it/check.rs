//! `check` and fleet figures, on generated images.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::Output;

use crate::support::elf::library;
use crate::support::saved::{LayerTar, Layout, Saved, archive};
use crate::support::{FakeDocker, Folder, repository, xtask};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// Split, because `check` also reads this file.
pub const KEY: &str = concat!(
    "-----BEGIN PRIVATE",
    " KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgAbCd\n-----END PRIVATE KEY-----\n"
);
const SECRET: &str = "correct-horse-battery-staple";

/// Dockerfiles that use their build arguments.
pub fn sound_repository() -> Folder {
    let folder = repository("fx");
    for name in ["alpha", "beta"] {
        let text = format!(
            "FROM scratch\nCOPY {name}/hello /hello\nARG EDITION\nARG VERSION\nENV E=$EDITION V=$VERSION\nUSER 65532\n"
        );
        folder.write(&format!("{name}/Dockerfile.optimized"), &text);
        let original = "FROM debian:trixie-slim\nARG EDITION\nRUN echo $EDITION > /fat\n";
        folder.write(&format!("{name}/Dockerfile"), original);
    }
    folder
}

pub fn sound(name: &'static str, bytes: usize) -> Saved {
    let tar = LayerTar::new().program("hello", 0o755, &vec![7; bytes]);
    let labels = json!({"fixture.images.variant": "optimized", "fixture.images.edition": "simple",
        "org.opencontainers.image.title": name.split(':').next().unwrap()});
    Saved::new(name, vec![("COPY alpha/hello /hello # buildkit", tar)])
        .config(json!({"Cmd": ["/hello"], "User": "65532:65532", "Labels": labels}))
}

/// A daemon with some images, which saves all of them at once.
pub fn holding(images: &[Saved]) -> FakeDocker {
    let inspected: Vec<Value> = images.iter().map(Saved::inspect).collect();
    let mut files = Vec::new();
    let mut manifest = Vec::new();
    let mut names = BTreeSet::new();
    for image in images {
        for (name, content) in image.files(Layout::Oci) {
            if name == "manifest.json" {
                manifest.extend(serde_json::from_slice::<Vec<Value>>(&content).unwrap());
            } else if names.insert(name.clone()) {
                files.push((name, content));
            }
        }
    }
    files.push(("manifest.json".to_owned(), json!(manifest).to_string().into_bytes()));
    let all = json!(inspected).to_string();
    let docker = FakeDocker::new().alive().on("image inspect*", 1, &all, "Error: No such image: x\n");
    let docker = images
        .iter()
        .fold(docker, |docker, image| docker.on(&format!("history*{}", image.id()), 0, &image.history(), ""));
    docker.on_bytes("save*", &archive(&files))
}

fn told(output: &Output, repository: &Folder) -> String {
    crate::support::told(output, repository)
}

fn row(own: u64) -> String {
    format!(
        "# kept\nschema = 1\n[alpha]\n# this too\nsimple.\"linux/amd64\" = {{ own = {own}, base = 0, accepted = \"2026-01-01\", \
         reason = \"first\" }} # and this\n"
    )
}

#[test]
fn an_image_within_its_baseline_is_green_in_every_format() {
    let (repository, docker) =
        (sound_repository(), holding(&[sound("fx-alpha:latest-simple-optimized", 1_200_000)]));
    repository.write("xtask/sizes.lock.toml", &row(1_000_000));
    for format in ["table", "markdown", "json"] {
        let output = docker.run(&repository, &["check", "alpha", "--format", format]);
        snapshot!(format!("check_green_{format}"), output, repository);
    }
    // Layers are read once; without --accept the lock stays unchanged.
    assert_eq!(docker.calls().iter().filter(|call| call.starts_with("save")).count(), 1);
    assert_eq!(repository.read("xtask/sizes.lock.toml"), row(1_000_000));
    let records = repository.0.join("target/xtask/records");
    assert!(!records.exists(), "a record of some services would replace that of all");
}

/// An image with everything that `check` looks for.
fn unsound() -> Saved {
    let base = LayerTar::new()
        .file("etc/key.pem", KEY)
        .program("usr/lib/libgone.so", 0o755, &library(&["libz.so.1"]))
        .program("usr/bin/python3.13", 0o755, &library(&[]))
        .file("usr/lib/python3/x.cpython-312-x86_64-linux-gnu.so", library(&[]))
        .file("var/lib/dpkg/status.d/libz", "Package: libz\nVersion: 1\n");
    let top = LayerTar::new().file("etc/.wh.key.pem", "");
    let lines = vec![
        ("COPY alpha/hello /hello # buildkit", base),
        ("RUN /bin/sh -c echo correct-horse-battery-staple", top),
    ];
    Saved::new("fx-alpha:latest-simple-optimized", lines).config(json!({
        "Cmd": ["/bin/serve"], "Healthcheck": {"Test": ["CMD-SHELL", "curl -f http://localhost"]},
        "Env": [format!("TOKEN={SECRET}")]
    }))
}

#[test]
fn all_faults_are_reported_at_once_with_help_and_without_secrets() {
    let (repository, docker) = (sound_repository(), holding(&[unsound()]));
    repository.write("beta/Dockerfile", "FROM debian:trixie-slim\nARG EDITION\nRUN echo fat\n");
    let lock = "schema = 1\n[gone]\nsimple.\"linux/amd64\" = { own = 1, base = 0, accepted = \"2026-01-01\", reason = \"x\" }\n";
    repository.write("xtask/sizes.lock.toml", lock);
    repository.write(".env", &format!("DEPLOY_TOKEN={SECRET}\n"));
    let run = |args: &[&str]| {
        let mut command = xtask(&docker.folder.0.join("bin"), &repository, args);
        command.env("FAKE_DOCKER", &docker.folder.0).env("GITHUB_ACTIONS", "true").output().unwrap()
    };
    let output = run(&["check"]);
    let text = told(&output, &repository);
    assert!(!text.contains(SECRET) && !text.contains("MIGHAgEA"), "a secret was printed: {text}");
    snapshot!("check_red", output, repository);
    for file in ["target/xtask/records/check-simple.json", "xtask/sizes.lock.toml"] {
        assert!(!repository.read(file).contains(SECRET), "{file}");
    }
    let kept: Value =
        serde_json::from_str(&repository.read("target/xtask/records/check-simple.json")).unwrap();
    assert_eq!((&kept["schema"], &kept["of"]["edition"]), (&json!(1), &json!("simple")));
    assert!(kept["record"]["breaches"].as_array().is_some_and(|breaches| breaches.len() > 3), "{kept}");
    let output = run(&["check", "--format", "markdown"]);
    snapshot!("check_red_markdown", output, repository);
}

#[test]
fn a_new_secret_is_searched_in_cached_layers() {
    let image = sound("fx-alpha:latest-simple-optimized", 10);
    let layer = LayerTar::new().program("hello", 0o755, b"x").file("etc/config", format!("pass: {SECRET}\n"));
    let image = Saved { layers: vec![layer.done()], ..image };
    let (repository, docker) = (sound_repository(), holding(&[image]));
    repository.write("xtask/sizes.lock.toml", &row(30));
    let green = docker.run(&repository, &["check", "alpha"]);
    assert_eq!(green.status.code(), Some(0), "{}", told(&green, &repository));
    repository.write(".env", &format!("DB_PASSWORD='{SECRET}'\n"));
    let red = docker.run(&repository, &["check", "alpha"]);
    let text = told(&red, &repository);
    assert_eq!(red.status.code(), Some(1), "{text}");
    assert!(text.contains("the value of DB_PASSWORD is in /etc/config") && !text.contains(SECRET), "{text}");
}

/// A made-up certificate as PEM and DER.
fn certificate() -> (String, Vec<u8>) {
    let bytes: Vec<u8> = (0..200_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    let text = STANDARD.encode(&bytes);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
    let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"));
    (pem, bytes)
}

#[test]
fn the_private_ca_of_this_machine_is_found_in_any_layer_as_pem_and_der() {
    // Private certificates are those that Debian's `ca-certificates` does not contain.
    if !std::path::Path::new("/usr/share/ca-certificates/mozilla").is_dir() {
        eprintln!("skipped: this machine has no ca-certificates");
        return;
    }
    let (pem, der) = certificate();
    let base = LayerTar::new()
        .program("hello", 0o755, b"x")
        .file("etc/ssl/certs/ca-certificates.crt", format!("# a bundle\n{pem}"))
        .file("opt/java/cacerts", [b"\xfe\xed".as_slice(), &der, b"\0"].concat());
    let top = LayerTar::new().file("etc/ssl/certs/.wh.ca-certificates.crt", "");
    let sound = sound("fx-alpha:latest-simple-optimized", 10);
    let image =
        Saved { layers: vec![base.done(), top.done()], instructions: vec!["COPY a /", "RUN rm b"], ..sound };
    let (repository, docker) = (sound_repository(), holding(&[image]));
    repository.write("xtask/sizes.lock.toml", &row(3000));
    repository.write("ca.crt", &pem);
    let run = |bundle: Option<&str>| {
        let mut command = xtask(&docker.folder.0.join("bin"), &repository, &["check", "alpha"]);
        command.env("FAKE_DOCKER", &docker.folder.0);
        command.envs(bundle.map(|name| ("SSL_CERT_FILE", repository.0.join(name))));
        let output = command.output().unwrap();
        (output.status.code(), told(&output, &repository))
    };
    let (code, text) = run(Some("ca.crt"));
    assert_eq!(code, Some(1), "{text}");
    let name = "certificate 1 of this machine's private CA is in";
    for place in ["/etc/ssl/certs/ca-certificates.crt, which a later layer hides", "/opt/java/cacerts"] {
        assert!(text.contains(&format!("{name} {place}")), "{place} is not in {text}");
    }
    // A machine that does not trust the CA ignores it.
    let (code, text) = run(None);
    assert!(code == Some(0) && !text.contains(name), "{text}");
}

#[test]
fn small_steps_add_up_to_a_breach_and_accepting_changes_only_that_row() {
    let repository = sound_repository();
    repository.write("xtask/sizes.lock.toml", &row(20_000_000));
    let run = |bytes: usize, args: &[&str]| {
        let docker = holding(&[sound("fx-alpha:latest-simple-optimized", bytes)]);
        let output = docker.run(&repository, &[["check", "alpha"].as_slice(), args].concat());
        (output.status.code(), told(&output, &repository))
    };
    for (bytes, code) in [(20_400_000, 0), (20_800_000, 0), (21_200_000, 1)] {
        let (found, text) = run(bytes, &[]);
        assert_eq!(found, Some(code), "{text}");
        assert_eq!(
            repository.read("xtask/sizes.lock.toml"),
            row(20_000_000),
            "the lock changed without --accept"
        );
    }
    let (code, text) = run(21_200_000, &["--accept", "--reason", "a larger page"]);
    assert_eq!(code, Some(0), "{text}");
    let lock = repository.read("xtask/sizes.lock.toml");
    let day = lock.split("accepted = \"").nth(1).unwrap()[..10].to_owned();
    let expected = row(20_000_000)
        .replace("own = 20000000", "own = 21_200_000")
        .replace("2026-01-01", &day)
        .replace("\"first\"", "\"a larger page\"");
    assert_eq!(lock, expected);
    // A smaller image is a note; accepting it keeps it from growing back.
    let (code, text) = run(15_000_000, &[]);
    assert!(code == Some(0) && text.contains("6.2MB below the baseline of 21.2MB"), "{text}");
    run(15_000_000, &["--accept", "--reason", "slim"]);
    assert_eq!(run(20_000_000, &[]).0, Some(1));
}

#[test]
fn the_step_limit_comes_from_the_manifest() {
    let repository = sound_repository();
    let manifest = repository.read("xtask/images.toml");
    let (head, rest) = manifest.split_once("[upstream").unwrap();
    let limits = "[baselines]\nstep-percent = 0\nstep-bytes = \"100B\"\n[upstream";
    repository.write("xtask/images.toml", &format!("{head}{limits}{rest}"));
    repository.write("xtask/sizes.lock.toml", &row(1000));
    let run = |bytes| {
        let docker = holding(&[sound("fx-alpha:latest-simple-optimized", bytes)]);
        docker.run(&repository, &["check", "alpha"]).status.code()
    };
    assert_eq!([run(1100), run(1101)], [Some(0), Some(1)]);
}

#[test]
fn invalid_options_and_a_corrupt_lock_fail_before_docker_is_called() {
    let (repository, docker) = (sound_repository(), FakeDocker::new());
    for args in [["--accept", "--edition=all"], ["--reason=why", "--edition=all"], ["--accept", "--reason= "]]
    {
        let output = docker.run(&repository, &[["check"].as_slice(), &args].concat());
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", told(&output, &repository));
    }
    assert_eq!(docker.calls(), Vec::<String>::new());
    repository.write("xtask/sizes.lock.toml", &row(1).replace("base = 0", "base = \"a lot\""));
    let output = FakeDocker::new().alive().run(&repository, &["check"]);
    snapshot!("check_corrupt_lock", output, repository);
}

/// A Python image of an edition.
fn python(name: &'static str, edition: &str, packages: &[&str]) -> Saved {
    let site = "usr/lib/python3/dist-packages";
    let dist = |tar: LayerTar, package: &&str| {
        let folder = format!("{site}/{package}-1.dist-info");
        tar.file(&format!("{folder}/METADATA"), format!("Name: {package}\nVersion: 1\n"))
    };
    let tar = packages.iter().fold(LayerTar::new().program("hello", 0o755, b"x"), dist);
    let labels = json!({"fixture.images.edition": edition});
    Saved::new(name, vec![("COPY x /", tar)])
        .config(json!({"Cmd": ["/hello"], "User": "1", "Labels": labels, "Env": [format!("E={edition}")]}))
}

#[test]
fn editions_are_compared_with_their_declaration() {
    let repository = sound_repository();
    let manifest = repository.read("xtask/images.toml");
    let editions = "[service.alpha.editions]\nsimple = {}\ncommunity = { packages = [\"NumPy\", \"scikit_learn\"] }\n\
                    enterprise = { capabilities = [\"fly\"] }\n";
    repository.write("xtask/images.toml", &format!("{manifest}{editions}"));
    let simple = || python("fx-alpha:latest-simple-optimized", "simple", &["six"]);
    let enterprise = |env: &str| {
        let image = python("fx-alpha:latest-enterprise-optimized", env, &["six", "numpy", "scikit-learn"]);
        Saved { config: image.config, ..image }
    };
    let edition_lines = |images: &[Saved]| -> Vec<String> {
        let output = holding(images).run(&repository, &["check", "alpha", "--edition", "all"]);
        let text = told(&output, &repository);
        text.lines().filter(|line| line.contains("edition · ")).map(|line| line.trim().to_owned()).collect()
    };
    let community = |packages: &[&str]| python("fx-alpha:latest-community-optimized", "community", packages);
    let sound = [simple(), community(&["six", "numpy", "scikit-learn"]), enterprise("enterprise")];
    assert_eq!(edition_lines(&sound), [""; 0]);
    let wrong = [simple(), community(&["numpy", "torch"]), enterprise("community")];
    assert_eq!(
        edition_lines(&wrong),
        [
            "edition · alpha (community): declared packages missing: scikit-learn",
            "edition · alpha (community): undeclared packages: torch",
            "edition · alpha (community): packages of simple missing: six",
        ]
    );
    // Without simple, nothing can be compared.
    let alone =
        holding(&[community(&["torch"])]).run(&repository, &["check", "alpha", "--edition", "community"]);
    let text = told(&alone, &repository);
    assert!(text.contains("packages were not compared: the simple edition is not built"), "{text}");
    let same = [simple(), community(&["six", "numpy", "scikit-learn"]), enterprise("community")];
    assert_eq!(
        edition_lines(&same),
        ["edition · alpha (enterprise): the image differs from community in labels only"]
    );
    let text = "FROM scratch\nARG EDITION\nARG VERSION\nENV V=$VERSION\nUSER 1\n";
    repository.write("alpha/Dockerfile.optimized", text);
    assert_eq!(
        edition_lines(&sound),
        ["edition · alpha/Dockerfile.optimized: ARG EDITION is not used in its stage"]
    );
    repository.write("alpha/Dockerfile.optimized", &text.replace("ARG EDITION\n", ""));
    assert_eq!(edition_lines(&sound).len(), 1);
}

fn packed(layer: &[u8]) -> u64 {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(layer).unwrap();
    encoder.finish().unwrap().len() as u64
}

#[test]
fn shared_layers_are_pulled_once_and_an_upgrade_pulls_only_new_ones() {
    let base =
        || LayerTar::new().file("base", (0..90_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<u8>>());
    let own = |seed: u8| LayerTar::new().program("usr/bin/x", 0o4755, &vec![seed; 5000]);
    let image = |name, seed| Saved::new(name, vec![("COPY b /", base()), ("COPY x /", own(seed))]);
    let images = [
        image("fx-alpha:2-simple-optimized", 1),
        image("fx-beta:2-simple-optimized", 2),
        image("fx-alpha:1-simple-optimized", 3),
        image("fx-alpha:2-simple", 4),
    ];
    let (repository, docker) = (repository("fx"), holding(&images));
    let output = docker.run(&repository, &["compare", "--tag", "2", "--since", "1", "--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output, &repository));
    let record: Value = serde_json::from_slice(&output.stdout).unwrap();
    let fleet = &record["fleet"];
    let own = packed(&own(1).done()) + packed(&own(2).done());
    assert_eq!(fleet["pull"], packed(&base().done()) + own);
    assert_eq!((&fleet["layers"], &fleet["images"]), (&json!(3), &json!(2)));
    // beta has no image with the old tag, but its base layer exists.
    assert_eq!(fleet["since"], json!({"from": "1", "layers": 2, "moved": own, "missing": ["beta"]}));
    assert_eq!(
        fleet["surface"][0],
        json!({"service": "alpha", "original": {"packages": 0, "executables": 1, "setuid": 1},
            "optimized": {"packages": 0, "executables": 1, "setuid": 1}})
    );
    assert_eq!(fleet["surface"][1]["original"], Value::Null);
    let table = docker.run(&repository, &["compare", "--tag", "2", "--since", "1"]);
    snapshot!("compare_fleet", table, repository);
    let without = docker.run(&repository, &["compare", "--tag", "2", "--format", "json"]);
    assert!(!String::from_utf8_lossy(&without.stdout).contains("fleet"));
}
