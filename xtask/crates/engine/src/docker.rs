//! Docker's command line.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};

use crate::builder::Builder;
use crate::registry_images::RegistryImages;
use crate::signs::client_error;
use crate::tag_watch::TagWatch;
use host::process::{Cmd, Runner};

/// The `docker` on PATH.
#[derive(Debug, Clone)]
pub struct Docker {
    /// Starts its processes.
    pub runner: Runner,
    /// Before tags are read, checks whether a run is moving them; `None` skips the check.
    pub watch: Option<TagWatch>,
    /// Builds images.
    pub builder: Builder,
    /// The registry to read images from, instead of the engine.
    pub registry: Option<Arc<RegistryImages>>,
    /// The context of the engine; `None` for the current one.
    pub context: Option<String>,
}

impl Docker {
    /// Docker through this runner.
    pub fn new(runner: Runner) -> Docker {
        Docker { runner, watch: None, builder: Builder::default(), registry: None, context: None }
    }

    /// The engine's current time, which may differ from this machine's.
    ///
    /// # Errors
    /// When docker fails or prints an invalid time.
    pub fn now(&self) -> Result<SystemTime> {
        let text = self.cmd(["info", "--format", "{{.SystemTime}}"]).apart().read()?;
        time(&text).with_context(|| format!("invalid time from the engine: {text}"))
    }

    /// Whether Docker Compose is installed.
    pub fn has_compose(&self) -> bool {
        let version = self.cmd(["compose", "version", "--short"]).capture();
        version.is_ok_and(|output| output.success())
    }

    /// `docker ARGS…`, always in English, since its output is parsed.
    pub fn cmd<S: Into<String>>(&self, args: impl IntoIterator<Item = S>) -> Cmd {
        let cmd = self.runner.cmd("docker").env("LC_ALL", "C.UTF-8").classify(client_error);
        match &self.context {
            Some(context) => cmd.args(["--context", context]).args(args),
            None => cmd.args(args),
        }
    }
}

/// Parses a time printed by the engine: RFC 3339, in UTC or with an offset.
pub fn time(text: &str) -> Option<SystemTime> {
    let text = text.trim();
    if text.ends_with('Z') {
        return humantime::parse_rfc3339(text).ok();
    }
    let (local, offset) = text.split_at_checked(text.len().checked_sub(6)?)?;
    let (hours, minutes) = offset.get(1..)?.split_once(':')?;
    let offset = Duration::from_secs(hours.parse::<u64>().ok()? * 3600 + minutes.parse::<u64>().ok()? * 60);
    let utc = humantime::parse_rfc3339(&format!("{local}Z")).ok()?;
    if text.ends_with(&format!("+{hours}:{minutes}")) {
        utc.checked_sub(offset)
    } else {
        utc.checked_add(offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_any_zone() {
        let utc = time("2026-11-28T20:30:00.25Z").unwrap();
        assert_eq!(time("2026-11-28T22:30:00.25+02:00\n"), Some(utc));
        assert_eq!(time("2026-11-28T17:00:00.25-03:30"), Some(utc));
        for wrong in ["", "now", "2026-11-28", "2026-11-28T22:30:00+0200"] {
            assert_eq!(time(wrong), None, "{wrong}");
        }
    }
}
