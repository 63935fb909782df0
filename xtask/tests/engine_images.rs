//! The images that this repository built keep the contract of their services, whichever variant: read from the manifest,
//! so that a new service is tested as soon as it is declared.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on should stop")]

use std::path::Path;
use std::process::{Command, Output};

use xtask::capabilities::manifest;
use xtask::domain::edition::Edition;
use xtask::domain::image_ref::{ImageRef, Tag};
use xtask::domain::manifest::{Manifest, Service};
use xtask::domain::variant::Variant;
use xtask::system::paths::Repository;

fn docker(args: &[&str]) -> Output {
    Command::new("docker").args(args).output().unwrap()
}

fn said(args: &[&str]) -> String {
    let output = docker(args);
    assert!(output.status.success(), "docker {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn the_manifest() -> Manifest {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    manifest::load(&Repository::locate(Some(&root)).unwrap()).unwrap()
}

fn image(service: &Service, variant: Variant) -> String {
    let tag: Tag = "latest".parse().unwrap();
    ImageRef::of(&service.image, &tag, Edition::Simple, variant).to_string()
}

/// A container under the constraints of production, removed at the end.
struct Running {
    id: String,
    volumes: Vec<String>,
}

impl Running {
    fn start(service: &Service, variant: Variant) -> Running {
        let name = format!("xt-{}-{variant}-{}", service.name, std::process::id());
        let mut args = vec![
            "run".to_owned(),
            "--detach".into(),
            "--read-only".into(),
            "--cap-drop=ALL".into(),
            "--security-opt=no-new-privileges".into(),
            format!("--publish=127.0.0.1::{}", service.port),
            format!("--name={name}"),
            // The image's own check, only more often.
            "--health-interval=1s".into(),
            "--health-start-period=60s".into(),
        ];
        let mut volumes = Vec::new();
        args.extend(service.run.env.iter().map(|(key, value)| format!("--env={key}={value}")));
        args.extend(service.run.tmpfs.iter().map(|path| format!("--tmpfs={path}")));
        for (index, path) in service.run.volumes.iter().enumerate() {
            let volume = format!("{name}-{index}");
            args.push(format!("--volume={volume}:{path}"));
            volumes.push(volume);
        }
        args.push(image(service, variant));
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        Running { id: said(&args), volumes }
    }

    fn inspect(&self, format: &str) -> String {
        said(&["inspect", "--format", format, &self.id])
    }

    fn logs(&self) -> String {
        let output = docker(&["logs", &self.id]);
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    }

    /// Waits until docker's own health check says yes; a container that ends or turns unhealthy fails the test.
    fn wait_until_healthy(&self) {
        loop {
            let state = self.inspect("{{.State.Status}} {{.State.Health.Status}}");
            match state.as_str() {
                "running healthy" => return,
                "running starting" => std::thread::sleep(std::time::Duration::from_millis(100)),
                other => panic!("{other}\n{}\n{}", self.inspect("{{json .State.Health.Log}}"), self.logs()),
            }
        }
    }

    /// `GET PATH` on the published port: status and body. Docker's forwarding may come up a moment after the container,
    /// whose own check knows nothing of it; so a connection that breaks is tried again.
    fn get(&self, service: &Service, path: &str) -> (u16, String) {
        let address = said(&["port", &self.id, &format!("{}/tcp", service.port)]);
        let address = address.lines().next().unwrap();
        let mut answer = ask(address, path);
        for _ in 0..40 {
            if answer.is_ok() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(250));
            answer = ask(address, path);
        }
        let answer = answer.unwrap_or_else(|error| panic!("{address}{path}: {error}\n{}", self.logs()));
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        // A chunked body is one chunk here; what counts is the JSON in it.
        let json = body.find('{').map_or("", |start| &body[start..=body.rfind('}').unwrap()]);
        (status, json.to_owned())
    }
}

/// One request; an answer that is no HTTP counts as a broken connection.
fn ask(address: &str, path: &str) -> std::io::Result<String> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address)?;
    stream.write_all(
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes(),
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if answer.starts_with("HTTP/") { Ok(answer) } else { Err(std::io::ErrorKind::UnexpectedEof.into()) }
}

impl Drop for Running {
    fn drop(&mut self) {
        docker(&["rm", "--force", &self.id]);
        for volume in &self.volumes {
            docker(&["volume", "rm", volume]);
        }
    }
}

fn keeps_the_contract(service: &Service, variant: Variant) {
    let running = Running::start(service, variant);
    running.wait_until_healthy();
    let (status, body) = running.get(service, "/health");
    let health: serde_json::Value = serde_json::from_str(&body).unwrap_or_else(|_| panic!("no JSON: {body}"));
    assert_eq!(status, 200);
    assert_eq!(health["status"], "ok");
    assert_eq!(health["service"], service.name.as_str());
    assert_eq!(health["edition"], "simple");
    assert_eq!(health["version"], the_manifest().version.as_str());
    let (status, body) = running.get(service, "/v1/there-is-no-such-path.json");
    let error: serde_json::Value = serde_json::from_str(&body).unwrap_or(serde_json::Value::Null);
    // A page server answers unknown page routes with its page; whoever answers with an error has the error's shape.
    assert!(status == 200 || error["error"]["code"].is_string(), "{status} {body}");

    assert_eq!(running.inspect("{{.Config.User}}").split(':').next(), Some("65532"));
    let label = |name: &str| {
        said(&[
            "image",
            "inspect",
            "--format",
            &format!("{{{{index .Config.Labels \"{name}\"}}}}"),
            &image(service, variant),
        ])
    };
    assert_eq!(label("sutra.images.variant"), variant.name());
    assert_eq!(label("sutra.images.edition"), "simple");
    assert_eq!(label("org.opencontainers.image.version"), the_manifest().version);
    let revision = label("org.opencontainers.image.revision");
    let commit = revision.trim_end_matches("-dirty");
    assert!(commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit()), "{revision}");

    // 137 would be the kill that docker sends when the ten seconds are over.
    said(&["stop", "--time=10", &running.id]);
    assert_eq!(running.inspect("{{.State.ExitCode}}"), "0", "{}", running.logs());
    for line in String::from_utf8_lossy(&docker(&["logs", &running.id]).stdout).lines() {
        assert!(
            serde_json::from_str::<serde_json::Value>(line).is_ok_and(|log| log.is_object()),
            "no JSON log line: {line}"
        );
    }
}

#[test]
#[ignore = "needs built images: cargo xtask ci"]
fn every_image_keeps_its_services_contract() {
    let manifest = the_manifest();
    assert!(manifest.services.len() >= 3);
    for service in &manifest.services {
        for variant in Variant::ALL {
            println!("{} {variant}", service.name);
            keeps_the_contract(service, variant);
        }
    }
}

#[test]
#[ignore = "needs built images: cargo xtask ci"]
fn python_images_answer_the_guides_commands() {
    let mut asked = 0;
    for service in &the_manifest().services {
        let text =
            std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(&service.original))
                .unwrap();
        if !text.contains("FROM python:") {
            continue;
        }
        for variant in Variant::ALL {
            asked += 1;
            let image = image(service, variant);
            assert!(said(&["run", "--rm", &image, "python", "--version"]).starts_with("Python 3.13"));
            assert!(said(&["run", "--rm", &image, "pip", "list"]).to_lowercase().contains("fastapi"));
        }
    }
    assert!(asked > 0, "no Python image was found");
}
