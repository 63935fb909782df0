//! A private CA reaches builds and stays out of images: with a CA and a server of the test's own.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on should stop")]

mod support;

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use support::{Folder, repository, told};

fn openssl(folder: &Folder, args: &[&str]) {
    let output = Command::new("openssl").args(args).current_dir(&folder.0).output().unwrap();
    assert!(output.status.success(), "openssl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A CA of the test's own: `NAME.crt` and `NAME.key`.
fn authority(folder: &Folder, name: &str, subject: &str) {
    let (key, certificate) = (format!("{name}.key"), format!("{name}.crt"));
    let files = ["-keyout", key.as_str(), "-out", certificate.as_str()];
    let request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", subject];
    openssl(folder, &[request.as_slice(), files.as_slice()].concat());
}

/// A web server whose certificate only the test's CA vouches for.
struct Server {
    process: Child,
    folder: Folder,
    url: String,
}

impl Server {
    fn start() -> Server {
        let folder = Folder::new();
        let format = "{{(index .IPAM.Config 0).Gateway}}";
        let bridge = Command::new("docker")
            .args(["network", "inspect", "bridge", "--format", format])
            .output()
            .unwrap();
        let address = String::from_utf8(bridge.stdout).unwrap().trim().to_owned();
        let port = TcpListener::bind((address.as_str(), 0)).unwrap().local_addr().unwrap().port();
        authority(&folder, "ca", "/CN=the test's own CA");
        openssl(
            &folder,
            &[
                "req",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-keyout",
                "server.key",
                "-out",
                "server.csr",
                "-subj",
                "/CN=server",
            ],
        );
        folder.write("extensions", &format!("subjectAltName=IP:{address}\n"));
        openssl(
            &folder,
            &[
                "x509",
                "-req",
                "-in",
                "server.csr",
                "-CA",
                "ca.crt",
                "-CAkey",
                "ca.key",
                "-CAcreateserial",
                "-out",
                "server.crt",
                "-days",
                "30",
                "-extfile",
                "extensions",
            ],
        );
        let body = "it came through the private CA\n";
        let head = format!("HTTP/1.0 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        folder.write("hello", &(head + body));
        let process = Command::new("openssl")
            .args([
                "s_server",
                "-accept",
                &format!("{address}:{port}"),
                "-cert",
                "server.crt",
                "-key",
                "server.key",
                "-HTTP",
                "-quiet",
            ])
            .current_dir(&folder.0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Server { process, folder, url: format!("https://{address}:{port}/hello") }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

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
    let saved = Command::new("docker").args(["save", &image]).output().unwrap().stdout;
    let holds = |text: &[u8]| saved.windows(text.len()).any(|window| window == text);
    assert!(holds(b"it came through the private CA"), "the image lacks what was downloaded");
    let certificate = server.folder.read("ca.crt");
    let body = certificate.lines().nth(3).unwrap();
    assert!(!holds(body.as_bytes()), "a layer holds the private CA");
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
    let site = support::Site::new("proxy");
    let proxy = "http://someone:a-password@proxy.invalid:3128";
    site.folder.write(
        "alpha/Dockerfile.optimized",
        "FROM debian:trixie-slim\nRUN case \"$HTTPS_PROXY\" in http://someone:?*@proxy.invalid:3128) ;; *) exit 9 ;; esac\n",
    );
    let output = site.command(&["build-images", "alpha"]).env("HTTPS_PROXY", proxy).output().unwrap();
    let text = site.told(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let image = format!("{}-alpha:latest-simple-optimized", site.prefix);
    let saved = Command::new("docker").args(["save", &image]).output().unwrap().stdout;
    assert!(saved.len() > 1_000_000, "the image was not saved");
    let password = b"a-password";
    assert!(
        !saved.windows(password.len()).any(|window| window == password),
        "the image holds the proxy's password"
    );
    assert!(
        !text.contains("a-password") && !site.folder.read("target/xtask/bake.json").contains("a-password"),
        "it was written"
    );
}
