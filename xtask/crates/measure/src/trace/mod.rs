//! `trace`: which files of its image a container opens, from its start to its end.
//!
//! fanotify(7) reports what happens in a file system, whoever does it. A container's file system exists only once the
//! engine has mounted it, just before the container starts. `gate` therefore briefly blocks each start of the OCI runtime: by then,
//! the engine has mounted the file system, and the container's first process does not run yet. `opens` collects the opened files.
//! The image needs no extra tools and is not changed.

mod gate;
mod mounts;
mod opens;
pub mod report;
pub mod run;
