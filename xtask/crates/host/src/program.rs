//! The name of this program as its user knows it, for commands in messages.

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
    /// Sets the program's name; call it before anything is printed. Only the first call has an effect.
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
