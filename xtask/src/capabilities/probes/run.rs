//! Sending probes one after another, each with what earlier ones handed on.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::Value;

use super::doors::Doors;
use crate::capabilities::manifest::RUN;
use crate::domain::probe::{Answer, Known, Probe, Request, shortened};
use crate::domain::probe_report::{Outcome, Verdict};
use crate::system::http::{Client, Unanswered};
use crate::system::interrupt::{Interrupt, Interrupted};

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(100);
/// Characters of an answer that are shown.
const SHOWN: usize = 400;

/// How long to wait for what.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For an answer.
    pub answer: Duration,
    /// For somebody who takes the connection: docker's forwarding may come up a moment after the service itself.
    pub connection: Duration,
    /// For what comes true eventually.
    pub eventually: Duration,
    /// The same once a probe has failed: the stack is not well, and a person waits for the verdict.
    pub eventually_unwell: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience {
            answer: Duration::from_secs(30),
            connection: Duration::from_secs(3),
            eventually: Duration::from_secs(30),
            eventually_unwell: Duration::from_secs(2),
        }
    }
}

/// Probes that share captures, under the name of a service or a scenario.
#[derive(Debug, Clone)]
pub struct Group<'m> {
    /// For people.
    pub name: String,
    /// In order.
    pub probes: Vec<&'m Probe>,
}

/// An outcome, with the answer it was judged by.
#[derive(Debug, Clone)]
pub struct Done<'m> {
    /// The probe.
    pub probe: &'m Probe,
    /// What it came to.
    pub outcome: Outcome,
    /// What came back last.
    pub answer: Option<Answer>,
}

/// A run over a stack.
#[derive(Debug)]
pub struct Run<'a> {
    /// Where services are asked.
    pub doors: &'a Doors,
    /// What every probe knows: plain secrets, the run's own word.
    pub known: &'a Known,
    /// How long to wait.
    pub patience: Patience,
    /// Ends it.
    pub interrupt: &'a Interrupt,
}

impl Run<'_> {
    /// Sends all probes of all groups; `each` sees every outcome as it comes.
    ///
    /// # Errors
    /// When the person interrupts.
    pub fn all<'m>(&self, groups: &[Group<'m>], mut each: impl FnMut(&Outcome)) -> Result<Vec<Done<'m>>> {
        let mut all = Vec::new();
        let mut patience = self.patience;
        for group in groups {
            let mut client = Client::new(self.patience.answer);
            let mut known = self.known.clone();
            for probe in &group.probes {
                let done = self.one(&group.name, probe, &mut client, &known, patience)?;
                if let (true, Some(answer)) = (done.outcome.passed(), &done.answer) {
                    known.extend(probe.captured(answer));
                }
                if !done.outcome.passed() {
                    patience.eventually = patience.eventually_unwell;
                }
                each(&done.outcome);
                all.push(done);
            }
        }
        Ok(all)
    }

    fn one<'m>(
        &self,
        group: &str,
        probe: &'m Probe,
        client: &mut Client,
        known: &Known,
        patience: Patience,
    ) -> Result<Done<'m>> {
        let started = Instant::now();
        let mut tries = 0;
        let mut last = None;
        let verdict = 'verdict: {
            if let Some(missing) = probe.needs().into_iter().find(|need| !known.contains_key(need)) {
                let reason = format!("nothing handed on `{missing}`");
                break 'verdict Verdict::Skipped { reason };
            }
            let host = match self.doors.get(&probe.service) {
                Some(Ok(host)) => host,
                Some(Err(reason)) => break 'verdict failed(vec![reason.clone()]),
                None => break 'verdict failed(vec![format!("{} is no part of this stack", probe.service)]),
            };
            let request = probe.filled(known);
            loop {
                if self.interrupt.is_set() {
                    return Err(Interrupted.into());
                }
                tries += 1;
                let came = client.send(host, &request);
                let (wrong, worth) = judged(probe, &came, known, patience);
                last = came.ok();
                if wrong.is_empty() {
                    break Verdict::Passed;
                }
                if started.elapsed() >= worth {
                    break self.told(wrong, host, probe, &request, last.as_ref());
                }
                std::thread::sleep(PAUSE);
            }
        };
        let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (group, name) = (group.to_owned(), probe.name.clone());
        let outcome = Outcome { group, probe: name, verdict, milliseconds, tries };
        Ok(Done { probe, outcome, answer: last })
    }

    /// A failure in words, in which no secret stands.
    fn told(
        &self,
        wrong: Vec<String>,
        host: &str,
        probe: &Probe,
        request: &Request,
        answer: Option<&Answer>,
    ) -> Verdict {
        let mask = |text: &str| {
            // What every probe knows are secrets, and the run's own word.
            let secrets = self.known.iter().filter(|(name, _)| *name != RUN).map(|(_, value)| value);
            let texts = secrets.filter_map(Value::as_str).filter(|value| !value.is_empty());
            texts.fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
        };
        let asked = format!("{} http://{host}{}", probe.request.method.name(), request.path);
        Verdict::Failed {
            wrong: wrong.iter().map(|line| mask(line)).collect(),
            request: mask(&asked),
            answer: answer.map(|answer| shortened(mask(&answer.body).trim(), SHOWN)).unwrap_or_default(),
        }
    }
}

fn failed(wrong: Vec<String>) -> Verdict {
    Verdict::Failed { wrong, request: String::new(), answer: String::new() }
}

/// What is wrong with what came, and how long after the first request it may still get better.
fn judged(
    probe: &Probe,
    came: &Result<Answer, Unanswered>,
    known: &Known,
    patience: Patience,
) -> (Vec<String>, Duration) {
    let eventually = if probe.eventually { patience.eventually } else { Duration::ZERO };
    match came {
        Ok(answer) => (probe.judge(answer, known), eventually),
        Err(none) if none.is_connection => (vec![none.what.clone()], eventually.max(patience.connection)),
        Err(none) => (vec![none.what.clone()], eventually),
    }
}
