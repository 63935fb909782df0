//! `trace`: which files of its image a container opens, from its start to its end.
//!
//! fanotify(7) reports what happens in a file system, whoever does it. A container's file system exists only from the moment the
//! engine mounts it, just before the container starts. [`gate`] therefore holds the OCI runtime for a moment at each of its starts:
//! the engine has mounted the file system by then, and the container's first process does not run yet. [`opens`] collects what is
//! opened. Nothing is needed inside the image, and nothing in it is changed.

mod gate;
mod mounts;
mod opens;
pub mod report;
pub mod run;
