//! Sets tags on manifests that are already in a registry: either all tags or none.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};

use crate::push::report::{PushFailure, PushReport, PushRow, PushState};
use crate::request::ServiceImage;
use engine::context::Context;
use engine::registry_client::{RegistryClient, media_type_of};
use engine::remote_image::digest_of;
use host::failure::{Failure, FailureClass, class_of};
use host::interrupt::Interrupt;
use host::process::Runner;
use model::image_ref::{ImageRef, Registry};

const NOT_RESTORED: &str = "not all tags could be set back";
const CHECK: &str = "check the registry, then push again";

/// A tag, and the manifest or index to set it on.
#[derive(Debug, Clone)]
pub(crate) struct RemoteMove {
    pub reference: ImageRef,
    pub service_image: ServiceImage,
    /// The image's ID; `None` for an index.
    pub id: Option<String>,
    /// The manifest's bytes.
    pub bytes: Vec<u8>,
    /// The digests of an index's images by platform.
    pub platforms: BTreeMap<String, String>,
    /// Whether an existing tag is left unchanged, as with fingerprint tags.
    pub is_fixed: bool,
}

/// A tag whose current manifest is known.
struct Planned<'m> {
    wanted: &'m RemoteMove,
    digest: String,
    client: RegistryClient,
    /// The manifest that the tag refers to before the push.
    before: Option<Vec<u8>>,
}

impl RemoteMove {
    fn row(&self, state: PushState) -> PushRow {
        PushRow {
            reference: self.reference.clone(),
            service_image: self.service_image.clone(),
            image: self.id.clone(),
            platforms: self.platforms.clone(),
            digest: None,
            state,
            replaced: None,
            tries: 1,
            layers_sent: 0,
            failure: None,
            is_built: self.is_fixed,
        }
    }
}

/// Reads the manifest with this digest, which a builder has pushed.
///
/// # Errors
/// When the registry does not have it, or does not answer.
pub(crate) fn pushed_manifest(tag: &ImageRef, digest: &str, context: &Context) -> Result<Vec<u8>> {
    let client = RegistryClient::new(tag.to_string().parse()?, &context.docker.runner);
    match client.find_manifest(digest)? {
        Some(bytes) => Ok(bytes),
        None => bail!(
            "the builder pushed {}@{digest}, but the registry does not have it\nhelp: use an address that refers to the same \
             registry on this machine and on the builder's machine",
            tag.repository()
        ),
    }
}

/// Sets the tags. If the registry rejects one, all are set back, and the report says so.
///
/// # Errors
/// When the registry does not answer before any tag is set, or the user interrupts: then all tags are set back.
pub(crate) fn all_or_none(
    moves: &[RemoteMove],
    registry: &Registry,
    context: &Context,
) -> Result<PushReport> {
    let planned = moves.iter().map(|one| plan(one, context)).collect::<Result<Vec<Planned<'_>>>>()?;
    context.docker.runner.interrupt.check()?;
    let mut rows: Vec<PushRow> = Vec::new();
    for (index, one) in planned.iter().enumerate() {
        match one.set() {
            Ok(row) => rows.push(row),
            Err(error) => {
                // The registry may have set the last tag although its response was lost.
                let restored = restore(&planned[..=index], context);
                if context.docker.runner.interrupt.is_set() {
                    return Err(interrupted(restored).into());
                }
                let mut failed = one.wanted.row(PushState::Failed);
                failed.failure = Some(failure(&error, restored));
                let others = |planned: &[Planned<'_>]| -> Vec<PushRow> {
                    planned.iter().map(|one| one.wanted.row(PushState::NotTried)).collect()
                };
                rows = [others(&planned[..index]), vec![failed], others(&planned[index + 1..])].concat();
                break;
            }
        }
    }
    Ok(PushReport { schema: 1, registry: registry.to_string(), images: rows, unrecorded: None })
}

fn plan<'m>(wanted: &'m RemoteMove, context: &Context) -> Result<Planned<'m>> {
    let name = wanted.reference.to_string();
    let client = RegistryClient::new(name.parse()?, &context.docker.runner);
    let before =
        client.find_manifest(wanted.reference.tag()).with_context(|| format!("cannot look up {name}"))?;
    Ok(Planned { wanted, digest: digest_of(&wanted.bytes), client, before })
}

