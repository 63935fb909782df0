//! Where the values of variables in Compose files come from: the environment, then `.env`, as Compose itself has it.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::dotenv;
use crate::interpolation::interpolate;
use host::files;
use host::paths::Repository;
use model::image_ref::Tag;

/// The variable that Compose files hold as the tag.
pub const VERSION: &str = "SUTRA_VERSION";

/// The values.
#[derive(Debug, Clone)]
pub struct Variables(BTreeMap<String, String>);

impl Variables {
    /// Reads them for the repository's root.
    ///
    /// # Errors
    /// When there is a `.env` that cannot be read.
    pub fn read(repository: &Repository) -> Result<Variables> {
        let text = files::read_if_there(&repository.dot_env())?.unwrap_or_default();
        let mut values = dotenv::variables(&text);
        // What is no UTF-8 can stand in no Compose file.
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        values.extend(environment);
        Ok(Variables(values))
    }

    /// Every variable with its value.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A value that is set and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A reference with its variables' values in it. `SUTRA_VERSION=latest-optimized` means the tag `latest` everywhere.
    ///
    /// # Errors
    /// Which required variable is not set, or what makes the result no reference.
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
                Err(format!("it comes to `{resolved}`, which is no reference"))
            }
            _ => Ok(resolved),
        }
    }
}
