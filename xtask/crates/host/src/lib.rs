//! The machine: processes, git, files, locks, the terminal, secrets, printable text, failures and report rendering.

pub mod failure;
pub mod file_state;
pub mod files;
pub mod git;
pub mod interrupt;
pub mod layout;
pub mod panics;
pub mod paths;
pub mod plural;
pub mod ports;
pub mod printable;
pub mod process;
pub mod process_name;
pub mod program;
pub mod render;
pub mod secrets;
pub mod table;
pub mod terminal;
pub mod wait;
