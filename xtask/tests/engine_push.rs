//! Pushing to a real registry: Debian's `docker-registry`, in a container of the test's own on loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on should stop")]

mod support;

use std::process::Command;

use support::{Site, docker};

struct Registry {
    id: String,
    address: String,
}

impl Registry {
    /// Built as any image of a site is: the network of the engine is what the builds have.
    fn start(site: &Site) -> Registry {
        site.folder.write(
            "beta/Dockerfile.optimized",
            "FROM debian:trixie-slim\nRUN apt-get update && apt-get install -y --no-install-recommends docker-registry && \
             rm -rf /var/lib/apt/lists/*\nRUN printf 'version: 0.1\\nstorage: {filesystem: {rootdirectory: /registry}}\\n\
             http: {addr: \":5000\"}\\n' > /config.yml\nCMD [\"docker-registry\", \"serve\", \"/config.yml\"]\n",
        );
        let built = site.run(&["build-images", "beta"]);
        assert_eq!(built.status.code(), Some(0), "{}", site.told(&built));
        let image = format!("{}-beta:latest-simple-optimized", site.prefix);
        let id = docker(&["run", "--detach", "--publish=127.0.0.1::5000", &image]);
        let address = docker(&["port", &id, "5000/tcp"]).lines().next().unwrap().to_owned();
        let registry = Registry { id, address };
        let up = (0..600).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(50));
            registry.answers()
        });
        assert!(up, "no registry: {}", docker(&["logs", &registry.id]));
        registry
    }

    /// Docker's proxy accepts connections before the registry does.
    fn answers(&self) -> bool {
        use std::io::{Read, Write};
        let Ok(mut stream) = std::net::TcpStream::connect(&self.address) else { return false };
        let asked = write!(stream, "GET /v2/ HTTP/1.0\r\n\r\n");
        let mut answer = String::new();
        asked.is_ok() && stream.read_to_string(&mut answer).is_ok() && answer.contains(" 200 ")
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        Command::new("docker").args(["rm", "--force", &self.id]).output().ok();
    }
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn what_is_built_is_pushed_and_its_digest_is_printed() {
    let site = Site::new("push");
    let registry = Registry::start(&site);
    let team = format!("{}/team", registry.address);
    let output = site.run(&["build-images", "alpha", "--tag", "2.0", "--push", "--registry", &team]);
    let text = site.told(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let there = format!("{team}/{}-alpha", site.prefix);
    let line = text
        .lines()
        .find(|line| line.starts_with(&format!("pushed {there}:2.0-simple-optimized")))
        .expect(&text);
    let pinned = line.split_whitespace().last().unwrap();
    assert!(pinned.starts_with(&format!("{there}@sha256:")), "{line}");
    // The registry itself knows the image under the digest that was printed.
    docker(&["image", "rm", &format!("{there}:2.0-simple-optimized"), &format!("{there}:2.0-optimized")]);
    docker(&["pull", "--quiet", pinned]);
    docker(&["image", "rm", pinned]);
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn a_registry_that_does_not_answer_is_the_environments_fault() {
    let site = Site::new("deaf");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = site.run(&["build-images", "alpha", "--push", "--registry", &closed.to_string()]);
    let text = site.told(&output);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("connection refused") && text.contains("remedy:"), "{text}");
    assert_eq!(site.tag_names().len(), 2, "what was built stays built");
}
