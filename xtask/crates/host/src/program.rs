//! The name of this program, as its caller knows it. Texts show commands with it.

use std::fmt;
use std::sync::OnceLock;

/// Shows as the program's name: `format!("run `{PROGRAM} doctor`")`.
pub const PROGRAM: Program = Program;

/// The name, unless another is set.
pub const CARGO_XTASK: &str = "cargo xtask";

static NAME: OnceLock<&str> = OnceLock::new();

/// See [`PROGRAM`].
#[derive(Debug, Clone, Copy)]
pub struct Program;

impl Program {
    /// Names the program, before it shows any text. Only the first call counts.
    pub fn set_name(self, name: &'static str) {
        NAME.get_or_init(|| name);
    }

    /// What a person types to run it.
    pub fn name(self) -> &'static str {
        NAME.get().copied().unwrap_or(CARGO_XTASK)
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
