//! The machine: processes, git, files, locks, the terminal; failures and how reports are rendered.

pub mod failure;
pub mod files;
pub mod git;
pub mod interrupt;
pub mod paths;
pub mod plural;
pub mod ports;
pub mod process;
pub mod process_name;
pub mod render;
pub mod table;
pub mod terminal;
pub mod wait;
