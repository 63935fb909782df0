//! Files that describe packages but could not be read, or not completely.

use serde::{Deserialize, Serialize};

use crate::facts::{Metadata, MetadataFile};

/// Maximum number of notes per image.
const MAX_NOTES: usize = 100;
/// Maximum length of a note: parsers quote input that they could not read.
const MAX_NOTE: usize = 300;

/// A file that could not be read, or not completely.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// From the image's root.
    pub path: String,
    /// Why.
    pub note: String,
}

/// The notes on the files that a container sees.
pub fn of(metadata: &[&MetadataFile]) -> Vec<Note> {
    let notes = metadata.iter().filter_map(|file| match &file.metadata {
        Metadata::Note(note) => {
            let note = note.chars().filter(|letter| !letter.is_control()).take(MAX_NOTE).collect();
            Some(Note { path: file.path.clone(), note })
        }
        _ => None,
    });
    notes.take(MAX_NOTES).collect()
}
