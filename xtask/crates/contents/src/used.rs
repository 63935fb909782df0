//! What the files of an image were used for, as `trace` recorded it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use model::bytes::Bytes;

/// Version of the record's format.
pub const SCHEMA: u32 = 1;

/// The files that a container opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UseRecord {
    /// Version of this format: [`SCHEMA`].
    pub schema: u32,
    /// The service's name in the manifest; of a foreign image, its reference.
    pub subject: String,
    /// The reference of the traced image.
    pub image: String,
    /// Its ID. A record of another ID says nothing about an image.
    pub id: String,
    /// In the order they ran; [`FileUse::phases`] counts from 0.
    pub phases: Vec<UsePhase>,
    /// The files that were opened at least once, by path from the image's root, without slashes at its ends and with symbolic links
    /// resolved.
    pub files: BTreeMap<String, FileUse>,
}

/// A part of a container's life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UsePhase {
    /// From its start until it is healthy.
    Start,
    /// Afterwards, without requests.
    Idle,
    /// A probe or a scenario's step.
    Probe {
        /// The service or scenario.
        group: String,
        /// The probe's name.
        probe: String,
    },
    /// From SIGTERM to its end.
    Stop,
}

/// How a file was used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileUse {
    /// Its size.
    pub bytes: Bytes,
    /// The phases in which it was opened, by index.
    pub phases: BTreeSet<usize>,
    /// Whether it was read with read(2). Memory-mapped files, such as libraries, are opened but not read.
    pub read: bool,
}
