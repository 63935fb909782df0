//! Operating system and architecture of an image.

use std::fmt;
use std::str::FromStr;

use host::failure::Failure;
use serde::{Deserialize, Serialize, Serializer};

/// Operating system, CPU architecture and its variant: `linux/arm/v7`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(default)]
pub struct Platform {
    os: String,
    architecture: String,
    variant: Option<String>,
}

impl Platform {
    /// A platform without a variant.
    pub fn new(os: &str, architecture: &str) -> Platform {
        Platform { os: os.to_owned(), architecture: architecture.to_owned(), variant: None }
    }

    /// Linux on this machine's architecture.
    pub fn of_this_machine() -> Platform {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "x86" => "386",
            "powerpc64" => "ppc64le",
            other => other,
        };
        Platform::new("linux", architecture)
    }

    /// Whether this machine needs emulation to run programs for this platform.
    pub fn is_emulated(&self) -> bool {
        !Platform::of_this_machine().is_wanted(self)
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
    pub fn is_wanted(&self, wanted: &Platform) -> bool {
        let same = self.os == wanted.os && self.architecture == wanted.architecture;
        same && (wanted.variant.is_none() || self.full_variant() == wanted.full_variant())
    }

    /// The variant, or the default of its architecture (containerd, `platforms/defaults.go`).
    pub fn full_variant(&self) -> &str {
        match (self.variant.as_deref(), self.architecture.as_str()) {
            (Some(variant), _) if !variant.is_empty() => variant,
            (_, "arm64") => "v8",
            (_, "arm") => "v7",
            _ => "",
        }
    }

    /// The tag suffix for this platform: `-arm64`, `-arm-v7`, `-windows-amd64`. `linux` is omitted.
    pub fn suffix(&self) -> String {
        let text = self.to_string().replace('/', "-");
        format!("-{}", text.strip_prefix("linux-").unwrap_or(&text))
    }

    /// Debian's name for the architecture (Debian wiki, "SupportedArchitectures"); `None` if no Debian release supports it.
    pub fn debian_architecture(&self) -> Option<&'static str> {
        if self.os != "linux" {
            return None;
        }
        Some(match (self.architecture.as_str(), self.full_variant()) {
            ("amd64", _) => "amd64",
            ("arm64", _) => "arm64",
            ("arm", "v7") => "armhf",
            ("arm", "v5" | "v6") => "armel",
            ("386", _) => "i386",
            ("ppc64le", _) => "ppc64el",
            ("riscv64", _) => "riscv64",
            ("s390x", _) => "s390x",
            _ => return None,
        })
    }
}

impl FromStr for Platform {
    type Err = Failure;

    /// Parses a platform. Normalizes architecture names to Docker's names (containerd, `platforms/database.go`).
    fn from_str(text: &str) -> Result<Platform, Failure> {
        let is_word = |word: &&str| {
            !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        };
        let words: Vec<String> = text.split('/').map(str::to_lowercase).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            [os, architecture, variant @ ..] if variant.len() < 2 && words.iter().all(is_word) => {
                let (architecture, variant) = match (*architecture, variant.first().copied()) {
                    ("x86_64" | "x86-64", variant) => ("amd64", variant),
                    ("i386", _) => ("386", None),
                    ("armhf", _) => ("arm", Some("v7")),
                    ("armel", _) => ("arm", Some("v6")),
                    ("aarch64" | "arm64", None | Some("8" | "v8")) => ("arm64", None),
                    ("amd64", Some("v1")) => ("amd64", None),
                    (architecture, variant) => (architecture, variant),
                };
                let variant = variant.map(str::to_owned);
                Ok(Platform { os: (*os).to_owned(), architecture: architecture.to_owned(), variant })
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

/// Serialized as a string, such as `linux/arm64`; registries and images use separate fields.
impl Serialize for Platform {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_names_of_an_architecture_are_the_same_platform() {
        for (text, platform, suffix, debian) in [
            ("linux/amd64", "linux/amd64", "-amd64", Some("amd64")),
            ("Linux/x86_64", "linux/amd64", "-amd64", Some("amd64")),
            ("linux/amd64/v1", "linux/amd64", "-amd64", Some("amd64")),
            ("linux/amd64/v3", "linux/amd64/v3", "-amd64-v3", Some("amd64")),
            ("linux/aarch64", "linux/arm64", "-arm64", Some("arm64")),
            ("linux/arm64/v8", "linux/arm64", "-arm64", Some("arm64")),
            ("linux/armhf", "linux/arm/v7", "-arm-v7", Some("armhf")),
            ("linux/arm/v6", "linux/arm/v6", "-arm-v6", Some("armel")),
            ("linux/i386", "linux/386", "-386", Some("i386")),
            ("linux/mips64", "linux/mips64", "-mips64", None),
            ("windows/amd64", "windows/amd64", "-windows-amd64", None),
        ] {
            let read: Platform = text.parse().unwrap();
            assert_eq!((read.to_string().as_str(), read.suffix().as_str()), (platform, suffix), "{text}");
            assert_eq!(read.debian_architecture(), debian, "{text}");
        }
        for wrong in ["", "linux", "arm64", "linux/", "linux/arm/v7/x", "linux/a b", "/arm64"] {
            assert!(wrong.parse::<Platform>().is_err(), "{wrong}");
        }
    }
}
