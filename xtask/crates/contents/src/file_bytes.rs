//! A file and its size, as records list them.

use serde::{Deserialize, Serialize};

use model::bytes::Bytes;

/// A file and its size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileBytes {
    /// From the image's root, without a leading slash.
    pub path: String,
    /// Its size.
    pub bytes: Bytes,
}

impl FileBytes {
    /// Adds a file to a list of the `most` largest; of equals the first stays.
    pub fn keep_largest(list: &mut Vec<FileBytes>, path: &str, bytes: u64, most: usize) {
        let at = list.partition_point(|other| other.bytes.0 >= bytes);
        if at < most {
            list.insert(at, FileBytes { path: path.to_owned(), bytes: Bytes(bytes) });
            list.truncate(most);
        }
    }
}
