//! One fault of a pruned image.

/// Something an image still needs and no longer has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PruneFinding {
    /// What is wrong.
    pub what: String,
    /// How to fix it.
    pub remedy: &'static str,
    /// The file concerned, relative to the image's root.
    pub path: Option<String>,
    /// Whether it may be intended, and is therefore a note rather than a breach.
    pub is_note: bool,
}

impl PruneFinding {
    pub(crate) fn new(path: Option<&str>, what: String, remedy: &'static str) -> PruneFinding {
        PruneFinding { what, remedy, path: path.map(str::to_owned), is_note: false }
    }

    pub(crate) fn note(path: &str, what: String, remedy: &'static str) -> PruneFinding {
        PruneFinding { is_note: true, ..PruneFinding::new(Some(path), what, remedy) }
    }
}
