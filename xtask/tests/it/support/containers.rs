//! Containers of the images that `ci` built, under the constraints of production.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use host::paths::Repository;
use model::edition::Edition;
use model::image_ref::Tag;
use model::manifest::{Manifest, Service};
use model::reader;
use model::variant::Variant;

/// The repository that holds these tests.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Runs docker.
pub fn docker(args: &[&str]) -> Output {
    Command::new("docker").args(args).output().unwrap()
}

/// What docker printed; a failure fails the test.
pub fn said(args: &[&str]) -> String {
    let output = docker(args);
    assert!(output.status.success(), "docker {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// This repository's manifest.
pub fn the_manifest() -> Manifest {
    reader::load(&Repository::locate(Some(&root())).unwrap()).unwrap()
}

/// The image that `ci` built.
pub fn image(service: &Service, edition: Edition, variant: Variant) -> String {
    let tag: Tag = "latest".parse().unwrap();
    service.reference(&tag, edition, variant).to_string()
}

/// The variants of a service that a plain `ci` builds.
pub fn variants_of(service: &Service) -> &'static [Variant] {
    if service.large_original { &[Variant::Optimized] } else { &Variant::ALL }
}

/// A container under the constraints of production, removed at the end.
pub struct Running {
    /// The container's.
    pub id: String,
    volumes: Vec<String>,
}

impl Running {
    /// Starts the image of a service.
    pub fn start(service: &Service, edition: Edition, variant: Variant) -> Running {
        let name = format!("xt-{}-{edition}-{variant}-{}", service.name, std::process::id());
        let mut args = vec![
            "run".to_owned(),
            "--detach".into(),
            "--read-only".into(),
            "--cap-drop=ALL".into(),
            "--security-opt=no-new-privileges".into(),
            format!("--publish=127.0.0.1::{}", service.port.unwrap()),
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
        args.push(image(service, edition, variant));
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        Running { id: said(&args), volumes }
    }

    /// `docker inspect` with a template.
    pub fn inspect(&self, format: &str) -> String {
        said(&["inspect", "--format", format, &self.id])
    }

    /// Both streams of its log.
    pub fn logs(&self) -> String {
        let output = docker(&["logs", &self.id]);
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    }

    /// Waits until docker's own health check says yes; a container that ends or turns unhealthy fails the test.
    pub fn wait_until_healthy(&self) {
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
    pub fn get(&self, service: &Service, path: &str) -> (u16, String) {
        let address = said(&["port", &self.id, &format!("{}/tcp", service.port.unwrap())]);
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
