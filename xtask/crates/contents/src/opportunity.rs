//! What an image could do without.

use serde::{Deserialize, Serialize};

use crate::record::FileBytes;
use model::bytes::Bytes;
use model::opportunity_kind::OpportunityKind;

/// All files of one kind of opportunity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opportunity {
    /// What kind.
    pub kind: OpportunityKind,
    /// Why these bytes may go.
    pub reason: String,
    /// What to do about them.
    pub remedy: String,
    /// The sum of what is there to go: files, or sections of files.
    pub bytes: Bytes,
    /// How many files.
    pub files: u64,
    /// The largest of them.
    pub largest: Vec<FileBytes>,
}

impl Opportunity {
    /// One without any file yet.
    pub fn empty(kind: OpportunityKind) -> Opportunity {
        Opportunity {
            kind,
            reason: kind.reason().to_owned(),
            remedy: kind.remedy().to_owned(),
            bytes: Bytes(0),
            files: 0,
            largest: Vec::new(),
        }
    }
}
