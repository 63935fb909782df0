//! The machine underneath: processes, files, paths, locks, the terminal.

pub mod failure;
pub mod files;
pub mod git;
pub mod interrupt;
pub mod paths;
pub mod plural;
pub mod ports;
pub mod process;
pub mod render;
pub mod table;
pub mod terminal;
pub mod wait;
