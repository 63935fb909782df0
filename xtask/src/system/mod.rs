//! Floor 1: the machine. Processes, files, the repository's layout and the terminal, each known in one place only.

pub mod cgroup;
pub mod files;
pub mod http;
pub mod interrupt;
pub mod paths;
pub mod ports;
pub mod process;
pub mod relay;
pub mod temporary;
pub mod terminal;
