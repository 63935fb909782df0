//! The steps of `ci` as data: `--dry-run` prints them, a run executes them.

use model::edition::Edition;
use stack::throwaway::test_run::Originals;

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The heading in logs and in the summary.
    pub name: String,
    /// What it does.
    pub action: Action,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Run cargo with these arguments.
    Cargo(&'static [&'static str]),
    /// Make sure that these programs are installed.
    Programs(&'static [&'static str]),
    /// Make sure that this machine can run programs for this architecture.
    Emulation(&'static str),
    /// Run xtask itself with these arguments.
    Xtask(&'static [&'static str]),
    /// Build the optimized images of every service in these editions.
    Optimized(Vec<Edition>),
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

/// The steps: cheap ones first, and whatever needs images after the builds. `full` appends the long ones. Originals are built
/// and compared only for the manifest's first edition.
pub fn steps(full: bool, editions: &[Edition]) -> Vec<Step> {
    let (first, others) = match editions {
        [first, others @ ..] => (*first, others),
        [] => (Edition::NONE, editions),
    };
    let step = |name: &str, action| Step { name: name.to_owned(), action };
    let cargo = |name, args| step(name, Action::Cargo(args));
    let mut steps = vec![
        cargo("format", &["fmt", "--all", "--check"]),
        cargo(
            "lints",
            &["clippy", "--workspace", "--all-targets", "--locked", "--quiet", "--", "-D", "warnings"],
        ),
        cargo("documentation", DOC),
        step("optimized images", Action::Optimized(vec![first])),
        step("original images", Action::Originals { large: false }),
        step("optimized images of the other editions", Action::Optimized(others.to_vec())),
        step("services' tests in their builds", Action::ServiceTests),
        step("programs for the tests", Action::Programs(&["kubectl", "cosign"])),
        step("emulation for the tests", Action::Emulation("arm64")),
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
        step(
            "stack, pages, and parity with recorded answers",
            Action::Stacks(first, Some(Originals::Recorded), true),
        ),
        step("check every image", Action::Check),
    ];
    if full {
        let measure = |name, args| step(name, Action::Xtask(args));
        steps.extend([
            step("large original images", Action::Originals { large: true }),
            step(
                "parity with running originals",
                Action::Stacks(first, Some(Originals::Live { record: false }), false),
            ),
        ]);
        let stack =
            |edition: &Edition| step(&format!("{edition} stack"), Action::Stacks(*edition, None, true));
        steps.extend(others.iter().map(stack));
        steps.extend([
            step("programs for the long steps", Action::Programs(&["strace"])),
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
        let editions = ["small", "large"].map(Edition::named);
        let (usual, full) = (steps(false, &editions), steps(true, &editions));
        assert_eq!(full[..usual.len()], usual);
        let runs = |steps: &[Step], last: [&str; 2]| {
            steps.iter().any(|step| matches!(step.action, Action::Cargo(args) if args.ends_with(&last)))
        };
        assert!(runs(&usual, ["--skip", LONG]) && !runs(&usual, ["--ignored", LONG]));
        assert!(runs(&full[usual.len()..], ["--ignored", LONG]));
    }
}
