//! Pushes one tag unless the registry already has the image under it, and retries transient errors.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::push::plan::{ImageToPush, PushPlan, RemoteTag};
use engine::context::Context;
use engine::images::Image;
use engine::push::{PushError, Pushed};
use engine::registry::{RegistryReader, RemoteManifest};
use engine::signs::Cause;
use host::failure::Failure;
use host::wait;
use model::image_ref::Registry;

/// The maximum number of attempts per tag.
pub(super) const TRIES: u32 = 5;

/// No retry is scheduled later than this after the first attempt: docker itself tries each layer five times per attempt.
const PATIENCE: Duration = Duration::from_mins(1);

/// What the registry had under a tag before a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Before {
    Nothing,
    /// The image that is being pushed.
    Same(RemoteManifest),
    Other(RemoteManifest),
    /// The registry could not be queried.
    Unknown,
}

/// The result for one tag.
#[derive(Debug)]
pub(super) struct Settled {
    pub tries: u32,
    /// As first found.
    pub before: Before,
    /// `None` if the registry already had the image.
    pub result: Result<Option<Pushed>, PushError>,
}

/// Pushes the tags of one run.
pub(super) struct Attempts<'a> {
    context: &'a Context,
    registry: &'a Registry,
    reader: RegistryReader<'a>,
    /// Whether a tag that refers to another image is an error.
    keeps_tags: bool,
    /// Whether the user has been told that the registry cannot be queried.
    noted: AtomicBool,
}

impl<'a> Attempts<'a> {
    pub(super) fn new(plan: &'a PushPlan, context: &'a Context) -> Attempts<'a> {
        let reader = RegistryReader::new(&context.docker);
        let PushPlan { registry, keeps_tags, .. } = plan;
        Attempts { context, registry, reader, keeps_tags: *keeps_tags, noted: AtomicBool::new(false) }
    }

    /// Pushes a tag unless the registry already has the image under it. `is_known`: whether the image was pushed with this
    /// digest before. `progress` receives the number of finished layers and the total.
    pub(super) fn settle(
        &self,
        image: &ImageToPush,
        tag: &RemoteTag,
        is_known: impl Fn(&str) -> bool,
        progress: impl Fn(usize, usize),
    ) -> Settled {
        let (mut tries, mut before, mut was_pushed) = (0, None, false);
        let started = Instant::now();
        loop {
            tries += 1;
            let result = self.look(&image.image, tag, &is_known).and_then(|found| {
                let is_there = matches!(found, Before::Same(_));
                before.get_or_insert_with(|| found.clone());
                match found {
                    // An earlier attempt pushed it but lost the registry's response.
                    Before::Same(manifest) if was_pushed => {
                        Ok(Some(Pushed { digest: manifest.digest, sent: 0 }))
                    }
                    // An image that the registry may already have stays: it has the same inputs. A missing tag only costs a build.
                    Before::Same(_) | Before::Other(_) | Before::Unknown if tag.is_built => Ok(None),
                    // The tag may have been created since all tags were compared.
                    Before::Other(found) if self.keeps_tags => Err(kept(&found.digest)),
                    _ if is_there => self.tag_here(image, tag).map(|()| None),
                    _ => {
                        was_pushed = true;
                        self.push(&image.image, tag, &progress).map(Some)
                    }
                }
            });
            let error = match result {
                Ok(pushed) => {
                    return Settled { tries, before: before.unwrap_or(Before::Unknown), result: Ok(pushed) };
                }
                Err(error) => error,
            };
            let pause = pause(&error, tries, started.elapsed()).filter(|_| !self.is_interrupted());
            if pause.is_none_or(|time| self.wait(tag, &error, tries, time).is_err()) {
                return Settled { tries, before: before.unwrap_or(Before::Unknown), result: Err(error) };
            }
        }
    }

    /// Compares the registry's tag with an image.
    ///
    /// # Errors
    /// When the registry limits requests. Other failures become [`Before::Unknown`], since the push may still succeed, unless the push
    /// must not overwrite tags.
    pub(super) fn look(
        &self,
        image: &Image,
        tag: &RemoteTag,
        is_known: impl Fn(&str) -> bool,
    ) -> Result<Before, PushError> {
        match self.reader.look(&tag.reference.to_string()) {
            Ok(None) => Ok(Before::Nothing),
            Ok(Some(found)) if found.is(image) || is_known(&found.digest) => Ok(Before::Same(found)),
            Ok(Some(found)) => Ok(Before::Other(found)),
            Err(error) if error.cause == Cause::RateLimit || self.keeps_tags => Err(error),
            Err(error) => {
                if !self.is_interrupted() && !self.noted.swap(true, Ordering::SeqCst) {
                    let host = self.registry.host();
                    self.context.terminal.warn(format!(
                        "cannot read existing tags from {host}; pushing without comparing: {error}"
                    ));
                }
                Ok(Before::Unknown)
            }
        }
    }

    /// Retries if the registry received a different image: another process may move the local tag during the push.
    fn push(
        &self,
        image: &Image,
        tag: &RemoteTag,
        progress: &impl Fn(usize, usize),
    ) -> Result<Pushed, PushError> {
        let docker = &self.context.docker;
        for _ in 0..TRIES {
            if self.is_interrupted() {
                return Err(PushError::new("interrupted"));
            }
            docker
                .tag(&image.id, &tag.reference.to_string())
                .map_err(|error| PushError::new(error.to_string()))?;
            let pushed = docker.push(&tag.reference, progress)?;
            // The engine adds the digest to the image that it pushed.
            let now = docker.look(&image.id).map_err(|error| PushError::new(format!("{error:#}")))?;
            if now.is_some_and(|image| image.is_pushed_as(&pushed.digest)) {
                return Ok(pushed);
            }
        }
        Err(PushError::new(format!("another process keeps moving the local tag {}", tag.reference)))
    }

    fn tag_here(&self, image: &ImageToPush, tag: &RemoteTag) -> Result<(), PushError> {
        if tag.previous.as_ref() == Some(&image.image.id) {
            return Ok(());
        }
        let tagged = self.context.docker.tag(&image.image.id, &tag.reference.to_string());
        tagged.map_err(|error| PushError::new(error.to_string()))
    }

    fn wait(&self, tag: &RemoteTag, error: &PushError, tries: u32, time: Duration) -> Result<(), Failure> {
        let (reference, seconds) = (&tag.reference, time.as_secs());
        self.context
            .terminal
            .warn(format!("{reference}: {error}; retry {tries} of {} in {seconds} s", TRIES - 1));
        wait::pause(time, &self.context.docker.runner.interrupt)
    }

    fn is_interrupted(&self) -> bool {
        self.context.docker.runner.interrupt.is_set()
    }
}

