//! A private CA reaches builds and stays out of images: with a CA and a server of the test's own.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::trust::{Saved, Server, authority};
use crate::support::{Folder, repository, told};

fn build(repository: &Folder, bundle: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["build-images", "alpha", "--tag", "latest", "--edition", "simple", "--no-cache", "--root"])
        .arg(&repository.0)
        .env("SSL_CERT_FILE", bundle)
        .output()
        .unwrap()
}

/// Every path in an image's root file system.
fn files(image: &str) -> Vec<String> {
    let run = |args: &[&str]| Command::new("docker").args(args).output().unwrap().stdout;
    let container = String::from_utf8(run(&["create", image, "true"])).unwrap();
    let exported = run(&["export", container.trim()]);
    run(&["rm", container.trim()]);
    let mut archive = tar::Archive::new(exported.as_slice());
    archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect()
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn a_private_ca_reaches_the_build_and_no_layer_holds_it() {
    let _turn = crate::support::turn::take(module_path!());
    let server = Server::start();
    let prefix = format!("xt-trust-{}", std::process::id());
    let repository = repository(&prefix);
    let state = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/xtask");
    for name in ["bases.json", "bootstrap/trixie/rootfs.tar"] {
        if let Ok(bytes) = std::fs::read(state.join(name)) {
            let there = repository.0.join("target/xtask").join(name);
            std::fs::create_dir_all(there.parent().unwrap()).unwrap();
            std::fs::write(there, bytes).unwrap();
        }
    }
    // apt's own downloader, as packages from an https mirror would come.
    let target = "/etc/ssl/certs/ca-certificates.crt";
    repository.write(
        "alpha/Dockerfile.optimized",
        &format!(
            "FROM debian:trixie-slim\nRUN --mount=type=secret,id=ca,target={target} \\\n    \
             /usr/lib/apt/apt-helper -o Acquire::Retries=0 -o Acquire::https::CaInfo={target} download-file {} /hello\n",
            server.url
        ),
    );
    let (key, stranger) = (server.folder.0.join("ca.crt"), server.folder.0.join("stranger.crt"));
    authority(&server.folder, "stranger", "/CN=a stranger");

    let refused = build(&repository, &stranger);
    let text = told(&refused, &repository);
    assert_eq!(refused.status.code(), Some(3), "{text}");
    assert!(text.contains("cause:  certificate") && text.contains("SSL_CERT_FILE"), "{text}");

    let built = build(&repository, &key);
    assert_eq!(built.status.code(), Some(0), "{}", told(&built, &repository));

    let image = format!("{prefix}-alpha:latest-simple-optimized");
    let saved = Saved::of(&image);
    assert!(saved.holds(Server::BODY), "the image lacks what was downloaded");
    let certificate = server.folder.read("ca.crt");
    let body = certificate.lines().nth(3).unwrap();
    assert!(!saved.holds(body), "a layer holds the private CA");
    assert!(
        !files(&image).iter().any(|path| path.ends_with("ca-certificates.crt")),
        "a stub of the bundle is left"
    );
    let tags = [image, format!("{prefix}-alpha:latest-optimized")];
    Command::new("docker").args(["image", "rm", "--force"]).args(tags).output().ok();
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn a_proxy_reaches_the_build_and_its_password_stays_out_of_the_image() {
    let _turn = crate::support::turn::take(module_path!());
    let site = crate::support::Site::new("proxy");
    let proxy = "http://someone:a-password@proxy.invalid:3128";
    site.folder.write(
        "alpha/Dockerfile.optimized",
        "FROM debian:trixie-slim\nRUN case \"$HTTPS_PROXY\" in http://someone:?*@proxy.invalid:3128) ;; *) exit 9 ;; esac\n",
    );
    let output = site.command(&["build-images", "alpha"]).env("HTTPS_PROXY", proxy).output().unwrap();
    let text = site.told(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let image = format!("{}-alpha:latest-simple-optimized", site.prefix);
    let saved = Saved::of(&image);
    assert!(saved.holds("debian"), "the image was not saved");
    assert!(!saved.holds("a-password"), "the image holds the proxy's password");
    assert!(
        !text.contains("a-password") && !site.folder.read("target/xtask/bake.json").contains("a-password"),
        "it was written"
    );
}
