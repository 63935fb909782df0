//! Release checklists and the report page.

pub mod changelog;
pub mod checklist;
pub mod report;