/// Restores tags, even after an interrupt. If one cannot be restored, the others still are.
fn restore(planned: &[Planned<'_>], context: &Context) -> Result<()> {
    let runner = Runner { interrupt: Interrupt::default(), ..context.docker.runner.clone() };
    let results: Vec<Result<()>> = planned.iter().rev().map(|one| one.restore(&runner)).collect();
    results.into_iter().collect()
}

fn interrupted(restored: Result<()>) -> Failure {
    match restored {
        Ok(()) => Failure::interrupted(),
        Err(error) => {
            Failure::new(FailureClass::Interrupted, format!("interrupted; {NOT_RESTORED}: {error:#}"), CHECK)
        }
    }
}

/// Why a tag was not set. `restored`: whether all tags were set back.
fn failure(error: &anyhow::Error, restored: Result<()>) -> PushFailure {
    let text = format!("{error:#}");
    let (what, help) = text.split_once("\nhelp: ").unwrap_or((&text, ""));
    let (after, remedy) = match restored {
        Ok(()) => ("no tag was changed".to_owned(), help),
        Err(error) => (format!("{NOT_RESTORED}: {error:#}"), CHECK),
    };
    let remedy =
        if remedy.is_empty() { "check the registry and the account, then push again" } else { remedy };
    PushFailure {
        message: format!("{what}; {after}"),
        remedy: remedy.to_owned(),
        environment: class_of(error).is_environment(),
    }
}

impl Planned<'_> {
    fn replaced(&self) -> Option<String> {
        self.before.as_deref().map(digest_of).filter(|before| *before != self.digest)
    }

    fn is_unchanged(&self) -> bool {
        self.before.as_deref().map(digest_of).as_ref() == Some(&self.digest)
    }

    fn set(&self) -> Result<PushRow> {
        if let (true, Some(before)) = (self.wanted.is_fixed, &self.before) {
            return Ok(PushRow { digest: Some(digest_of(before)), ..self.wanted.row(PushState::Unchanged) });
        }
        let replaced = self.replaced();
        let state = match (self.is_unchanged(), &replaced) {
            (true, _) => PushState::Unchanged,
            (false, Some(_)) => PushState::Replaced,
            (false, None) => PushState::Pushed,
        };
        if state != PushState::Unchanged {
            put(&self.client, &self.wanted.reference, &self.wanted.bytes)?;
        }
        Ok(PushRow { digest: Some(self.digest.clone()), replaced, ..self.wanted.row(state) })
    }

    /// Restores the tag if it still refers to what [`Planned::set`] stored. Removes a new tag.
    fn restore(&self, runner: &Runner) -> Result<()> {
        let reference = &self.wanted.reference;
        if self.before.is_some() && (self.wanted.is_fixed || self.is_unchanged()) {
            return Ok(());
        }
        let restored = || {
            let client = RegistryClient::new(reference.to_string().parse()?, runner);
            let now = client.find_manifest(reference.tag())?;
            if now.as_deref().map(digest_of).as_ref() != Some(&self.digest) {
                return Ok(());
            }
            match &self.before {
                Some(before) => put(&client, reference, before),
                None => client.delete_manifest(reference.tag()),
            }
        };
        restored().with_context(|| reference.to_string())
    }
}

