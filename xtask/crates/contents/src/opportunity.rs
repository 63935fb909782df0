//! Opportunities: what an image could do without.

use serde::{Deserialize, Serialize};

use crate::file_bytes::FileBytes;
use model::bytes::Bytes;
use model::opportunity_kind::OpportunityKind;

/// All files of one kind of opportunity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opportunity {
    /// Its kind.
    pub kind: OpportunityKind,
    /// Why the image does not need these bytes.
    pub reason: String,
    /// How to leave them out.
    pub remedy: String,
    /// Removable bytes: of whole files, or of sections of files.
    pub bytes: Bytes,
    /// How many files.
    pub files: u64,
    /// The largest of them.
    pub largest: Vec<FileBytes>,
}

impl Opportunity {
    /// An opportunity without files.
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
