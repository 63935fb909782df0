//! Resolves an argument to an image from anywhere: an archive or OCI layout, the engine, a registry. Prefixes as those of skopeo
//! and syft force one of them.

use std::path::{Path, PathBuf};

use anyhow::{Error, Result, bail};
use host::failure::{Failure, FailureClass, class_of};
use host::process::find;

use contents::image::{ImageSource, ImageToAnalyze};
use engine::context::Context;
use engine::environment::require_engine;
use engine::oci::{Choice, Platform};
use engine::registry_client::RemoteReference;
use engine::stored_image::StoredImage;

/// Which image of several.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct PlatformArgs {
    /// Platform of a service or of a multi-platform image, such as linux/arm64 [default: this machine's]
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<String>,
}

/// The sources that a prefix names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Forced {
    Path,
    Engine,
    Registry,
}

/// Spellings of skopeo and syft.
const PREFIXES: [(&str, Forced); 8] = [
    ("docker-archive:", Forced::Path),
    ("oci-archive:", Forced::Path),
    ("oci-dir:", Forced::Path),
    ("oci:", Forced::Path),
    ("docker-daemon:", Forced::Engine),
    ("docker://", Forced::Registry),
    ("docker:", Forced::Engine),
    ("registry:", Forced::Registry),
];

/// Where an image was looked for, and why it was not found there.
#[derive(Default)]
struct Tried {
    lines: Vec<String>,
    remedy: Option<String>,
    class: Option<FailureClass>,
}

impl PlatformArgs {
    /// The platform that was asked for.
    ///
    /// # Errors
    /// When it is invalid.
    pub fn resolve(&self) -> Result<Option<Platform>> {
        Ok(self.platform.as_deref().map(str::parse::<Platform>).transpose()?)
    }
}

/// Finds an image. `not_a_service` says why the name is not a service; only with a manifest.
///
/// # Errors
/// [`Failure`] that lists what was tried, when nothing matches.
pub fn resolve(
    text: &str,
    platform: Option<&Platform>,
    not_a_service: Option<String>,
    context: &Context,
) -> Result<ImageSource> {
    let mut tried = Tried { lines: not_a_service.into_iter().collect(), ..Tried::default() };
    let choice = Choice { name: None, platform: platform.cloned() };
    let (forced, rest) = prefix(text).map_or((None, text), |(forced, rest)| (Some(forced), rest));
    let found = match forced {
        Some(Forced::Path) => at_path(text, rest, &choice, true, &mut tried)?,
        Some(Forced::Engine) => in_engine(rest, platform, context, &mut tried)?,
        Some(Forced::Registry) => in_registry(text, rest, &choice, context, &mut tried)?,
        None => anywhere(text, &choice, context, &mut tried)?,
    };
    let Some(source) = found else { return Err(tried.into_failure(text).into()) };
    match &source {
        ImageSource::Engine(image) => {
            context.terminal.say(format!("{}: image of the engine", image.reference))
        }
        ImageSource::Stored(_) => {}
    }
    Ok(source)
}

fn anywhere(
    text: &str,
    choice: &Choice,
    context: &Context,
    tried: &mut Tried,
) -> Result<Option<ImageSource>> {
    if let Some(found) = at_path(text, text, choice, false, tried)? {
        return Ok(Some(found));
    }
    // Such a text can only mean a file.
    if text.starts_with(['/', '.', '~']) {
        return Ok(None);
    }
    if let Some(found) = in_engine(text, choice.platform.as_ref(), context, tried)? {
        return Ok(Some(found));
    }
    let is_id =
        text.starts_with("sha256:") || text.len() >= 12 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if is_id {
        tried.lines.push("registry: image IDs are only known to the engine".to_owned());
        return Ok(None);
    }
    in_registry(text, text, choice, context, tried)
}

/// The source that a prefix forces, and the rest. `registry:2` and `docker:27` are images: a version after the colon is a tag.
fn prefix(text: &str) -> Option<(Forced, &str)> {
    let (forced, rest) =
        PREFIXES.into_iter().find_map(|(prefix, forced)| Some((forced, text.strip_prefix(prefix)?)))?;
    let is_tag = !rest.contains(['/', ':', '@'])
        && (rest.starts_with(|c: char| c.is_ascii_digit()) || ["latest", "dind", "cli"].contains(&rest));
    (!rest.is_empty() && (forced == Forced::Path || !is_tag)).then_some((forced, rest))
}

/// A path and the name of an image in it: `PATH` or `PATH:NAME`. `None` if no such file exists.
fn path_and_name(text: &str) -> Option<(PathBuf, Option<String>)> {
    let whole = std::iter::once((text, None));
    let split = text.char_indices().filter(|(_, c)| *c == ':');
    let parts = split.map(|(at, _)| (&text[..at], Some(text[at + 1..].to_owned())));
    whole
        .chain(parts)
        .find(|(path, _)| !path.is_empty() && Path::new(path).exists())
        .map(|(path, name)| (PathBuf::from(path), name.filter(|name| !name.is_empty())))
}

