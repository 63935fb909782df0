//! Operating system and processor of an image.

use std::fmt;
use std::str::FromStr;

use host::failure::Failure;
use serde::Deserialize;

/// Operating system, CPU architecture and its variant: `linux/arm/v7`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Platform {
    os: String,
    architecture: String,
    variant: Option<String>,
}

impl Platform {
    /// Linux on this machine's processor.
    pub fn of_this_machine() -> Platform {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "x86" => "386",
            "powerpc64" => "ppc64le",
            other => other,
        };
        Platform { os: "linux".to_owned(), architecture: architecture.to_owned(), variant: None }
    }

    /// Operating system.
    pub fn os(&self) -> &str {
        &self.os
    }

    /// CPU architecture.
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    /// Whether this platform matches the wanted one; the variant matters only if one is requested.
    pub(crate) fn is_wanted(&self, wanted: &Platform) -> bool {
        let same = self.os == wanted.os && self.architecture == wanted.architecture;
        same && (wanted.variant.is_none() || self.full_variant() == wanted.full_variant())
    }

    /// The variant, with the default of its architecture (containerd, `platforms/defaults.go`).
    pub(super) fn full_variant(&self) -> &str {
        match (self.variant.as_deref(), self.architecture.as_str()) {
            (Some(variant), _) if !variant.is_empty() => variant,
            (_, "arm64") => "v8",
            (_, "arm") => "v7",
            _ => "",
        }
    }
}

impl FromStr for Platform {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Platform, Failure> {
        let is_word = |word: &&str| {
            !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        };
        let words: Vec<&str> = text.split('/').collect();
        match words.as_slice() {
            [os, architecture, variant @ ..] if variant.len() < 2 && words.iter().all(is_word) => {
                Ok(Platform {
                    os: (*os).to_owned(),
                    architecture: (*architecture).to_owned(),
                    variant: variant.first().map(|text| (*text).to_owned()),
                })
            }
            _ => Err(Failure::usage(format!(
                "invalid platform `{text}`: use OS/ARCHITECTURE, such as linux/arm64"
            ))),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) if !variant.is_empty() => write!(f, "/{variant}"),
            _ => Ok(()),
        }
    }
}
