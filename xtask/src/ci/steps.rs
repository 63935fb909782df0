//! The steps of `ci` as data: `--dry-run` prints them, a run executes them.

use model::edition::Edition;
use stack::throwaway::test_run::Originals;

/// The edition whose originals are built and compared.
pub const EDITION: Edition = Edition::COMPARED;

/// The editions of which only optimized images are built.
const OTHERS: [Edition; 2] = [Edition::Community, Edition::Enterprise];

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The heading in logs and in the summary.
    pub name: &'static str,
    /// What it does.
    pub action: Action,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Run cargo with these arguments.
    Cargo(&'static [&'static str]),
    /// Make sure that these programs are installed; each is in the Debian package of its own name.
    Programs(&'static [&'static str]),
    /// Run xtask itself with these arguments.
    Xtask(&'static [&'static str]),
    /// Build the optimized images of every service in these editions.
    Optimized(&'static [Edition]),
    /// Build the originals: the large ones, or all others.
    Originals { large: bool },
    /// Run the test stages of every service.
    ServiceTests,
    /// Test optimized images in throwaway stacks: probes, parity with these originals, stack tests if `true`.
    Stacks(Edition, Option<Originals>, bool),
    /// Compare sizes, and check every optimized image of every edition.
    Check,
}

/// Module of the tests that only `--campaign` runs.
const CAMPAIGN: &str = "campaign::";

/// The module of tests that only `--full` runs: they take minutes, a large original, or a program that builds do not need.
const LONG: &str = "full::";

/// Broken links in documentation are errors.
const DOC: &[&str] = &[
    "doc",
    "--workspace",
    "--no-deps",
    "--locked",
    "--quiet",
    "--config",
    "build.rustdocflags=['-D','warnings']",
];

/// The steps: cheap ones first, and whatever needs images after the builds. `full` appends the long ones.
pub fn steps(full: bool) -> Vec<Step> {
    let cargo = |name, args| Step { name, action: Action::Cargo(args) };
    let mut steps = vec![
        cargo("format", &["fmt", "--all", "--check"]),
        cargo(
            "lints",
            &["clippy", "--workspace", "--all-targets", "--locked", "--quiet", "--", "-D", "warnings"],
        ),
        Step { name: "documentation", action: Action::Cargo(DOC) },
        Step { name: "optimized images", action: Action::Optimized(&[EDITION]) },
        Step { name: "original images", action: Action::Originals { large: false } },
        Step { name: "optimized images of the other editions", action: Action::Optimized(&OTHERS) },
        Step { name: "services' tests in their builds", action: Action::ServiceTests },
        // Tests that need an engine are ignored in a plain `cargo test`; here there is one.
        cargo(
            "tests",
            &[
                "test",
                "--workspace",
                "--locked",
                "--",
                "--include-ignored",
                "--skip",
                CAMPAIGN,
                "--skip",
                LONG,
            ],
        ),
        Step {
            name: "stack, pages, and parity with recorded answers",
            action: Action::Stacks(EDITION, Some(Originals::Recorded), true),
        },
        Step { name: "check every image", action: Action::Check },
    ];
    if full {
        let measure = |name, args| Step { name, action: Action::Xtask(args) };
        let stack = |name, edition| Step { name, action: Action::Stacks(edition, None, true) };
        steps.extend([
            Step { name: "large original images", action: Action::Originals { large: true } },
            Step {
                name: "parity with running originals",
                action: Action::Stacks(EDITION, Some(Originals::Live { record: false }), false),
            },
            stack("community stack", Edition::Community),
            stack("enterprise stack", Edition::Enterprise),
            Step { name: "programs for the long steps", action: Action::Programs(&["strace"]) },
            cargo("long tests", &["test", "--workspace", "--locked", "--", "--ignored", LONG]),
            measure(
                "bounds of services and the stack",
                &["measure", "--stack", "--only", "start,memory", "--settle", "10", "--check"],
            ),
            measure("bounds under load", &["measure", "--load", "--check"]),
        ]);
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_appends_steps_and_only_it_runs_long_tests() {
        let (usual, full) = (steps(false), steps(true));
        assert_eq!(full[..usual.len()], usual);
        let runs = |steps: &[Step], last: [&str; 2]| {
            steps.iter().any(|step| matches!(step.action, Action::Cargo(args) if args.ends_with(&last)))
        };
        assert!(runs(&usual, ["--skip", LONG]) && !runs(&usual, ["--ignored", LONG]));
        assert!(runs(&full[usual.len()..], ["--ignored", LONG]));
    }
}
