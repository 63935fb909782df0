//! The faults, by part.

/// One replacement in our own code.
pub struct Fault {
    pub part: &'static str,
    /// The mistake, as a review would call it.
    pub what: &'static str,
    /// The cases that meet it, as `XTASK_CAMPAIGN_ONLY` takes them.
    pub only: &'static str,
    /// Relative to `xtask/`.
    pub file: &'static str,
    pub from: &'static str,
    pub to: &'static str,
}

pub const FAULTS: &[Fault] = &[Fault {
    part: "kills",
    what: "files are written in place",
    only: "compose-switch: KILL",
    file: "crates/host/src/files.rs",
    from: "let temporary = dir.join(format!(\".{name}.{}.new\", std::process::id()));",
    to: "let temporary = path.to_owned();",
}];