fn put(client: &RegistryClient, reference: &ImageRef, manifest: &[u8]) -> Result<()> {
    client.put_manifest(reference.tag(), &media_type_of(manifest)?, manifest).map(drop)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::net::TcpListener;
    use std::sync::{Arc, Mutex};
    use std::thread;

    use super::*;
    use engine::docker::Docker;
    use host::paths::Repository;
    use host::terminal::{Color, Terminal, Verbosity};
    use model::edition::Edition;
    use model::variant::Variant;

    const REFUSED: &[u8] = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    const OLD: &str = r#"{"old":"b"}"#;
    const A: &str = "/v2/t/a/manifests/1";
    const C: &str = "/v2/t/c/manifests/1";

    /// Manifests by path.
    type Manifests = BTreeMap<String, String>;

    /// Starts a registry and returns its address. `accepts`: whether it stores what is put at a path; called before it answers.
    fn registry(
        stored: Arc<Mutex<Manifests>>,
        accepts: impl Fn(&mut Manifests, &str, &str) -> bool + Send + 'static,
    ) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        thread::spawn(move || {
            for connection in listener.incoming() {
                let mut connection = BufReader::new(connection.unwrap());
                let (mut line, mut length) = (String::new(), 0);
                // The client tries HTTPS first.
                if connection.read_line(&mut line).is_err() {
                    continue;
                }
                let first = line.clone();
                while !line.trim().is_empty() {
                    line.clear();
                    connection.read_line(&mut line).unwrap();
                    if let Some(text) = line.to_lowercase().strip_prefix("content-length:") {
                        length = text.trim().parse().unwrap();
                    }
                    if line.to_lowercase().starts_with("expect:") {
                        connection.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
                    }
                }
                let Some((method, path)) = first.trim().split_once(' ') else { continue };
                let path = path.split(' ').next().unwrap().to_owned();
                let mut body = vec![0; length];
                connection.read_exact(&mut body).unwrap();
                let mut stored = stored.lock().unwrap();
                let (status, answer) = match method {
                    "GET" => match stored.get(&path) {
                        Some(found) => ("200 OK", found.clone()),
                        None => ("404 Not Found", String::new()),
                    },
                    "PUT" => {
                        let text = String::from_utf8(body).unwrap();
                        if !accepts(&mut stored, &path, &text) {
                            connection.get_mut().write_all(REFUSED).ok();
                            continue;
                        }
                        let (repository, _) = path.rsplit_once('/').unwrap();
                        stored.insert(format!("{repository}/{}", digest_of(text.as_bytes())), text.clone());
                        stored.insert(path, text);
                        ("201 Created", String::new())
                    }
                    _ => {
                        stored.remove(&path);
                        ("202 Accepted", String::new())
                    }
                };
                let length = answer.len();
                let head =
                    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
                connection.get_mut().write_all((head + &answer).as_bytes()).ok();
            }
        });
        address
    }

    fn context(folder: &std::path::Path, interrupt: Interrupt) -> Context {
        std::fs::write(folder.join("images.toml"), "schema = 2\n").unwrap();
        Context {
            repository: Repository::locate(Some(folder)).unwrap(),
            docker: Docker::new(Runner { interrupt, ..Runner::default() }),
            terminal: Terminal::detect(Color::Never, Verbosity::Quiet, &Interrupt::default()),
            with_engine: false,
        }
    }

    fn wanted(address: &str, name: &str) -> RemoteMove {
        let service_image = ServiceImage {
            service: name.into(),
            edition: Edition::named("simple"),
            variant: Variant::Optimized,
            platform: None,
        };
        let reference = ImageRef::new(format!("{address}/t/{name}"), "1");
        let bytes = format!(r#"{{"new":"{name}"}}"#).into_bytes();
        RemoteMove { reference, service_image, id: None, bytes, platforms: BTreeMap::new(), is_fixed: false }
    }

    /// Sets the tags of images a, b and c, where `b:1` exists. Returns the result and what the tags refer to afterwards.
    fn set(
        is_fixed: bool,
        interrupt: Interrupt,
        accepts: impl Fn(&mut Manifests, &str, &str) -> bool + Send + 'static,
    ) -> (Result<PushReport>, [Option<String>; 3]) {
        let stored = Arc::new(Mutex::new(Manifests::new()));
        stored.lock().unwrap().insert("/v2/t/b/manifests/1".into(), OLD.into());
        let address = registry(stored.clone(), accepts);
        let folder = tempfile::tempdir().unwrap();
        let moves = ["a", "b", "c"].map(|name| RemoteMove { is_fixed, ..wanted(&address, name) });
        let context = context(folder.path(), interrupt);
        let report = all_or_none(&moves, &address.parse().unwrap(), &context);
        let stored = stored.lock().unwrap();
        (report, ["a", "b", "c"].map(|name| stored.get(&format!("/v2/t/{name}/manifests/1")).cloned()))
    }

    fn states(report: &PushReport) -> Vec<PushState> {
        report.images.iter().map(|row| row.state).collect()
    }

    #[test]
    fn all_tags_are_set() {
        let (report, named) = set(false, Interrupt::default(), |_, _, _| true);
        let report = report.unwrap();
        assert_eq!(states(&report), [PushState::Pushed, PushState::Replaced, PushState::Pushed]);
        assert_eq!(named, ["a", "b", "c"].map(|name| Some(format!(r#"{{"new":"{name}"}}"#))));
        assert_eq!(report.images[1].replaced, Some(digest_of(OLD.as_bytes())));
        report.check().unwrap();
    }

    #[test]
    fn fixed_tags_that_exist_stay_and_are_marked() {
        let (report, named) = set(true, Interrupt::default(), |_, _, _| true);
        let report = report.unwrap();
        assert_eq!(states(&report), [PushState::Pushed, PushState::Unchanged, PushState::Pushed]);
        assert_eq!(named[1].as_deref(), Some(OLD));
        assert_eq!(report.images[1].digest, Some(digest_of(OLD.as_bytes())));
        assert!(report.images[1].is_built);
    }

    #[test]
    fn after_a_rejected_tag_no_tag_has_changed() {
        let (report, named) = set(false, Interrupt::default(), |_, path, _| path != C);
        let report = report.unwrap();
        assert_eq!(states(&report), [PushState::NotTried, PushState::NotTried, PushState::Failed]);
        assert_eq!(named, [None, Some(OLD.to_owned()), None]);
        let error = report.check().unwrap_err().to_string();
        assert!(error.contains("no tag was changed") && error.contains("tags not attempted"), "{error}");
    }

    #[test]
    fn a_tag_that_was_set_without_a_response_is_set_back_but_not_a_tag_that_others_moved() {
        let (report, named) = set(false, Interrupt::default(), |stored, path, text| {
            if path == C {
                stored.insert(C.into(), text.into());
                stored.insert(A.into(), "theirs".into());
            }
            path != C
        });
        assert!(report.unwrap().check().unwrap_err().to_string().contains("no tag was changed"));
        assert_eq!(named, [Some("theirs".to_owned()), Some(OLD.to_owned()), None]);
    }

    #[test]
    fn after_an_interrupt_all_tags_are_set_back() {
        let interrupt = Interrupt::default();
        let user = interrupt.clone();
        let (report, named) = set(false, interrupt, move |_, path, _| {
            if path == C {
                user.set();
            }
            path != C
        });
        assert_eq!(class_of(&report.unwrap_err()), FailureClass::Interrupted);
        assert_eq!(named, [None, Some(OLD.to_owned()), None]);
    }
}
