//! What will be done, in which order, as data: `--dry-run` prints it, and execution goes through it.

use std::fmt;

use crate::measurement::WHOLE;
use model::manifest::Service;
use model::quantity::Quantity;
use model::variant::Variant;

/// What can be asked for by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Bytes and time of pulls.
    Pull,
    /// Time to the first healthy answer.
    Start,
    /// Memory, idle and used.
    Memory,
    /// Processor time to the first healthy answer.
    Cpu,
    /// Time and processor time of a typical request.
    Request,
}

impl Part {
    /// All of them.
    pub const ALL: [Part; 5] = [Part::Pull, Part::Start, Part::Memory, Part::Cpu, Part::Request];

    /// The part that a quantity belongs to.
    pub fn of(quantity: Quantity) -> Part {
        match quantity {
            Quantity::PullBytes | Quantity::Pull | Quantity::PullThrottled => Part::Pull,
            Quantity::Start | Quantity::Up => Part::Start,
            Quantity::CpuToHealthy => Part::Cpu,
            Quantity::MemoryIdle | Quantity::ChargedIdle | Quantity::MemoryAfter | Quantity::ChargedAfter => {
                Part::Memory
            }
            Quantity::Request | Quantity::CpuRequest => Part::Request,
        }
    }
}

/// Whose figure it is.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'m> {
    /// One service's.
    One(&'m Service),
    /// All services' together.
    Whole,
}

impl Subject<'_> {
    /// As records name it.
    pub fn name(&self) -> &str {
        match self {
            Subject::One(service) => &service.name,
            Subject::Whole => WHOLE,
        }
    }
}

/// One sample, or several that come together.
#[derive(Debug, Clone, Copy)]
pub struct Step<'m> {
    /// Counted from 1.
    pub run: u32,
    /// The images.
    pub variant: Variant,
    /// What is done.
    pub act: Act<'m>,
}

/// What a step does.
#[derive(Debug, Clone, Copy)]
pub enum Act<'m> {
    /// Pulls into an engine that has no layer of it.
    Pull {
        /// Whose image, or all.
        subject: Subject<'m>,
        /// Whether through a line of a stated rate.
        throttled: bool,
    },
    /// Starts a container by itself.
    Container(&'m Service),
    /// Raises a stack of all services that were asked for, and asks it.
    Stack,
}

impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (run, variant) = (self.run, self.variant);
        match self.act {
            Act::Pull { subject, throttled } => {
                let how = if throttled { ", throttled" } else { "" };
                write!(f, "pull {} {variant}{how} (run {run})", subject.name())
            }
            Act::Container(service) => write!(f, "start {} {variant} (run {run})", service.name),
            Act::Stack => write!(f, "stack {variant} (run {run})"),
        }
    }
}

/// What can be measured, once it is known which images are there.
#[derive(Debug, Clone)]
pub struct Plannable<'m> {
    /// Samples of each variant.
    pub runs: u32,
    /// What is asked for.
    pub parts: Vec<Part>,
    /// Whether pulls are repeated through a throttled line.
    pub throttled: bool,
    /// Whether figures of the whole stack are wanted.
    pub whole: bool,
    /// Whose pulls there is room for, with the variants that are built.
    pub pulls: Vec<(Subject<'m>, Vec<Variant>)>,
    /// The services, with the variants that are built.
    pub services: Vec<(&'m Service, Vec<Variant>)>,
    /// The variants of which a whole stack of them can be raised.
    pub stacks: Vec<Variant>,
}

/// The steps. Variants take turns within every run, so that what drifts meets both. Pulls go subject by subject, since a
/// registry holds the images of one at a time; containers go run by run, so that a noisy minute meets all services.
pub fn steps<'m>(of: &Plannable<'m>) -> Vec<Step<'m>> {
    let mut steps = Vec::new();
    let wants = |parts: &[Part]| of.parts.iter().any(|part| parts.contains(part));
    let modes: &[bool] = if of.throttled { &[false, true] } else { &[false] };
    for (subject, variants) in of.pulls.iter().filter(|_| wants(&[Part::Pull])) {
        for (run, throttled) in (1..=of.runs).flat_map(|run| modes.iter().map(move |mode| (run, *mode))) {
            let act = Act::Pull { subject: *subject, throttled };
            steps.extend(variants.iter().map(|variant| Step { run, variant: *variant, act }));
        }
    }
    for run in 1..=of.runs {
        let wanted = wants(&[Part::Start, Part::Memory, Part::Cpu]);
        for (service, variants) in of.services.iter().filter(|_| wanted) {
            let act = Act::Container(service);
            steps.extend(variants.iter().map(|variant| Step { run, variant: *variant, act }));
        }
    }
    let of_services = wants(&[Part::Memory, Part::Request]);
    if of_services || (of.whole && wants(&[Part::Start, Part::Cpu])) {
        for run in 1..=of.runs {
            steps.extend(of.stacks.iter().map(|variant| Step { run, variant: *variant, act: Act::Stack }));
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn service(name: &str) -> Service {
        Service {
            name: name.into(),
            image: name.into(),
            compose: name.into(),
            port: 1,
            original: String::new(),
            optimized: String::new(),
            test_stage: None,
            large_original: false,
            sizes: BTreeMap::new(),
            editions: Default::default(),
            run: Default::default(),
            secrets: Vec::new(),
            probes: Vec::new(),
        }
    }

    fn words(parts: &[Part], whole: bool) -> Vec<String> {
        let (a, b) = (service("a"), service("b"));
        let both = Variant::ALL.to_vec();
        let plannable = Plannable {
            runs: 2,
            parts: parts.to_vec(),
            throttled: true,
            whole,
            pulls: vec![(Subject::One(&a), both.clone())],
            services: vec![(&a, both.clone()), (&b, vec![Variant::Optimized])],
            stacks: both,
        };
        steps(&plannable).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn variants_take_turns_within_every_run() {
        assert_eq!(
            words(&[Part::Pull], false),
            [
                "pull a original (run 1)",
                "pull a optimized (run 1)",
                "pull a original, throttled (run 1)",
                "pull a optimized, throttled (run 1)",
                "pull a original (run 2)",
                "pull a optimized (run 2)",
                "pull a original, throttled (run 2)",
                "pull a optimized, throttled (run 2)",
            ]
        );
        assert_eq!(
            words(&[Part::Start], false),
            [
                "start a original (run 1)",
                "start a optimized (run 1)",
                "start b optimized (run 1)",
                "start a original (run 2)",
                "start a optimized (run 2)",
                "start b optimized (run 2)",
            ]
        );
    }

    #[test]
    fn a_stack_is_raised_only_for_what_needs_one() {
        let stacks = |parts: &[Part], whole| {
            words(parts, whole).iter().filter(|step| step.starts_with("stack")).count()
        };
        assert_eq!((stacks(&[Part::Request], false), stacks(&[Part::Memory], false)), (4, 4));
        assert_eq!((stacks(&[Part::Start], false), stacks(&[Part::Start], true)), (0, 4));
        assert_eq!(stacks(&[Part::Pull], true), 0);
    }

    #[test]
    fn every_quantity_is_somebodys() {
        for part in Part::ALL {
            assert!(Quantity::ALL.into_iter().any(|quantity| Part::of(quantity) == part), "{part:?}");
        }
    }
}
