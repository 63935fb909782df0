//! What `ci` does, as data: `--dry-run` prints it, a run does it.

use crate::domain::variant::Variant;

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// For people.
    pub name: &'static str,
    /// What to do.
    pub action: Action,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Run cargo with these arguments.
    Cargo(&'static [&'static str]),
    /// Build these variants of every service.
    Build(&'static [Variant]),
    /// Run the test stages of every service.
    ServiceTests,
    /// Hold every image against its target, and say which goal is missed.
    Sizes,
}

/// The steps, cheapest first, and what needs images after what builds them.
pub fn steps() -> Vec<Step> {
    let cargo = |name, args| Step { name, action: Action::Cargo(args) };
    vec![
        cargo("format", &["fmt", "--all", "--check"]),
        cargo(
            "lints",
            &["clippy", "--workspace", "--all-targets", "--locked", "--quiet", "--", "-D", "warnings"],
        ),
        Step { name: "images", action: Action::Build(&Variant::ALL) },
        Step { name: "tests of services in their images' builds", action: Action::ServiceTests },
        // Tests that need an engine are ignored in a plain `cargo test`; here there is one.
        cargo("tests", &["test", "--workspace", "--locked", "--", "--include-ignored"]),
        Step { name: "sizes", action: Action::Sizes },
    ]
}
