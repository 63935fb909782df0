//! The commands of `cargo xtask` and `images`: parse, dispatch, exit code. One file a subcommand.
#![allow(rustdoc::broken_intra_doc_links, reason = "the documentation of options is their help text")]

mod analyze;
mod any_image;
mod args;
mod build_images;
mod check;
mod ci;
mod clean;
mod cli;
mod compare;
mod completions;
mod compose_switch;
mod deploy;
mod diet;
mod diff;
mod doctor;
mod estimate;
mod exit_code;
mod help;
mod image_args;
mod image_sources;
mod images_from;
mod init;
mod locked_volumes;
mod measure;
mod push;
mod relay;
mod release_check;
mod report;
mod smoke_test;
mod test;
mod trace;
mod verify;
mod vulnerabilities;
mod when;
mod why;

pub use cli::{cargo_xtask, images};
