//! Files that changed without changing size. The tables by owner and by line do not show them.

use serde::{Deserialize, Serialize};

use crate::record::{Contents, Layer};
use crate::tree::Tree;
use model::bytes::Bytes;

/// A file that both images have with the same size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedFile {
    /// From the image's root.
    pub path: String,
    /// Its size in both.
    pub bytes: Bytes,
    /// `content`, or `owner or mode` if only those differ.
    pub what: String,
    /// The Dockerfile line that made it in the second image.
    pub place: Option<String>,
}

/// The changed files, the largest first.
pub(crate) fn changed_files(before: &Tree<'_>, after: &Tree<'_>, contents: &Contents) -> Vec<ChangedFile> {
    let mut found = Vec::new();
    for file in after.files() {
        let Some(old) = before.visible(file.path).filter(|old| old.bytes == file.bytes) else { continue };
        let owner = |tree: &Tree<'_>, at| tree.entry(at).owner;
        let what = if old.hash != file.hash {
            "content"
        } else if (old.mode, owner(before, old.at)) != (file.mode, owner(after, file.at)) {
            "owner or mode"
        } else {
            continue;
        };
        found.push(ChangedFile {
            path: file.path.to_owned(),
            bytes: Bytes(file.bytes),
            what: what.to_owned(),
            place: contents.layers.get(file.at.layer).map(Layer::place),
        });
    }
    found.sort_by(|a, b| (&a.what, b.bytes, &a.path).cmp(&(&b.what, a.bytes, &b.path)));
    found
}
