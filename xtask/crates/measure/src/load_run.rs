//! Running a load: repeated requests to a throwaway stack.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::container::{microseconds, started};
use crate::generated::Generator;
use crate::record::Sample;
use crate::{cgroup, health};
use engine::context::Context;
use host::secrets::Secrets;
use host::wait;
use model::json::Json;
use model::load::{GENERATED, Load, LoadStep};
use model::manifest::{Manifest, Service};
use model::placeholders::{self, Values};
use model::probe::{Body, HttpRequest};
use model::quantity::Quantity;
use model::response::HttpResponse;
use stack::http::Client;
use stack::probes::secrecy;
use stack::throwaway::{StackImages, ThrowawayStack};

/// For one answer: an upload may be large.
const TIMEOUT: Duration = Duration::from_secs(300);
/// Between two requests of a step that waits.
const POLL: Duration = Duration::from_millis(100);
/// A waiting step fails when its answer has not changed for this long.
const STALLED: Duration = Duration::from_secs(120);
/// A waiting step fails after this long even if its answer keeps changing: it may contain a clock in another format.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// Runs a load in its own throwaway stack.
pub(crate) fn measure(
    manifest: &Manifest,
    load: &Load,
    images: &StackImages,
    deadline: Duration,
    context: &Context,
) -> Result<Vec<Sample>> {
    let services: Vec<&Service> =
        manifest.services.iter().filter(|service| load.uses(&service.name)).collect();
    let mut stack = ThrowawayStack::prepare(manifest, &services, images, context)?;
    for step in load.steps.iter().filter(|step| !step.environment.is_empty()) {
        if let Some(service) = services.iter().find(|service| service.name == step.probe.service) {
            stack.set_environment(service, &step.environment)?;
        }
    }
    stack.up(deadline, &context.docker.runner.interrupt)?;
    let known = stack.values.clone();
    let mut run =
        LoadRun { load, services, stack, deadline, context, known, samples: Vec::new(), writing: None };
    for step in &load.steps {
        let subject = load.subject(step);
        context.terminal.say(format!("  {subject} …"));
        run.step(step, &subject).with_context(|| format!("load {subject}"))?;
    }
    run.end_writing()?;
    run.stack.remove()?;
    Ok(run.samples)
}

struct LoadRun<'a, 'm> {
    load: &'a Load,
    services: Vec<&'m Service>,
    stack: ThrowawayStack,
    deadline: Duration,
    context: &'a Context,
    known: Values,
    samples: Vec<Sample>,
    /// The last step that wrote items, while later steps may still wait for its work, and its time.
    writing: Option<(&'a LoadStep, Duration)>,
}

impl<'a> LoadRun<'a, '_> {
    fn step(&mut self, step: &'a LoadStep, subject: &str) -> Result<()> {
        if step.probe.eventually {
            let begun = Instant::now();
            self.wait(step)?;
            if let Some((_, time)) = &mut self.writing {
                *time += begun.elapsed();
            }
            return Ok(());
        }
        self.end_writing()?;
        if step.restart {
            let time = self.restart(step)?;
            self.samples.push((subject.to_owned(), Quantity::Start, time));
        }
        let times = self.requests(step, subject)?;
        if step.items > 1 {
            let total: Duration = times.iter().sum();
            self.writing = Some((step, total / u32::try_from(step.clients)?));
        } else if step.count > 1 {
            for (quantity, percent) in [(Quantity::RequestP50, 50), (Quantity::RequestP95, 95)] {
                let time = u64::try_from(percentile(&times, percent).as_micros())?;
                self.samples.push((subject.to_owned(), quantity, time));
            }
            self.note_peak_memory(step, subject)?;
        }
        Ok(())
    }

    fn end_writing(&mut self) -> Result<()> {
        let Some((step, time)) = self.writing.take() else { return Ok(()) };
        let subject = self.load.subject(step);
        let rate = (step.items * step.count) as f64 / time.as_secs_f64();
        self.samples.push((subject.clone(), Quantity::Rate, rate.round() as u64));
        self.note_peak_memory(step, &subject)
    }

