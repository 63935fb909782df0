//! Sets tags on manifests that are already in a registry: either all tags or none.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};

use crate::push::report::{PushFailure, PushReport, PushRow, PushState};
use crate::request::ServiceImage;
use engine::context::Context;
use engine::registry_client::RegistryClient;
use engine::remote_image::digest_of;
use host::failure::class_of;
use model::image_ref::{ImageRef, Registry};

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

/// Sets the tags. If the registry rejects one, the tags already set are restored, and the report says so.
///
/// # Errors
/// When the registry does not answer before any tag is set, or the user interrupts before that.
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
                // If one tag cannot be restored, the others still are.
                let results: Vec<Result<()>> = planned[..index].iter().rev().map(Planned::restore).collect();
                let restored = results.into_iter().collect::<Result<()>>();
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

/// Why a tag was not set. `restored`: whether the tags already set were restored.
fn failure(error: &anyhow::Error, restored: Result<()>) -> PushFailure {
    let text = format!("{error:#}");
    let (what, help) = text.split_once("\nhelp: ").unwrap_or((&text, ""));
    let (after, remedy) = match restored {
        Ok(()) => ("no tag was changed".to_owned(), help),
        Err(error) => (
            format!("the tags already set could not be restored: {error:#}"),
            "check the registry, then push again",
        ),
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
            self.put(&self.wanted.bytes)?;
        }
        Ok(PushRow { digest: Some(self.digest.clone()), replaced, ..self.wanted.row(state) })
    }

    /// Restores the tag. A new tag is removed.
    fn restore(&self) -> Result<()> {
        match &self.before {
            Some(_) if self.wanted.is_fixed || self.is_unchanged() => Ok(()),
            Some(before) => self.put(before),
            None => self.client.delete_manifest(self.wanted.reference.tag()),
        }
        .with_context(|| self.wanted.reference.to_string())
    }

    fn put(&self, bytes: &[u8]) -> Result<()> {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Kind {
            media_type: Option<String>,
        }
        let kind: Kind = serde_json::from_slice(bytes).context("unexpected manifest")?;
        // Optional in OCI manifests; BuildKit writes it.
        let media_type =
            kind.media_type.unwrap_or_else(|| "application/vnd.oci.image.manifest.v1+json".to_owned());
        self.client.put_manifest(self.wanted.reference.tag(), &media_type, bytes).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::net::TcpListener;
    use std::sync::{Arc, Mutex};
    use std::thread;

    use super::*;
    use engine::docker::Docker;
    use host::interrupt::Interrupt;
    use host::paths::Repository;
    use host::process::Runner;
    use host::terminal::{Color, Terminal, Verbosity};
    use model::edition::Edition;
    use model::variant::Variant;

    /// The manifests, by path, of a registry that accepts everything except a PUT to `refused`.
    type Stored = Arc<Mutex<BTreeMap<String, String>>>;

    /// Starts the registry and returns its address.
    fn registry(stored: Stored, refused: &'static str) -> String {
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
                    "PUT" if path.ends_with(refused) => ("403 Forbidden", String::new()),
                    "PUT" => {
                        let text = String::from_utf8(body).unwrap();
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

    fn context(folder: &std::path::Path) -> Context {
        std::fs::write(folder.join("images.toml"), "schema = 2\n").unwrap();
        Context {
            repository: Repository::locate(Some(folder)).unwrap(),
            docker: Docker::new(Runner::default()),
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

    /// Sets the tags of images a, b and c; `b:1` exists, and `refused` is rejected. Returns the states and what the tags refer to then.
    fn set(refused: &'static str, is_fixed: bool) -> (Vec<PushState>, [Option<String>; 3], PushReport) {
        let stored = Stored::default();
        stored.lock().unwrap().insert("/v2/t/b/manifests/1".into(), r#"{"old":"b"}"#.into());
        let address = registry(stored.clone(), refused);
        let folder = tempfile::tempdir().unwrap();
        let moves = ["a", "b", "c"].map(|name| RemoteMove { is_fixed, ..wanted(&address, name) });
        let report = all_or_none(&moves, &address.parse().unwrap(), &context(folder.path())).unwrap();
        let states = report.images.iter().map(|row| row.state).collect();
        let stored = stored.lock().unwrap();
        let named = ["a", "b", "c"].map(|name| stored.get(&format!("/v2/t/{name}/manifests/1")).cloned());
        (states, named, report)
    }

    #[test]
    fn all_tags_are_set() {
        let (states, named, report) = set("none", false);
        assert_eq!(states, [PushState::Pushed, PushState::Replaced, PushState::Pushed]);
        assert_eq!(named, ["a", "b", "c"].map(|name| Some(format!(r#"{{"new":"{name}"}}"#))));
        let digest = digest_of(br#"{"old":"b"}"#);
        assert_eq!(report.images[1].replaced.as_deref(), Some(digest.as_str()));
        report.check().unwrap();
    }

    #[test]
    fn fixed_tags_that_exist_stay() {
        let (states, named, report) = set("none", true);
        assert_eq!(states, [PushState::Pushed, PushState::Unchanged, PushState::Pushed]);
        assert_eq!(named[1].as_deref(), Some(r#"{"old":"b"}"#));
        assert_eq!(report.images[1].digest, Some(digest_of(br#"{"old":"b"}"#)));
    }

    #[test]
    fn after_a_rejected_tag_no_tag_has_changed() {
        let (states, named, report) = set("/c/manifests/1", false);
        assert_eq!(states, [PushState::NotTried, PushState::NotTried, PushState::Failed]);
        assert_eq!(named, [None, Some(r#"{"old":"b"}"#.to_owned()), None]);
        let error = report.check().unwrap_err().to_string();
        assert!(error.contains("no tag was changed") && error.contains("tags not attempted"), "{error}");
    }
}
