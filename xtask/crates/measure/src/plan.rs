//! The steps of a measurement as data: `--dry-run` prints them, a run executes them.

use std::fmt;

use host::program::PROGRAM;
use model::bound::WHOLE;
use model::load::Load;
use model::manifest::Service;
use model::quantity::Quantity;
use model::variant::Variant;

/// A group of figures that can be requested.
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

    /// The part that a quantity belongs to; `None` for figures of loads and of xtask itself.
    pub fn of(quantity: Quantity) -> Option<Part> {
        match quantity {
            Quantity::PullBytes | Quantity::Pull => Some(Part::Pull),
            Quantity::Start | Quantity::Up => Some(Part::Start),
            Quantity::CpuToHealthy => Some(Part::Cpu),
            Quantity::MemoryIdle | Quantity::ChargedIdle | Quantity::MemoryAfter | Quantity::ChargedAfter => {
                Some(Part::Memory)
            }
            Quantity::Request | Quantity::CpuRequest => Some(Part::Request),
            _ => None,
        }
    }
}

/// What a figure describes.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'m> {
    /// One service.
    One(&'m Service),
    /// All services together.
    Whole,
}

impl Subject<'_> {
    /// The name in records.
    pub fn name(&self) -> &str {
        match self {
            Subject::One(service) => &service.name,
            Subject::Whole => WHOLE,
        }
    }
}

/// A step, which gives one sample or several.
#[derive(Debug, Clone, Copy)]
pub struct MeasureStep<'m> {
    /// Counted from 1.
    pub run: u32,
    /// The images.
    pub variant: Variant,
    /// What is done.
    pub act: MeasureAct<'m>,
}

/// What a step does.
#[derive(Debug, Clone, Copy)]
pub enum MeasureAct<'m> {
    /// Pulls into an engine that has none of the layers.
    Pull(Subject<'m>),
    /// Starts a container of one service.
    Container(&'m Service),
    /// Starts a stack of all requested services and sends requests to it.
    Stack,
    /// Starts a stack and puts a load on it.
    Load(&'m Load),
    /// Times this program beside the docker commands that it wraps.
    SelfCost,
    /// Compiles this program from scratch.
    Compile,
}

impl fmt::Display for MeasureStep<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (run, variant) = (self.run, self.variant);
        match self.act {
            MeasureAct::Pull(subject) => write!(f, "pull {} {variant} (run {run})", subject.name()),
            MeasureAct::Container(service) => write!(f, "start {} {variant} (run {run})", service.name),
            MeasureAct::Stack => write!(f, "stack {variant} (run {run})"),
            MeasureAct::Load(load) => write!(f, "load {} {variant} (run {run})", load.name),
            MeasureAct::SelfCost => write!(f, "{PROGRAM} beside docker alone (run {run})"),
            MeasureAct::Compile => write!(f, "compile {PROGRAM} from scratch"),
        }
    }
}

/// What can be measured, given the images that are present.
#[derive(Debug, Clone, Default)]
pub struct Measurable<'m> {
    /// Samples of each variant.
    pub runs: u32,
    /// Pulls that fit on the disk, with the variants that are built.
    pub pulls: Vec<(Subject<'m>, Vec<Variant>)>,
    /// Services to start on their own, with the variants that are built.
    pub containers: Vec<(&'m Service, Vec<Variant>)>,
    /// The variants that a stack can be made of; none where no stack is needed.
    pub stacks: Vec<Variant>,
    /// The loads.
    pub loads: Vec<&'m Load>,
    /// Whether to measure xtask itself.
    pub self_cost: bool,
}

/// The steps. Variants take turns within every run, so that drift affects both. Pulls go subject by subject, since a registry holds
/// the images of one at a time; containers go run by run, so that a noisy minute affects all services.
pub fn steps<'m>(of: &Measurable<'m>) -> Vec<MeasureStep<'m>> {
    let mut steps = Vec::new();
    let mut add = |run, variants: &[Variant], act| {
        steps.extend(variants.iter().map(|variant| MeasureStep { run, variant: *variant, act }));
    };
    for (subject, variants) in &of.pulls {
        (1..=of.runs).for_each(|run| add(run, variants, MeasureAct::Pull(*subject)));
    }
    for run in 1..=of.runs {
        of.containers
            .iter()
            .for_each(|(service, variants)| add(run, variants, MeasureAct::Container(service)));
    }
    let optimized = [Variant::Optimized];
    for run in 1..=of.runs {
        add(run, &of.stacks, MeasureAct::Stack);
        of.loads.iter().for_each(|load| add(run, &optimized, MeasureAct::Load(load)));
        if of.self_cost {
            add(run, &optimized, MeasureAct::SelfCost);
        }
    }
    if of.self_cost {
        add(1, &optimized, MeasureAct::Compile);
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_take_turns_within_every_run() {
        let load = Load { name: "ask".into(), steps: Vec::new() };
        let measurable = Measurable {
            runs: 2,
            pulls: vec![(Subject::Whole, Variant::ALL.to_vec())],
            stacks: Variant::ALL.to_vec(),
            loads: vec![&load],
            self_cost: true,
            ..Measurable::default()
        };
        let printed: Vec<String> = steps(&measurable).iter().map(ToString::to_string).collect();
        assert_eq!(
            printed,
            [
                "pull stack original (run 1)",
                "pull stack optimized (run 1)",
                "pull stack original (run 2)",
                "pull stack optimized (run 2)",
                "stack original (run 1)",
                "stack optimized (run 1)",
                "load ask optimized (run 1)",
                "cargo xtask beside docker alone (run 1)",
                "stack original (run 2)",
                "stack optimized (run 2)",
                "load ask optimized (run 2)",
                "cargo xtask beside docker alone (run 2)",
                "compile cargo xtask from scratch",
            ]
        );
    }
}