    fn note_peak_memory(&mut self, step: &LoadStep, subject: &str) -> Result<()> {
        let (_, process) = started(&self.container(step)?, self.context)?;
        let peak = cgroup::peak(process).map(|peak| (subject.to_owned(), Quantity::MemoryPeak, peak));
        self.samples.extend(peak);
        Ok(())
    }

    fn port(&self, step: &LoadStep) -> Result<u16> {
        self.stack.ports.get(&step.probe.service).copied().context("the service has no port")
    }

    fn container(&self, step: &LoadStep) -> Result<String> {
        let service = self.services.iter().find(|service| service.name == step.probe.service);
        let mut containers = self.stack.project().containers()?.into_iter();
        let container =
            containers.find(|found| service.is_some_and(|service| service.is_compose(&found.service)));
        Ok(container.context("the service has no container")?.id)
    }

    /// Microseconds from the new start of the service's container to its first healthy answer.
    fn restart(&self, step: &LoadStep) -> Result<u64> {
        let id = self.container(step)?;
        self.context.docker.cmd(["restart", id.as_str()]).read()?;
        let (begun, interrupt) = (Instant::now(), &self.context.docker.runner.interrupt);
        let is_over = || begun.elapsed() > self.deadline || interrupt.is_set();
        let service = self.services.iter().find(|service| service.name == step.probe.service);
        let path = service.map_or("/health", |service| health::path(service));
        let healthy = health::first(self.port(step)?, path, Duration::from_millis(5), is_over);
        interrupt.check()?;
        let (start, _) = started(&id, self.context)?;
        microseconds(start, healthy.context("the service did not become healthy after its restart")?)
    }

    /// The times of all requests that count.
    fn requests(&mut self, step: &LoadStep, subject: &str) -> Result<Vec<Duration>> {
        let host = format!("127.0.0.1:{}", self.port(step)?);
        let generator = Generator::new(subject);
        let (known, context) = (&self.known, self.context);
        let secrets = &context.docker.runner.secrets;
        let send = |client: &mut Client, number: u64| -> Result<(Duration, HttpResponse)> {
            context.docker.runner.interrupt.check()?;
            let request = request(step, known, generator, number);
            let begun = Instant::now();
            let answer = client.send(&host, &request, TIMEOUT)?;
            let time = begun.elapsed();
            judge(step, &answer, known, secrets).with_context(|| format!("request {number}"))?;
            Ok((time, answer))
        };
        let mut client = Client::new();
        (0..step.warm_up).try_for_each(|number| send(&mut client, number).map(drop))?;
        let all = step.warm_up..step.warm_up + step.count;
        let results: Vec<Result<Vec<(Duration, HttpResponse)>>> = std::thread::scope(|scope| {
            let client = |first: u64| {
                let mut numbers = all.clone().skip(first as usize).step_by(step.clients as usize);
                let send = &send;
                scope.spawn(move || {
                    let mut client = Client::new();
                    numbers.try_fold(Vec::new(), |mut done, number| {
                        done.push(send(&mut client, number)?);
                        Ok(done)
                    })
                })
            };
            let threads: Vec<_> = (0..step.clients).map(client).collect();
            let panicked = |_| Err(anyhow::anyhow!("a client panicked"));
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(panicked)).collect()
        });
        let done: Vec<_> = results.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
        for (_, answer) in &done {
            secrecy::hide_values_of(&step.probe, answer, &self.context.docker.runner.secrets);
        }
        self.known.extend(done.iter().filter_map(|(_, answer)| step.probe.captured(answer)));
        Ok(done.into_iter().map(|(time, _)| time).collect())
    }

    /// Repeats a request until its answer is as declared.
    fn wait(&self, step: &LoadStep) -> Result<()> {
        let host = format!("127.0.0.1:{}", self.port(step)?);
        let request = step.probe.filled(&self.known);
        let secrets = &self.context.docker.runner.secrets;
        let (mut client, mut last, begun) = (Client::new(), None, Instant::now());
        let mut changed = begun;
        loop {
            let answer = client.send(&host, &request, TIMEOUT)?;
            match judge(step, &answer, &self.known, secrets) {
                Ok(()) => return Ok(()),
                Err(error) if changed.elapsed() > STALLED => {
                    return Err(error.context(format!("no progress for {} s", STALLED.as_secs())));
                }
                Err(error) if begun.elapsed() > LONGEST => {
                    return Err(error.context(format!("not done after {} min", LONGEST.as_secs() / 60)));
                }
                Err(_) => {}
            }
            let now = Some(without_dates(&answer));
            if now != last {
                (last, changed) = (now, Instant::now());
            }
            wait::pause(POLL, &self.context.docker.runner.interrupt)?;
        }
    }
}

