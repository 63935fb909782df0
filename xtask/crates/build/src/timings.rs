//! How long build steps took, in this run and before.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::progress::brief;
use engine::context::Context;
use engine::events::Event;
use host::files;
use host::plural::count;
use host::render;
use host::secrets::Secrets;
use host::table::{Align, Table};

/// A finished step of a build.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepTiming {
    /// The build target; empty if the step does not belong to a target.
    pub target: String,
    /// The step, such as `[build 2/5] RUN cargo build`.
    pub step: String,
    /// Whether BuildKit took its result from the cache.
    pub cached: bool,
    /// How long it took, in seconds; `None` if it was cached.
    pub seconds: Option<f64>,
    /// How long it took in the last earlier run that executed it, in seconds, if known.
    #[serde(default)]
    pub before: Option<f64>,
}

/// The steps of one run, in order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Timings {
    /// One entry per step.
    pub steps: Vec<StepTiming>,
}

/// The maximum number of steps in the table.
const SHOWN: usize = 15;
/// The shortest step in the table, in seconds.
const SHORTEST: f64 = 0.05;

impl StepTiming {
    /// The step that an event completes, with secrets masked.
    pub(crate) fn of(event: &Event, secrets: &Secrets) -> Option<StepTiming> {
        let (target, step, cached, took) = match event {
            Event::Done { target, step, cached, took } => (target, step.as_str(), *cached, *took),
            Event::Exported { target, took } => (target, "exporting to image", false, *took),
            Event::Started { .. } | Event::Said { .. } | Event::Failed { .. } => return None,
        };
        let seconds = took.filter(|_| !cached).map(|took| took.as_secs_f64());
        let step = secrets.mask(step);
        Some(StepTiming { target: target.clone(), step, cached, seconds, before: None })
    }

    /// Identifies the step across builds, in which its number may differ.
    fn key(&self) -> (&str, String) {
        let numbered = self.step.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        let key = numbered.map_or_else(
            || self.step.clone(),
            |(inside, instruction)| {
                let words = inside.split(' ').filter(|word| !word.contains('/'));
                format!("[{}]{instruction}", words.collect::<Vec<_>>().join(" "))
            },
        );
        (&self.target, key)
    }
}

impl Timings {
    /// The slowest steps, and how many were cached.
    pub fn text(&self) -> String {
        let mut ran: Vec<&StepTiming> = self.steps.iter().filter(|step| step.seconds.is_some()).collect();
        ran.sort_by(|a, b| b.seconds.unwrap_or_default().total_cmp(&a.seconds.unwrap_or_default()));
        let columns = [
            ("target", Align::Left),
            ("seconds", Align::Right),
            ("before", Align::Right),
            ("step", Align::Left),
        ];
        let seconds =
            |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.1}"));
        let slow = ran.iter().take(SHOWN).filter(|step| step.seconds >= Some(SHORTEST));
        let mut table = Table::new(&columns);
        for step in slow {
            let target = if step.target.is_empty() { "–".to_owned() } else { step.target.clone() };
            let shown = brief(&step.step);
            table.row(vec![target, seconds(step.seconds), seconds(step.before), shown]);
        }
        let cached = self.steps.iter().filter(|step| step.cached).count();
        let is_empty = ran.first().is_none_or(|slowest| slowest.seconds < Some(SHORTEST));
        let table = if is_empty { String::new() } else { table.text() };
        format!("\n{table}{} ran, {cached} cached.\n", count(ran.len(), "step"))
    }
}

/// Adds the times of earlier runs to these steps and saves them, with the steps of targets that were not built now. If the file cannot be
/// written, only warns.
pub(crate) fn record(steps: Vec<StepTiming>, context: &Context) -> Timings {
    if steps.is_empty() {
        return Timings::default();
    }
    let path = context.repository.timings();
    // Without a readable file, earlier times are unknown.
    let text = files::read_if_there(&path).ok().flatten();
    let old: Timings = text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let (timings, kept) = merged(steps, old);
    let all = Timings { steps: timings.steps.iter().cloned().chain(kept).collect() };
    let json = render::json(&all).map_err(Into::into);
    if let Err(error) = json.and_then(|json| files::write_atomically(&path, json.as_bytes())) {
        context.terminal.warn(format!("cannot record the times of build steps: {error:#}"));
    }
    timings
}

