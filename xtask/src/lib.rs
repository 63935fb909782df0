//! Builds, compares and guards the images of the repository that this crate stands in.
//!
//! # The house
//! A floor uses only the floors below it; `tests/floors.rs` reads the imports and fails on one that climbs.
//!
//! | floor | module | what lives there |
//! |---|---|---|
//! | 5 | `main`, [`cli`] | parse, dispatch, exit code |
//! | 4 | [`commands`] | one file a subcommand: what can be typed, and how it is composed |
//! | 3 | [`capabilities`] | what the project can do: read the manifest, plan and run builds, compare |
//! | 2 | [`docker`] | the engine: its command line, its output, its errors, getting one |
//! | 1 | [`system`] | processes, files, the repository's layout, the terminal |
//! | 0 | [`domain`] | pure types |
//!
//! # Invariants
//! - Processes start in `system/process` alone; paths of the repository are known in `system/paths.rs` alone.
//! - No service's name stands in this crate: what is particular to a service is in `xtask/images.toml`.
//! - stdout is data, stderr is narration. Exit codes are those of [`cli::Exit`].

pub mod capabilities;
pub mod cli;
pub mod commands;
pub mod docker;
pub mod domain;
pub mod system;