fn at_path(
    reference: &str,
    text: &str,
    choice: &Choice,
    is_forced: bool,
    tried: &mut Tried,
) -> Result<Option<ImageSource>> {
    let stored = |stored: StoredImage| Ok(Some(ImageSource::Stored(Box::new(stored))));
    if let Some(name) = text.strip_prefix('-').filter(|rest| rest.is_empty() || rest.starts_with(':')) {
        let name = name.strip_prefix(':').filter(|name| !name.is_empty()).map(str::to_owned);
        return stored(StoredImage::archive(reference, None, Choice { name, ..choice.clone() }));
    }
    let Some((path, name)) = path_and_name(text) else {
        tried.lines.push(format!("path: no file or folder `{text}`"));
        return Ok(None);
    };
    let choice = Choice { name, ..choice.clone() };
    if !path.is_dir() {
        return stored(StoredImage::archive(reference, Some(&path), choice));
    }
    if StoredImage::is_layout(&path) {
        return stored(StoredImage::layout(reference, &path, choice)?);
    }
    let what = format!("folder {}: not an OCI layout, which has index.json and blobs", path.display());
    if is_forced {
        bail!(Failure::usage(what));
    }
    // A folder that happens to have the name of an image.
    tried.lines.push(what);
    Ok(None)
}

fn in_engine(
    reference: &str,
    platform: Option<&Platform>,
    context: &Context,
    tried: &mut Tried,
) -> Result<Option<ImageSource>> {
    if context.with_engine {
        require_engine(context)?;
    }
    if find("docker").is_none() {
        tried.lines.push("engine: no `docker` on PATH".to_owned());
        return Ok(None);
    }
    let image = match context.docker.look(reference) {
        Ok(Some(image)) => image,
        Ok(None) => {
            tried.lines.push("engine: no such image".to_owned());
            return Ok(None);
        }
        Err(error) => {
            context.docker.runner.interrupt.check()?;
            // The reason why the engine does not answer is clearer than docker's message.
            tried.add("engine", require_engine(context).err().unwrap_or(error));
            return Ok(None);
        }
    };
    if let Some(wanted) = platform
        && (wanted.os(), wanted.architecture()) != (image.os.as_str(), image.architecture.as_str())
    {
        let own = format!("{}/{}", image.os, image.architecture);
        tried.lines.push(format!("engine: the image is for {own}, not for {wanted}"));
        return Ok(None);
    }
    let image = ImageToAnalyze { reference: reference.to_owned(), image };
    Ok(Some(ImageSource::Engine(Box::new(image))))
}

fn in_registry(
    reference: &str,
    text: &str,
    choice: &Choice,
    context: &Context,
    tried: &mut Tried,
) -> Result<Option<ImageSource>> {
    let remote: RemoteReference = match text.parse() {
        Ok(remote) => remote,
        Err(error) => {
            tried.lines.push(format!("registry: {}", error.what));
            return Ok(None);
        }
    };
    let name = remote.to_string();
    match StoredImage::registry(reference, remote, choice.clone(), &context.docker.runner)? {
        Ok(stored) => Ok(Some(ImageSource::Stored(Box::new(stored)))),
        Err(error) => {
            context.docker.runner.interrupt.check()?;
            tried.add(&format!("registry {name}"), error);
            Ok(None)
        }
    }
}

impl Tried {
    fn add(&mut self, place: &str, error: Error) {
        let class = class_of(&error);
        if class.is_environment() {
            self.class = Some(class);
        }
        let text = format!("{error:#}");
        let (what, remedy) = text.split_once("\nhelp: ").unwrap_or((&text, ""));
        self.lines.push(format!("{place}: {}", what.lines().map(str::trim).collect::<Vec<_>>().join(" ")));
        if !remedy.is_empty() {
            self.remedy = Some(remedy.to_owned());
        }
    }

    fn into_failure(self, text: &str) -> Failure {
        let lines: String = self.lines.iter().map(|line| format!("\n    {line}")).collect();
        let usual = "name an image in the engine or a registry, a `docker save` archive, or an OCI layout";
        let remedy = self.remedy.unwrap_or_else(|| usual.to_owned());
        Failure::new(
            self.class.unwrap_or(FailureClass::Usage),
            format!("no image found: {text}{lines}"),
            remedy,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_force_a_source_and_versions_are_tags() {
        for (text, expected) in [
            ("registry:nginx:1.26", Some((Forced::Registry, "nginx:1.26"))),
            ("registry:nginx", Some((Forced::Registry, "nginx"))),
            ("docker://hub.example/x", Some((Forced::Registry, "hub.example/x"))),
            ("docker-daemon:x:1", Some((Forced::Engine, "x:1"))),
            ("docker:x", Some((Forced::Engine, "x"))),
            ("docker-archive:a.tar:x:1", Some((Forced::Path, "a.tar:x:1"))),
            ("oci:folder", Some((Forced::Path, "folder"))),
            ("oci-archive:1", Some((Forced::Path, "1"))),
            // Images called `registry` and `docker`.
            ("registry:2", None),
            ("registry:2.8.3", None),
            ("registry:latest", None),
            ("docker:27-dind", None),
            ("docker:dind", None),
            ("registry", None),
            ("registry:", None),
            ("nginx:1.26", None),
        ] {
            assert_eq!(prefix(text), expected, "{text}");
        }
    }

    #[test]
    fn names_follow_an_existing_path() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let file = here.join("Cargo.toml").display().to_string();
        assert_eq!(path_and_name(&file), Some((PathBuf::from(&file), None)));
        let named = path_and_name(&format!("{file}:nginx:1.26"));
        assert_eq!(named, Some((PathBuf::from(&file), Some("nginx:1.26".to_owned()))));
        assert_eq!(path_and_name("nginx:1.26"), None);
        assert_eq!(path_and_name(":x"), None);
    }
}
