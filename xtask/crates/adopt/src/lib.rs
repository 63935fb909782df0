//! Finds the images of a repository that has never used this tool, and writes their manifest.

mod candidates;
mod choose;
mod development;
pub mod dockerfile;
pub mod existing;
pub mod find;
pub mod manifest;
mod names;
mod plain_compose;
pub mod plan;
mod skaffold;
mod unmentioned;
pub mod verify;
pub mod workflow;

use model::manifest::Build;

/// What was found in a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Adoption {
    /// Compose files to name in the manifest; `None` if Compose finds them itself, none to read none.
    pub compose: Option<Vec<String>>,
    /// Bake files to name in the manifest.
    pub bake: Vec<String>,
    /// The images, sorted by name.
    pub services: Vec<AdoptedService>,
    /// What was not certain, each with a reason.
    pub guesses: Vec<Guess>,
    /// What could not be adopted.
    pub problems: Vec<AdoptionProblem>,
    /// What could not be read without Docker.
    pub unverified: Vec<String>,
}

/// An image of the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdoptedService {
    /// Its name in the manifest.
    pub name: String,
    /// Which file defines the build.
    pub origin: Origin,
    /// The build.
    pub build: Build,
    /// The reference of its image, if a file names one.
    pub image: Option<String>,
    /// The ports of Compose, else those of EXPOSE.
    pub ports: Vec<u16>,
    /// Where its health check is defined, if it has one.
    pub health: Option<HealthOrigin>,
}

/// Which kind of file defines a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A Compose file.
    Compose,
    /// A bake file.
    Bake,
    /// A Skaffold file.
    Skaffold,
    /// Only a Dockerfile.
    Dockerfile,
    /// The manifest that exists.
    Manifest,
}

impl Origin {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Origin::Compose => "Compose",
            Origin::Bake => "bake",
            Origin::Skaffold => "Skaffold",
            Origin::Dockerfile => "Dockerfile",
            Origin::Manifest => "manifest",
        }
    }

    /// Whether Docker's own parsers define the build, so that the manifest does not repeat it.
    pub fn is_told_by_docker(self) -> bool {
        matches!(self, Origin::Compose | Origin::Bake)
    }

    /// Whether the manifest needs an entry for the build.
    pub fn needs_entry(self) -> bool {
        matches!(self, Origin::Skaffold | Origin::Dockerfile)
    }
}

/// Where a health check is defined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthOrigin {
    /// In the Compose file.
    Compose,
    /// In the Dockerfile (HEALTHCHECK).
    Image,
}

/// A choice, with the reason for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guess {
    /// The service or file.
    pub about: String,
    /// What was chosen.
    pub choice: String,
    /// Why.
    pub reason: String,
}

/// Something that could not be adopted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdoptionProblem {
    /// The service or file.
    pub about: String,
    /// What is wrong, with the value.
    pub what: String,
    /// How to fix it.
    pub remedy: String,
}
