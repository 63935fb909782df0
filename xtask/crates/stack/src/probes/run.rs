//! Sending probes one after another, each with what earlier ones handed on.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::Value;

use crate::http::Client;
use crate::probes::endpoints::Doors;
use crate::probes::patience::Patience;
use crate::probes::report::{Outcome, Verdict};
use host::interrupt::Interrupt;
use host::wait;
use model::expectation::shortened;
use model::placeholders::{RUN, Values};
use model::probe::Probe;
use model::response::HttpResponse;

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(100);
/// Characters of an answer that are shown.
const SHOWN: usize = 400;

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
    pub answer: Option<HttpResponse>,
}

/// A run over a stack.
#[derive(Debug)]
pub struct Run<'a> {
    /// Where services are asked.
    pub doors: &'a Doors,
    /// What every probe knows: plain secrets, the run's own word.
    pub known: &'a Values,
    /// Ends it.
    pub interrupt: &'a Interrupt,
}

impl Run<'_> {
    /// Sends all probes of all groups.
    ///
    /// # Errors
    /// When the person interrupts.
    pub fn all<'m>(&self, groups: &[Group<'m>]) -> Result<Vec<Done<'m>>> {
        let mut all = Vec::new();
        let mut patience = Patience::new(self.doors);
        for group in groups {
            let mut client = Client::new();
            let mut known = self.known.clone();
            for probe in &group.probes {
                let done = self.one(&group.name, probe, &mut client, &known, &mut patience)?;
                if let (true, Some(answer)) = (done.outcome.passed(), &done.answer) {
                    known.extend(probe.captured(answer));
                }
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
        known: &Values,
        patience: &mut Patience,
    ) -> Result<Done<'m>> {
        let started = Instant::now();
        let (mut tries, mut last) = (0, None);
        let verdict = match self.door(probe, known) {
            Err(verdict) => verdict,
            Ok(host) => {
                let request = probe.filled(known);
                loop {
                    self.interrupt.check()?;
                    tries += 1;
                    let came = client.send(host, &request, patience.answer(&probe.service));
                    let wrong = match &came {
                        Ok(answer) => probe.judge(answer, known),
                        Err(none) => vec![none.what.clone()],
                    };
                    let again = patience.again(probe, came.as_ref().map(drop));
                    patience.note(&probe.service, came.as_ref().map(drop));
                    last = came.ok();
                    if wrong.is_empty() {
                        break Verdict::Passed;
                    }
                    if started.elapsed() >= again {
                        break self.told(wrong, host, probe, known, last.as_ref());
                    }
                    wait::pause(PAUSE, self.interrupt)?;
                }
            }
        };
        let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (group, name) = (group.to_owned(), probe.name.clone());
        let outcome = Outcome { group, probe: name, verdict, milliseconds, tries };
        Ok(Done { probe, outcome, answer: last })
    }

    /// Where a probe is asked, or why it is not.
    fn door(&self, probe: &Probe, known: &Values) -> Result<&str, Verdict> {
        if let Some(missing) = probe.needs().into_iter().find(|need| !known.contains_key(need)) {
            return Err(Verdict::Skipped { reason: format!("nothing handed on `{missing}`") });
        }
        match self.doors.get(&probe.service) {
            Some(Ok(host)) => Ok(host),
            Some(Err(reason)) => Err(failed(vec![reason.clone()])),
            None => Err(failed(vec![format!("{} is no part of this stack", probe.service)])),
        }
    }

    /// A failure in words, in which no secret stands: an answer may repeat what it was asked.
    fn told(
        &self,
        wrong: Vec<String>,
        host: &str,
        probe: &Probe,
        known: &Values,
        answer: Option<&HttpResponse>,
    ) -> Verdict {
        let mask = |text: &str| {
            // What every probe knows are secrets, and the run's own word.
            let secrets = self.known.iter().filter(|(name, _)| *name != RUN).map(|(_, value)| value);
            let texts = secrets.filter_map(Value::as_str).filter(|value| !value.is_empty());
            texts.fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
        };
        let masked = answer.map(|answer| HttpResponse { body: mask(&answer.body), ..answer.clone() });
        // Judged anew, since a line that was cut might end within a secret.
        let again = masked.as_ref().map(|masked| probe.judge(masked, known)).unwrap_or_default();
        let wrong = if again.is_empty() { wrong } else { again };
        let asked = format!("{} http://{host}{}", probe.request.method.name(), probe.filled(known).path);
        Verdict::Failed {
            wrong: wrong.iter().map(|line| mask(line)).collect(),
            request: mask(&asked),
            answer: masked.map(|answer| shortened(answer.body.trim(), SHOWN)).unwrap_or_default(),
        }
    }
}

fn failed(wrong: Vec<String>) -> Verdict {
    Verdict::Failed { wrong, request: String::new(), answer: String::new() }
}