fn judge(step: &LoadStep, answer: &HttpResponse, known: &Values, secrets: &Secrets) -> Result<()> {
    if step.probe.judge(answer, known, secrets).is_empty() {
        return Ok(());
    }
    secrecy::hide_values_of(&step.probe, answer, secrets);
    bail!("{}", step.probe.judge(answer, known, secrets).join("; "))
}

/// The answer without timestamps: a new timestamp alone is not progress.
fn without_dates(answer: &HttpResponse) -> String {
    let text = answer.shown();
    let blank = |text: &str| if is_date(text) { String::new() } else { text.to_owned() };
    Json::parse(&text).map_or_else(|_| text.to_string(), |json| json.map(&blank).to_string())
}

/// Whether a text starts with a date and a time, separated by `T` (RFC 3339, section 5.6) or a space.
fn is_date(text: &str) -> bool {
    let shape = text.chars().take(16).map(|c| if c.is_ascii_digit() { '0' } else { c });
    matches!(shape.collect::<String>().as_str(), "0000-00-00T00:00" | "0000-00-00 00:00")
}

/// A step's request with this number, with all of its items.
fn request(step: &LoadStep, known: &Values, generator: Generator, number: u64) -> HttpRequest {
    let used: BTreeSet<String> = step.probe.needs();
    let item = |item: u64| -> Values {
        let kinds = GENERATED.into_iter().filter(|kind| used.contains(*kind));
        let generated = kinds.map(|kind| (kind.to_owned(), generator.value(kind, item, step.dimension)));
        known.iter().map(|(name, value)| (name.clone(), value.clone())).chain(generated).collect()
    };
    let items: Vec<BTreeMap<String, Value>> =
        (0..step.items).map(|index| item(number * step.items + index)).collect();
    let mut request = step.probe.filled(&items[0]);
    match (&step.probe.request.body, &mut request.body) {
        (Body::Text { text: template, .. }, Body::Text { text, .. }) => {
            *text = items.iter().map(|known| placeholders::fill(template, known)).collect();
        }
        (Body::Json(template), Body::Json(value)) if step.items > 1 => *value = filled(template, &items),
        _ => {}
    }
    request
}

/// A JSON template in which lists of one element get one for each item.
fn filled(template: &Value, items: &[Values]) -> Value {
    match template {
        Value::Array(list) if list.len() == 1 => {
            items.iter().map(|known| placeholders::fill_in(&list[0], known)).collect()
        }
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(key, value)| (key.clone(), filled(value, items))).collect())
        }
        other => placeholders::fill_in(other, &items[0]),
    }
}

/// The smallest time that `percent` of all do not exceed (nearest rank).
fn percentile(times: &[Duration], percent: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let times: Vec<Duration> = (1..=300).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(&times, 95), Duration::from_millis(285));
        assert_eq!(percentile(&times[..1], 50), Duration::from_millis(300));
    }

    #[test]
    fn a_new_timestamp_is_not_progress() {
        let answer = |done: u32, time: &str| {
            let body = json!({ "done": done, "state": "running", "checked_at": time }).to_string();
            without_dates(&HttpResponse { body: body.into(), ..HttpResponse::default() })
        };
        let first = answer(1, "2026-11-28T20:00:57.853Z");
        assert_eq!(answer(1, "2026-11-29 21:01:58"), first);
        assert!(answer(2, "2026-11-28T20:00:57.853Z") != first && answer(1, "2026") != first);
    }

    #[test]
    fn a_list_of_one_element_gets_one_for_each_item() {
        let items: Vec<Values> =
            (0..3).map(|number| Values::from([("number".to_owned(), json!(number))])).collect();
        let template = json!({ "concepts": [{ "id": "${number}" }], "limit": 2 });
        let expected = json!({ "concepts": [{ "id": 0 }, { "id": 1 }, { "id": 2 }], "limit": 2 });
        assert_eq!(filled(&template, &items), expected);
    }
}
