//! What `ci` does, as data: `--dry-run` prints it, a run does it.

use model::edition::Edition;
use model::variant::Variant;
use stack::throwaway::whole::Originals;

/// The edition of which both variants are built, tested and weighed.
pub const EDITION: Edition = Edition::COMPARED;

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
    /// Have these programs on the machine; each is in the distribution's package of its own name.
    Programs(&'static [&'static str]),
    /// Run this program with these arguments.
    Xtask(&'static [&'static str]),
    /// Build these editions and variants of every service.
    Build(&'static [Edition], &'static [Variant]),
    /// Run the test stages of every service.
    ServiceTests,
    /// Raise throwaway stacks of optimized images: probes, parity with what is told, stack tests where they are wanted.
    Stacks(Edition, Option<Originals>, bool),
    /// Compare sizes, and check every optimized image of every edition.
    Check,
}

/// The module of every test that `full` alone runs: it takes minutes, or a program that a build does not need.
const LONG: &str = "full::";

/// The steps, cheapest first, and what needs images after what builds them. `full` adds the long ones behind the usual ones.
pub fn steps(full: bool) -> Vec<Step> {
    let cargo = |name, args| Step { name, action: Action::Cargo(args) };
    let mut steps = vec![
        cargo("format", &["fmt", "--all", "--check"]),
        cargo(
            "lints",
            &["clippy", "--workspace", "--all-targets", "--locked", "--quiet", "--", "-D", "warnings"],
        ),
        Step { name: "images", action: Action::Build(&[EDITION], &Variant::ALL) },
        Step { name: "images of the other editions", action: Action::Build(&OTHERS, &[Variant::Optimized]) },
        Step { name: "tests of services in their images' builds", action: Action::ServiceTests },
        // Tests that need an engine are ignored in a plain `cargo test`; here there is one.
        cargo("tests", &["test", "--workspace", "--locked", "--", "--include-ignored", "--skip", LONG]),
        Step {
            name: "the stack, its pages, and the originals' recorded answers",
            action: Action::Stacks(EDITION, Some(Originals::Recorded), true),
        },
        Step { name: "check of every image", action: Action::Check },
    ];
    if full {
        let measure = |name, args| Step { name, action: Action::Xtask(args) };
        let stack = |name, edition| Step { name, action: Action::Stacks(edition, None, true) };
        steps.extend([
            Step {
                name: "the stack beside running originals",
                action: Action::Stacks(EDITION, Some(Originals::Live { record: false }), false),
            },
            stack("the stack of the community edition", Edition::Community),
            stack("the stack of the enterprise edition", Edition::Enterprise),
            Step { name: "programs of the long steps", action: Action::Programs(&["strace"]) },
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
    fn full_only_adds_steps_and_what_is_long_runs_there_alone() {
        let (usual, full) = (steps(false), steps(true));
        assert_eq!(full[..usual.len()], usual);
        let runs = |steps: &[Step], last: [&str; 2]| {
            steps.iter().any(|step| matches!(step.action, Action::Cargo(args) if args.ends_with(&last)))
        };
        assert!(runs(&usual, ["--skip", LONG]) && !runs(&usual, ["--ignored", LONG]));
        assert!(runs(&full[usual.len()..], ["--ignored", LONG]));
    }
}
