//! `push --attest` and `verify` on Debian's docker-registry, which has no referrers API, with Debian's cosign.

use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::support::registry::{Answer, Proxy, Registry};
use crate::support::{Folder, Site, docker};

/// Key pairs of one test.
struct Keys {
    folder: Folder,
    password: String,
}

impl Keys {
    fn new() -> Keys {
        let password = format!("words of process {}", std::process::id());
        let keys = Keys { folder: Folder::new(), password };
        for name in ["own", "other"] {
            let path = keys.path(name);
            let pair = ["generate-key-pair", "--output-key-prefix", &path];
            let output = keys.cosign(&pair);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        keys
    }

    fn path(&self, name: &str) -> String {
        self.folder.0.join(name).display().to_string()
    }

    fn private(&self, name: &str) -> String {
        format!("{}.key", self.path(name))
    }

    fn public(&self, name: &str) -> String {
        format!("{}.pub", self.path(name))
    }

    fn cosign(&self, args: &[&str]) -> Output {
        Command::new("cosign").args(args).env("COSIGN_PASSWORD", &self.password).output().unwrap()
    }

    /// The output of Debian's cosign for an image.
    fn verify(&self, args: &[&str], key: &str, image: &str) -> Result<String, String> {
        let key = self.public(key);
        let output = self.cosign(&[args, &["--key", &key, "--insecure-ignore-tlog", image]].concat());
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    fn push(&self, site: &Site, service: &str, address: &str, key: &str) -> Output {
        let key = self.private(key);
        let mut command = site.command(&["push", service, "--registry", address, "--attest", "--key", &key]);
        command.env("COSIGN_PASSWORD", &self.password).output().unwrap()
    }
}

/// Commits everything, because provenance needs a commit. Returns its ID.
fn commit(site: &Site) -> String {
    let git = |args: &[&str]| {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=t", "-c", "user.email=t@example.com"])
            .args(args)
            .current_dir(&site.folder.0);
        let output = git.output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    site.folder.write(".gitignore", "/target\n");
    git(&["init", "--quiet"]);
    git(&["remote", "add", "origin", "https://robot:token@git.example/team/fixture.git"]);
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "--message", "all"]);
    git(&["rev-parse", "HEAD"])
}

/// Pushes an image with the file `/extra`. Returns its digest.
fn push_extra(folder: &Folder, image: &str) -> String {
    folder.write("extra", "extra");
    let archive = folder.0.join("extra.tar").display().to_string();
    let root = folder.0.display().to_string();
    assert!(Command::new("tar").args(["-cf", &archive, "-C", &root, "extra"]).status().unwrap().success());
    docker(&["import", &archive, image]);
    docker(&["push", "--quiet", image]);
    let name = docker(&["image", "inspect", "--format", "{{index .RepoDigests 0}}", image]);
    name.rsplit_once('@').unwrap().1.to_owned()
}

/// A site whose images were built from a commit, and the commit. `alpha` has a file of the image `extra`.
fn built(test: &str, extra: &str) -> (Site, String) {
    let site = Site::new(test);
    let dockerfile =
        format!("FROM debian:trixie-slim\nCOPY --from={extra} /extra /extra\nCOPY alpha/hello /hello\n");
    site.folder.write("alpha/Dockerfile.optimized", &dockerfile);
    let id = commit(&site);
    let output = site.run(&["build-images", "alpha"]);
    assert_eq!(output.status.code(), Some(0), "{}", site.told(&output));
    (site, id)
}

/// The predicate in the output of `cosign verify-attestation`.
fn predicate(printed: &str) -> Value {
    use base64::Engine as _;
    let envelope: Value = serde_json::from_str(printed.lines().next().unwrap()).unwrap();
    let payload = envelope["payload"].as_str().unwrap();
    let statement = base64::engine::general_purpose::STANDARD.decode(payload).unwrap();
    serde_json::from_slice::<Value>(&statement).unwrap()["predicate"].take()
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn debians_cosign_accepts_what_is_attached() {
    let _turn = crate::support::turn::take(module_path!());
    let registry = Registry::start("attest");
    let (keys, address) = (Keys::new(), registry.address());
    let extra = format!("{address}/attest-extra:1");
    let extra_digest = push_extra(&keys.folder, &extra);
    let (site, id) = built("attest", &extra);
    let image = format!("{address}/{}-alpha:latest-optimized", site.prefix);
    let output = keys.push(&site, "alpha", &address, "own");
    let text = site.told(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("signature, bill of materials, provenance"), "{text}");
    assert!(text.contains("has no referrers API: referrers are listed under the tag sha256-"), "{text}");
    assert!(!text.contains(&keys.password), "{text}");
    let repository = format!("/v2/{}-alpha", site.prefix);
    let digest = docker(&["image", "inspect", "--format", "{{index .RepoDigests 0}}", &image]);
    let digest = digest.rsplit_once('@').unwrap().1.to_owned();
    let manifest = registry.says(&format!("{repository}/manifests/{digest}"));

    // cosign, by tag and by digest.
    let by_digest = format!("{address}/{}-alpha@{digest}", site.prefix);
    for name in [&image, &by_digest] {
        keys.verify(&["verify"], "own", name).unwrap();
        let bill = predicate(&keys.verify(&["verify-attestation", "--type=cyclonedx"], "own", name).unwrap());
        assert_eq!(bill["bomFormat"], "CycloneDX");
        let names: Vec<&str> =
            bill["components"].as_array().unwrap().iter().filter_map(|one| one["name"].as_str()).collect();
        assert!(names.contains(&"bash") && names.contains(&"dpkg"), "{names:?}");
        let printed = keys.verify(&["verify-attestation", "--type=slsaprovenance1"], "own", name).unwrap();
        let definition = &predicate(&printed)["buildDefinition"];
        let dependencies = definition["resolvedDependencies"].as_array().unwrap();
        let source = &dependencies[0];
        let extra = dependencies
            .iter()
            .find(|one| one["uri"].as_str().is_some_and(|uri| uri.contains("/attest-extra")));
        let extra = extra.unwrap_or_else(|| panic!("{definition}"));
        let uri = format!("pkg:docker/{address}/attest-extra@1?platform=linux%2F");
        assert!(extra["uri"].as_str().unwrap().starts_with(&uri), "{extra}");
        assert_eq!(format!("sha256:{}", extra["digest"]["sha256"].as_str().unwrap()), extra_digest);
        // Debian's image comes from a registry, or a stand-in is built for it.
        let stand_in = &definition["internalParameters"]["projectBases"]["upstream-debian"];
        let is_debian = |one: &Value| {
            one.to_string().contains("debian@trixie-slim?") || one["name"] == "debian:trixie-slim"
        };
        assert_ne!(stand_in.is_object(), dependencies.iter().any(is_debian), "{definition}");
        let hash = Sha256::digest(site.folder.read("alpha/Dockerfile.optimized"));
        let dockerfile: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(definition["internalParameters"]["dockerfile"]["digest"]["sha256"], dockerfile);
        assert_eq!(definition["externalParameters"]["request"]["frontend"], "dockerfile.v0");
        assert_eq!(source["digest"]["gitCommit"], id.as_str());
        assert_eq!(source["uri"], "git+https://git.example/team/fixture.git");
        assert!(!printed.contains("robot"));
    }
    assert!(keys.verify(&["verify"], "other", &image).is_err());
    // OCI referrers with Sigstore bundles, as expected by cosign 3.
    let root = keys.folder.0.join("root.json");
    keys.folder
        .write("root.json", r#"{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}"#);
    let root = format!("--trusted-root={}", root.display());
    for kind in ["--type=cyclonedx", "--type=slsaprovenance1"] {
        keys.verify(&["verify-attestation", "--new-bundle-format", &root, kind], "own", &by_digest).unwrap();
    }

    // verify, with the right and the wrong key and commit.
    let verify = |key: &str, more: &[&str]| {
        site.run(&[&["verify", &image, "--key", &keys.public(key)], more].concat())
    };
    let output = verify("own", &["--commit", "HEAD"]);
    assert_eq!(output.status.code(), Some(0), "{}", site.told(&output));
    let output = verify("other", &[]);
    let text = site.told(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for fault in
        ["signed, but not with the key ", "the bill of materials is not signed with", "the provenance is not"]
    {
        assert!(text.contains(fault), "{fault}: {text}");
    }

    // A repeat signs nothing, a second key adds its signatures beside the first, and the image stays the same.
    let before = registry.says(&format!("{repository}/tags/list"));
    let output = keys.push(&site, "alpha", &address, "own");
    assert!(site.told(&output).contains(&format!("{digest}: unchanged\n")), "{}", site.told(&output));
    assert_eq!(registry.says(&format!("{repository}/tags/list")), before);
    assert_eq!(keys.push(&site, "alpha", &address, "other").status.code(), Some(0));
    for key in ["own", "other"] {
        keys.verify(&["verify"], key, &image).unwrap();
        assert_eq!(verify(key, &[]).status.code(), Some(0));
    }
    // cosign adds its own signature to what this program wrote.
    let own = keys.private("own");
    let signed = keys.cosign(&["sign", "--key", &own, "--tlog-upload=false", "--yes", &by_digest]);
    assert!(signed.status.success(), "{}", String::from_utf8_lossy(&signed.stderr));
    keys.verify(&["verify"], "other", &image).unwrap();
    assert_eq!(registry.says(&format!("{repository}/manifests/{digest}")), manifest);

    // Another image under the same tag is not signed.
    let other = format!("{address}/{}-alpha:latest-simple-optimized", site.prefix);
    let output = site.run(&["build-images", "beta"]);
    assert_eq!(output.status.code(), Some(0), "{}", site.told(&output));
    docker(&["tag", &format!("{}-beta:latest-optimized", site.prefix), &other]);
    docker(&["push", "--quiet", &other]);
    docker(&["image", "rm", &other]);
    let output = site.run(&["verify", &other, "--key", &keys.public("own")]);
    let text = site.told(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains(": not signed\nhelp: attest it: `") && text.contains("no provenance is attached"),
        "{text}"
    );
    docker(&["image", "rm", &extra]);
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn an_index_and_its_images_are_attested_and_a_repeat_continues() {
    let _turn = crate::support::turn::take(module_path!());
    let site = Site::new("attest-index");
    let manifest = format!(
        "schema = 2\nproject = \"{0}\"\ncompose = []\n\n[defaults]\nplatforms = [\"linux/amd64\", \"linux/arm64\"]\n\n\
         [service.web]\ndockerfile = \"web/Dockerfile\"\nimage = \"{0}-web\"\n",
        site.prefix
    );
    site.folder.write("xtask/images.toml", &manifest);
    site.folder.write("web/Dockerfile", "FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH /processor\n");
    site.folder.write("web/Dockerfile.dockerignore", "*\n!amd64\n!arm64\n");
    for name in ["amd64", "arm64"] {
        site.folder.write(name, name);
    }
    commit(&site);
    let output = site.run(&["build-images", "web"]);
    assert_eq!(output.status.code(), Some(0), "{}", site.told(&output));
    let (registry, refuses) = (Arc::new(Registry::start("attest-index")), Arc::new(AtomicBool::new(true)));
    let (flag, first) = (Arc::clone(&refuses), AtomicBool::new(true));
    // Rejects all signatures after the first.
    let proxy = Proxy::start(&registry, move |request, _| {
        let is_signature = request.starts_with("PUT ") && request.lines().next().unwrap().contains(".sig ");
        match is_signature && flag.load(Ordering::SeqCst) && !first.swap(false, Ordering::SeqCst) {
            true => Answer::Error("403 Forbidden", "DENIED", "tags of signatures are reserved"),
            false => Answer::Forward,
        }
    });
    let (keys, address) = (Keys::new(), proxy.address.to_string());
    let image = format!("{address}/{}-web", site.prefix);
    let output = keys.push(&site, "web", &address, "own");
    let text = site.told(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for part in [
        format!("error: cannot attest {image}:latest-arm64: "),
        "tags of signatures are reserved".to_owned(),
        format!("pushed, but not fully attested: {image}:latest-arm64, {image}:latest\n"),
        format!("attested: 1 image ({image}:latest-amd64)\n"),
        "help: fix this, then run the same command again".to_owned(),
    ] {
        assert!(text.contains(&part), "{part}: {text}");
    }
    let verify = || site.run(&["verify", &format!("{image}:latest"), "--key", &keys.public("own")]);
    let text = site.told(&verify());
    for part in ["latest (index): not signed\n", "latest (linux/arm64): not signed\n"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("(linux/amd64): not signed"), "{text}");
    refuses.store(false, Ordering::SeqCst);
    let output = keys.push(&site, "web", &address, "own");
    let text = site.told(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let attested: Vec<&str> = text.lines().filter(|line| line.contains("attested ")).collect();
    assert_eq!(attested.len(), 3, "{text}");
    assert!(attested[0].ends_with(": unchanged") && attested[2].ends_with(": signature"), "{text}");
    let output = verify();
    assert_eq!(output.status.code(), Some(0), "{}", site.told(&output));
    // For a tag, cosign looks for the index's signature.
    keys.verify(&["verify"], "own", &format!("{image}:latest")).unwrap();
    keys.verify(&["verify-attestation", "--type=cyclonedx"], "own", &format!("{image}:latest-arm64"))
        .unwrap();
}
