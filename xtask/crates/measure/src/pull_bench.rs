//! A registry on loopback with the images of one subject, and an engine that has none of their layers: what pulls are measured
//! between. All of it goes with the value.

use host::wait;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::rate::Rate;
use crate::relay::Relay;
use crate::session::{Session, remove_folder};
use engine::context::Context;
use engine::programs;
use engine::side_engine::SideEngine;
use host::process::{Background, tail};
use host::{files, ports};
use model::probe::{Body, HttpRequest, Method};
use stack::http::Client;

/// Debian's package and its program.
pub const REGISTRY: &str = "docker-registry";
/// Between two checks whether the registry answers, and how long they go on.
const PAUSE: Duration = Duration::from_millis(50);
const DEADLINE: Duration = Duration::from_secs(60);
/// Longest wait for one answer of its.
const PATIENCE: Duration = Duration::from_secs(5);

/// See above. Fields go in this order: the engine before what it pulls from, processes before their folders.
#[derive(Debug)]
pub struct Depot {
    engine: SideEngine,
    relay: Relay,
    #[allow(dead_code, reason = "it ends with this value")]
    registry: Background,
    #[allow(dead_code, reason = "they go with this value")]
    folders: [Folder; 3],
}

/// What a pull took.
#[derive(Debug, Clone, Copy)]
pub struct Pulled {
    /// Bytes that the registry sent.
    pub bytes: u64,
    /// From the call of docker to its last word; of several images one after the other.
    pub took: Duration,
}

#[derive(Debug)]
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays goes with the session.
        remove_folder(&self.0).ok();
    }
}

impl Depot {
    /// With these images, by ID and by the name that they have in the registry.
    ///
    /// # Errors
    /// When a process does not come up, or an image cannot be pushed.
    pub fn open(images: &[(String, String)], session: &Session, context: &Context) -> Result<Depot> {
        let program = programs::borrow(REGISTRY, context)?;
        let place = session.side_engine()?;
        let folders = [session.folder("registry"), place.data.clone(), place.sockets.clone()].map(Folder);
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
        let answers = || {
            let ask = HttpRequest {
                method: Method::Get,
                path: "/v2/".into(),
                headers: Default::default(),
                body: Body::Empty,
            };
            Client::new().send(&format!("127.0.0.1:{port}"), &ask, PATIENCE).is_ok()
        };
        let answered = wait::poll(PAUSE, DEADLINE, &runner.interrupt, || {
            let answers = answers();
            Ok((answers || registry.is_over()).then_some(answers))
        })?;
        if answered != Some(true) {
            bail!("{REGISTRY} does not answer; its log ends in:\n{}", tail(&files::read(&log)?, 8));
        }
        for (id, name) in images {
            push(id, &format!("127.0.0.1:{port}/{name}"), session, context)?;
        }
        let engine = SideEngine::start(&context.docker, &place)?;
        let relay = Relay::start(port)?;
        Ok(Depot { engine, relay, registry, folders })
    }

    /// Pulls images one after the other into the empty engine, and empties it again.
    ///
    /// # Errors
    /// What docker says, or when the person interrupts.
    pub fn pull(&self, names: &[String], rate: Option<Rate>) -> Result<Pulled> {
        self.relay.limit(rate);
        let before = self.relay.received();
        let mut took = Duration::ZERO;
        for name in names {
            took += self.engine.pull(&format!("{}/{name}", self.relay.address()))?;
        }
        let bytes = self.relay.received() - before;
        self.engine.clear()?;
        Ok(Pulled { bytes, took })
    }
}

/// The tag under which it is pushed goes at once: an image that is replaced meanwhile would be kept by it.
fn push(id: &str, tag: &str, session: &Session, context: &Context) -> Result<()> {
    context.terminal.say(format!("  push {tag} …"));
    session.tag(id, tag)?;
    context.docker.cmd(["push", "--quiet", tag]).read_streamed()?;
    context.docker.remove(&[tag.to_owned()])
}