/// The error of a push that must not overwrite a tag, but would.
pub(super) fn kept(digest: &str) -> PushError {
    let output = format!("the registry already has {digest} under this tag, and --no-overwrite keeps it");
    PushError { cause: Cause::Kept, output }
}

/// The pause after a failed attempt; `None` to give up. Docker does not show `Retry-After`, so pauses after a rate limit are long
/// enough for typical per-minute limits.
pub(super) fn pause(error: &PushError, tries: u32, since: Duration) -> Option<Duration> {
    // A token may have expired during the push; the next attempt requests a new one.
    let is_token = error.cause == Cause::Unauthorized && tries == 1;
    let first = match error.cause {
        Cause::RateLimit => 5,
        _ => 1,
    };
    let retry = (error.is_transient() || is_token) && tries < TRIES && since < PATIENCE;
    retry.then(|| Duration::from_secs(first << tries.saturating_sub(1).min(6)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(message: &str) -> Vec<u64> {
        let error = PushError::new(message);
        let pauses = (1..=TRIES).map_while(|tries| pause(&error, tries, Duration::ZERO));
        pauses.map(|pause| pause.as_secs()).collect()
    }

    #[test]
    fn pauses_double_until_the_last_attempt() {
        assert_eq!(pauses("received unexpected HTTP status: 503 Service Unavailable"), [1, 2, 4, 8]);
        assert_eq!(pauses("toomanyrequests"), [5, 10, 20, 40]);
        assert_eq!(pauses("unauthorized: authentication required"), [1]);
        for hopeless in ["no basic auth credentials", "manifest invalid: manifest invalid"] {
            assert!(pauses(hopeless).is_empty(), "{hopeless}");
        }
    }

    #[test]
    fn a_registry_that_failed_for_a_minute_is_not_tried_again() {
        let error = PushError::new("received unexpected HTTP status: 500 Internal Server Error");
        assert!(pause(&error, 1, PATIENCE - Duration::from_secs(1)).is_some());
        assert_eq!(pause(&error, 1, PATIENCE), None);
    }
}
