//! What came of a push, tag by tag.

use serde::Serialize;

use crate::push::plan::Subject;
use model::image_ref::ImageRef;

/// The whole push.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The shape of this record.
    pub schema: u32,
    /// The registry and path that were pushed to.
    pub registry: String,
    /// The tags, in the manifest's order.
    pub images: Vec<Row>,
}

/// One tag.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// Registry included.
    pub reference: ImageRef,
    /// Which service's image in which form.
    #[serde(flatten)]
    pub subject: Subject,
    /// The image's ID here.
    pub image: String,
    /// The manifest's digest as the registry knows it; `None` where it was not pushed.
    pub digest: Option<String>,
    /// What came of it.
    pub state: State,
    /// How often it was tried.
    pub tries: u32,
    /// Layers that were sent, and not there already.
    pub layers_sent: usize,
    /// What went wrong.
    pub failure: Option<PushFailure>,
}

/// What came of one tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It would be pushed: nothing was done.
    Planned,
    /// The registry has it now.
    Pushed,
    /// The registry had exactly this already.
    Unchanged,
    /// The registry did not take it.
    Failed,
    /// Something else failed first that would have failed this too.
    NotTried,
}

/// Why a tag was not pushed.
#[derive(Debug, Clone, Serialize)]
pub struct PushFailure {
    /// Docker's words.
    pub said: String,
    /// What to do.
    pub remedy: String,
    /// Whether nothing in the repository can mend it.
    pub environment: bool,
}

impl State {
    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            State::Planned => "planned",
            State::Pushed => "pushed",
            State::Unchanged => "unchanged",
            State::Failed => "FAILED",
            State::NotTried => "not tried",
        }
    }
}

impl Report {
    /// Tags that failed, with why.
    pub fn failures(&self) -> impl Iterator<Item = (&Row, &PushFailure)> {
        self.images.iter().filter_map(|row| Some((row, row.failure.as_ref()?)))
    }
}
