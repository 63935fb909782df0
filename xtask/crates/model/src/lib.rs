//! The manifest (`images.toml`) and the types that the other crates share.

pub mod additions;
pub mod allowlist;
pub mod baseline;
pub mod benefit;
pub mod bound;
pub mod build_args;
pub mod bytes;
pub mod check_rules;
pub mod dockerfile;
pub mod edition;
pub mod expectation;
pub mod image_ref;
pub mod json;
pub mod load;
pub mod manifest;
pub mod names;
pub mod nesting;
pub mod opportunity_kind;
pub mod parity;
mod parity_rules;
pub mod placeholders;
pub mod probe;
pub mod quantity;
pub mod reader;
pub mod recorded;
pub mod response;
pub mod variant;
