//! Floor 1: the machine. Processes, files, the repository's layout and the terminal, each known in one place only.

pub mod files;
pub mod http;
pub mod interrupt;
pub mod paths;
pub mod ports;
pub mod process;
mod process_error;
pub mod terminal;
mod words;