/// The steps with their earlier times, and the old steps of other targets.
fn merged(steps: Vec<StepTiming>, old: Timings) -> (Timings, Vec<StepTiming>) {
    let known: BTreeMap<_, f64> =
        old.steps.iter().filter_map(|step| Some((step.key(), step.seconds.or(step.before)?))).collect();
    let mut new: Vec<StepTiming> = Vec::new();
    let mut places = BTreeMap::new();
    for step in steps {
        let (target, key) = step.key();
        let key = (target.to_owned(), key);
        // A second bake in the same run gets the first one's results from the cache.
        match places.get(&key) {
            Some(_) if step.cached => {}
            Some(&place) => new[place] = step,
            None => {
                places.insert(key, new.len());
                new.push(step);
            }
        }
    }
    for step in &mut new {
        step.before = known.get(&step.key()).copied();
    }
    let is_new = |step: &StepTiming| new.iter().any(|one| one.target == step.target);
    let kept = old.steps.iter().filter(|step| !is_new(step)).cloned().collect();
    (Timings { steps: new }, kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(target: &str, step: &str, seconds: Option<f64>) -> StepTiming {
        let (target, step) = (target.to_owned(), step.to_owned());
        StepTiming { target, step, cached: seconds.is_none(), seconds, before: None }
    }

    #[test]
    fn earlier_times_are_found_though_steps_were_numbered_differently() {
        let first =
            vec![step("api", "[build 2/5] RUN make", Some(60.0)), step("web", "[1/1] COPY a b", Some(1.0))];
        let (first, kept) = merged(first, Timings::default());
        assert!(kept.is_empty() && first.steps.iter().all(|step| step.before.is_none()));
        // Cached now, slower later: the time of the last real run is kept.
        let (second, kept) = merged(vec![step("api", "[build 3/6] RUN make", None)], first);
        assert_eq!((second.steps[0].before, kept.len()), (Some(60.0), 1));
        let (third, _) = merged(vec![step("api", "[build 2/5] RUN make", Some(90.0))], second);
        assert_eq!((third.steps[0].seconds, third.steps[0].before), (Some(90.0), Some(60.0)));
        // In another stage or target, it is a different step.
        for other in [step("api", "[test 2/5] RUN make", None), step("web", "[build 2/5] RUN make", None)] {
            assert_eq!(merged(vec![other], third.clone()).0.steps[0].before, None);
        }
    }

    #[test]
    fn a_step_that_a_second_bake_finds_in_the_cache_keeps_its_time() {
        let steps = vec![step("api", "RUN x", Some(5.0)), step("api", "RUN x", None)];
        assert_eq!(merged(steps, Timings::default()).0.steps, [step("api", "RUN x", Some(5.0))]);
        let steps = vec![step("api", "RUN x", None), step("api", "RUN x", Some(5.0))];
        assert_eq!(merged(steps, Timings::default()).0.steps, [step("api", "RUN x", Some(5.0))]);
    }

    #[test]
    fn the_slowest_steps_come_first() {
        let mut steps = vec![step("web", "[1/1] COPY a b", Some(0.06)), step("api", "RUN x", None)];
        steps.push(StepTiming {
            before: Some(61.0),
            ..step("api", "[build 2/5] RUN make\n  all", Some(75.26))
        });
        steps.extend((0..20).map(|number| step("", &format!("load {number}"), Some(0.05))));
        let text = Timings { steps }.text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[1..4],
            [
                "TARGET  SECONDS  BEFORE  STEP",
                "api        75.3    61.0  [build 2/5] RUN make all",
                "web         0.1       –  [1/1] COPY a b",
            ]
        );
        assert_eq!((lines.len(), lines[lines.len() - 1]), (1 + 1 + SHOWN + 1, "22 steps ran, 1 cached."));
        let short = Timings { steps: vec![step("api", "RUN x", Some(0.04))] };
        assert_eq!(short.text(), "\n1 step ran, 0 cached.\n");
    }
}
