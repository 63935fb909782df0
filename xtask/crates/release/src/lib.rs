//! Release checklists and the report page.

pub mod checklist;
pub mod report;
