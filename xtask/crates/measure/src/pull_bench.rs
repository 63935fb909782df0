//! A loopback registry with the images of one subject, and an empty second engine to pull them into.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::health;
use crate::relay::Relay;
use crate::session::{Session, remove_folder};
use engine::context::Context;
use engine::programs;
use engine::side_engine::SideEngine;
use host::process::{Background, tail};
use host::{files, ports};
use stack::http::Client;

/// Debian's package and its program.
const REGISTRY: &str = "docker-registry";
const PAUSE: Duration = Duration::from_millis(50);
/// How often to check whether the registry answers: for a minute.
const TRIES: u32 = 1200;
/// For one answer of the registry.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Removes all of it when dropped. Fields drop in this order: the engine before its source, processes before their folders.
#[derive(Debug)]
pub(crate) struct PullBench {
    engine: SideEngine,
    relay: Relay,
    #[allow(dead_code, reason = "stops when dropped")]
    registry: Background,
    #[allow(dead_code, reason = "removed when dropped")]
    folders: [TemporaryFolder; 3],
}

/// The cost of a pull.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PullCost {
    /// Bytes that the registry sent.
    pub bytes: u64,
    /// Time of `docker pull`; several images are pulled one after another.
    pub took: Duration,
}

#[derive(Debug)]
struct TemporaryFolder(PathBuf);

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        // The session removes what remains.
        remove_folder(&self.0).ok();
    }
}

impl PullBench {
    /// Starts it with these images: ID and repository name.
    pub fn open(images: &[(String, String)], session: &Session, context: &Context) -> Result<PullBench> {
        let program = programs::borrow(REGISTRY, context)?;
        let place = session.side_engine()?;
        let folders =
            [session.folder("registry"), place.data.clone(), place.sockets.clone()].map(TemporaryFolder);
        let port = ports::free(1)?.first().copied().context("no port is free on loopback")?;
        files::create_dir(&folders[0].0)?;
        let (configuration, log) = (folders[0].0.join("config.yml"), folders[0].0.join("log"));
        // Quoted as JSON, which is YAML.
        let data = serde_json::Value::from(folders[0].0.join("data").display().to_string());
        let text = format!(
            "version: 0.1\nlog: {{level: warn}}\nstorage: {{filesystem: {{rootdirectory: {data}}}}}\n\
             http: {{addr: '127.0.0.1:{port}'}}\n"
        );
        files::write_atomically(&configuration, text.as_bytes())?;
        let runner = &context.docker.runner;
        let serve = ["serve".to_owned(), configuration.display().to_string()];
        let registry = runner.cmd(program.display().to_string()).args(serve).background(&log)?;
        let answers =
            || Client::new().send(&format!("127.0.0.1:{port}"), &health::get("/v2/"), TIMEOUT).is_ok();
        let mut tries = 0;
        while !answers() {
            tries += 1;
            if tries == TRIES || registry.is_over() {
                bail!("{REGISTRY} does not answer; the end of its log:\n{}", tail(&files::read(&log)?, 8));
            }
            std::thread::sleep(PAUSE);
        }
        for (id, name) in images {
            push(id, &format!("127.0.0.1:{port}/{name}"), session, context)?;
        }
        let engine = SideEngine::start(&context.docker, &place)?;
        let relay = Relay::start(port)?;
        Ok(PullBench { engine, relay, registry, folders })
    }

    /// Pulls images one after another into the empty engine, then empties it.
    pub fn pull(&self, names: &[String]) -> Result<PullCost> {
        let before = self.relay.received();
        let mut took = Duration::ZERO;
        for name in names {
            took += self.engine.pull(&format!("{}/{name}", self.relay.address()))?;
        }
        let bytes = self.relay.received() - before;
        self.engine.clear()?;
        Ok(PullCost { bytes, took })
    }
}

/// Removes the pushed tag at once: it would keep an image that is replaced meanwhile.
fn push(id: &str, tag: &str, session: &Session, context: &Context) -> Result<()> {
    context.terminal.say(format!("  push {tag} …"));
    session.tag(id, tag)?;
    context.docker.cmd(["push", "--quiet", tag]).long().read()?;
    context.docker.remove(&[tag.to_owned()])
}
