//! How a service is built, and defaults derived from its Dockerfiles.

use std::num::NonZeroU16;

use crate::dockerfile;
use crate::file;
use crate::manifest::Build;
use crate::reader::images::Images;
use crate::reader::place::Place;

/// The stage that runs tests, unless the manifest names another.
const TEST_STAGE: &str = "test";

/// Keys that belong to a Dockerfile.
const OF_BUILD: [&str; 4] = ["target", "args", "platforms", "contexts"];

/// One service with its builds.
pub(super) struct Builds<'a> {
    pub file: &'a file::Service,
    pub place: Place<'a>,
    pub images: &'a Images<'a>,
    /// Whether the manifest has schema 1, which derives nothing from Dockerfiles.
    pub is_first: bool,
}

impl Builds<'_> {
    /// The original and the optimized build. Without an original, Compose or bake has it. `default` is the path of its Dockerfile,
    /// if a service without a `context` has one.
    pub fn all(&self, default: Option<String>) -> (Option<Build>, Option<Build>) {
        if self.file.pulled.is_some() {
            let keys = ["context", "dockerfile", "optimized"].into_iter().chain(OF_BUILD);
            for key in keys.filter(|key| self.place.has(key)) {
                self.place.key(key).fault("a pulled image is not built: remove this or `pulled`");
            }
            return (None, None);
        }
        let original = self.original(default);
        let beside = original
            .as_ref()
            .filter(|_| !self.is_first)
            .map(|build| format!("{}.optimized", build.dockerfile));
        let optimized = self
            .file
            .optimized
            .as_deref()
            .map(|path| plain(path).to_owned())
            .or(beside.filter(|path| self.images.has(path)));
        let optimized =
            optimized.and_then(|path| self.images.dockerfile(&path, &self.place.key("optimized"), &[]));
        let optimized = optimized.map(|dockerfile| {
            // The stage is one of the original's Dockerfile.
            let build = original.clone().unwrap_or_else(|| Build::of_dockerfile(""));
            Build { dockerfile, target: None, ..build }
        });
        (original, optimized)
    }

    fn original(&self, default: Option<String>) -> Option<Build> {
        let key = if self.place.has("original") { "original" } else { "dockerfile" };
        if key == "original" && !self.is_first {
            self.place.key(key).fault("schema 2 names it `dockerfile`: rename the key");
        }
        let context = self.file.context.as_deref().map(plain);
        if context.is_some_and(|context| !self.images.is_folder(context, &self.place.key("context"))) {
            return None;
        }
        let inside = context.map(|context| match context {
            "." => "Dockerfile".to_owned(),
            context => format!("{context}/Dockerfile"),
        });
        let Some(path) =
            self.file.dockerfile.as_deref().map(|path| plain(path).to_owned()).or(inside).or(default)
        else {
            // `platforms` is also allowed for builds from Compose or bake files.
            for key in OF_BUILD.iter().filter(|key| **key != "platforms" && self.place.has(key)) {
                let text =
                    "the build comes from Compose or bake: set it there, or add the service's `dockerfile`";
                self.place.key(key).fault(text);
            }
            return None;
        };
        Some(Build {
            context: context.unwrap_or(".").to_owned(),
            dockerfile: self.images.dockerfile(&path, &self.place.key(key), &[])?,
            target: self.file.target.clone(),
            args: self.file.args.clone(),
            contexts: self
                .file
                .contexts
                .iter()
                .map(|(name, path)| (name.clone(), plain(path).to_owned()))
                .collect(),
            ..Build::default()
        })
    }

    /// The stage of the Dockerfile that runs the service's tests.
    pub fn test_stage(&self, build: Option<&Build>) -> Option<String> {
        let path = &build?.dockerfile;
        let text = self.images.text(path, &self.place)?;
        let has = |stage: &str| dockerfile::stages(&text).contains(&stage.to_lowercase());
        let Some(stage) = &self.file.test_stage else {
            return (!self.is_first && has(TEST_STAGE)).then(|| TEST_STAGE.to_owned());
        };
        if !has(stage) {
            let text = format!("{path} has no stage `{stage}`: add `FROM … AS {stage}` or correct the name");
            self.place.key("test-stage").fault(text);
        }
        Some(stage.clone())
    }

    /// The port that the service listens on; `builds` may expose it, the first before the second.
    pub fn port(&self, builds: [Option<&Build>; 2]) -> Option<u16> {
        let exposed =
            |build: &Build| dockerfile::exposed_port(&self.images.text(&build.dockerfile, &self.place)?);
        let declared = self.file.port.map(NonZeroU16::get);
        declared.or_else(|| builds.into_iter().flatten().find_map(exposed))
    }
}

/// A path as git and Compose write it: `./web/` is `web`.
fn plain(path: &str) -> &str {
    let short = path.trim_start_matches("./").trim_end_matches('/');
    if short.is_empty() { "." } else { short }
}
