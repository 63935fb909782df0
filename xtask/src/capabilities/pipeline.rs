//! What `ci` does, as data: `--dry-run` prints it, a run does it.

use crate::domain::edition::Edition;
use crate::domain::variant::Variant;

/// The edition of which both variants are built, tested and weighed.
pub const EDITION: Edition = Edition::Simple;

/// The editions of which optimized images are built and started.
const OTHERS: [Edition; 2] = [Edition::Community, Edition::Enterprise];

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
    /// Build these editions and variants of every service.
    Build(&'static [Edition], &'static [Variant]),
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
        Step { name: "images", action: Action::Build(&[EDITION], &Variant::ALL) },
        Step { name: "images of the other editions", action: Action::Build(&OTHERS, &[Variant::Optimized]) },
        Step { name: "tests of services in their images' builds", action: Action::ServiceTests },
        // Tests that need an engine are ignored in a plain `cargo test`; here there is one.
        cargo("tests", &["test", "--workspace", "--locked", "--", "--include-ignored"]),
        Step { name: "sizes", action: Action::Sizes },
    ]
}
