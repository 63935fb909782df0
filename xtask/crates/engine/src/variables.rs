//! Values of variables in Compose files: from the environment, then from `.env`, as in Compose.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::dotenv;
use crate::interpolation::interpolate;
use host::files;
use host::paths::Repository;
use model::image_ref::Tag;

/// The variable that Compose files use as the tag.
pub const VERSION: &str = "SUTRA_VERSION";

/// Variables and their values.
#[derive(Debug, Clone)]
pub struct Variables(BTreeMap<String, String>);

impl Variables {
    /// Reads `.env` and the environment.
    ///
    /// # Errors
    /// When `.env` exists but cannot be read.
    pub fn read(repository: &Repository) -> Result<Variables> {
        let text = files::read_if_there(&repository.dot_env())?.unwrap_or_default();
        let mut values = dotenv::variables(&text);
        // Compose files are UTF-8.
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        values.extend(environment);
        Ok(Variables(values))
    }

    /// All variables.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The value, unless it is empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A reference with its variables replaced. `SUTRA_VERSION=latest-optimized` means the tag `latest`.
    ///
    /// # Errors
    /// When a required variable is not set, or the result is invalid.
    pub fn resolve(&self, reference: &str) -> Result<String, String> {
        let resolved = interpolate(reference, &|name| {
            let value = self.0.get(name)?;
            let bare = || value.parse::<Tag>().map_or_else(|_| value.clone(), |tag| tag.to_string());
            Some(if name == VERSION { bare() } else { value.clone() })
        })?;
        let last = resolved.rsplit('/').next().unwrap_or_default();
        let tag = last.split('@').next().and_then(|name| name.split_once(':')).map(|(_, tag)| tag);
        match tag {
            Some(tag) if tag.parse::<Tag>().is_err() => {
                Err(format!("it becomes `{resolved}`, an invalid reference"))
            }
            _ => Ok(resolved),
        }
    }
}
