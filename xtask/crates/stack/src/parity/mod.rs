//! Whether optimized images answer as the originals do: the same requests to both, or to one and to a record of the other.

pub mod record;

use std::collections::BTreeMap;

use crate::probes::report::{Outcome, Verdict};
use crate::probes::run::Done;
use model::parity::{RecordedResponse, differences};

/// What the originals answered, by group and probe.
#[derive(Debug, Clone, Default)]
pub struct Answers(BTreeMap<(String, String), Answered>);

/// What stands on the original's side of one probe.
#[derive(Debug, Clone)]
pub enum Answered {
    /// What it answered.
    With(RecordedResponse),
    /// Why nothing is known.
    Not(String),
}

impl Answers {
    /// Of originals that were asked just now.
    pub fn live(done: &[Done<'_>]) -> Answers {
        let one = |done: &Done<'_>| {
            let answered = match &done.answer {
                Some(answer) if done.outcome.passed() => Answered::With(RecordedResponse::from(answer)),
                _ => Answered::Not("the original did not pass its own probe".to_owned()),
            };
            ((done.outcome.group.clone(), done.outcome.probe.clone()), answered)
        };
        Answers(done.iter().map(one).collect())
    }

    /// Adds what stands on the original's side of a probe.
    pub fn insert(&mut self, group: &str, probe: &str, answered: Answered) {
        self.0.insert((group.to_owned(), probe.to_owned()), answered);
    }

    /// Compares what the optimized images answered, probe by probe.
    pub fn compare(&self, optimized: &[Done<'_>]) -> Vec<Outcome> {
        optimized.iter().map(|done| self.one(done)).collect()
    }

    fn one(&self, done: &Done<'_>) -> Outcome {
        let key = (done.outcome.group.clone(), done.outcome.probe.clone());
        let verdict = match (self.0.get(&key), &done.answer) {
            (_, None) => Verdict::Skipped { reason: "the optimized image did not answer".to_owned() },
            (None, _) => failed(vec!["nothing is known of the original's answer".to_owned()], done),
            (Some(Answered::Not(why)), _) => failed(vec![why.clone()], done),
            (Some(Answered::With(original)), Some(answer)) => {
                match differences(original, &RecordedResponse::from(answer), &done.probe.parity).as_slice() {
                    [] => Verdict::Passed,
                    wrong => failed(wrong.to_vec(), done),
                }
            }
        };
        Outcome { verdict, ..done.outcome.clone() }
    }
}

fn failed(wrong: Vec<String>, done: &Done<'_>) -> Verdict {
    let request = &done.probe.request;
    let request = format!("{} {} of {}", request.method.name(), request.path, done.probe.service);
    Verdict::Failed { wrong, request, answer: String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::expectation::Expectation;
    use model::parity::ParityRules;
    use model::probe::{Body, HttpRequest, Method, Probe};
    use model::response::HttpResponse;
    use serde_json::json;

    fn probe() -> Probe {
        Probe {
            name: "ask".into(),
            service: "alpha".into(),
            request: HttpRequest {
                method: Method::Get,
                path: "/a".into(),
                headers: BTreeMap::new(),
                body: Body::Empty,
            },
            expect: Expectation { status: 200, checks: Vec::new() },
            capture: None,
            eventually: false,
            typical: false,
            parity: ParityRules { ignore: vec!["/id".into()], ..ParityRules::default() },
        }
    }

    fn done<'p>(probe: &'p Probe, body: Option<serde_json::Value>, verdict: Verdict) -> Done<'p> {
        let answer = |body: serde_json::Value| HttpResponse {
            status: 200,
            content_type: "application/json".into(),
            body: body.to_string(),
            cookies: BTreeMap::new(),
        };
        let outcome =
            Outcome { group: "alpha".into(), probe: "ask".into(), verdict, milliseconds: 1, tries: 1 };
        Done { probe, outcome, answer: body.map(answer) }
    }

    fn verdict(original: Done<'_>, optimized: Done<'_>) -> Verdict {
        Answers::live(&[original]).compare(&[optimized]).remove(0).verdict
    }

    #[test]
    fn equal_answers_pass_and_a_difference_is_told() {
        let probe = probe();
        let answered =
            |word: &str, id: u32| done(&probe, Some(json!({ "id": id, "word": word })), Verdict::Passed);
        assert_eq!(verdict(answered("a", 1), answered("a", 2)), Verdict::Passed);
        let Verdict::Failed { wrong, request, .. } = verdict(answered("a", 1), answered("b", 1)) else {
            panic!("a difference passed")
        };
        assert_eq!(wrong, ["/word was \"a\", is \"b\""]);
        assert_eq!(request, "GET /a of alpha");
    }

    #[test]
    fn without_an_original_nothing_passes() {
        let probe = probe();
        let good = || done(&probe, Some(json!({})), Verdict::Passed);
        let bad =
            || Verdict::Failed { wrong: vec!["x".into()], request: String::new(), answer: String::new() };
        assert!(matches!(verdict(done(&probe, Some(json!({})), bad()), good()), Verdict::Failed { .. }));
        let nothing = Answers::default().compare(&[good()]).remove(0);
        assert!(matches!(nothing.verdict, Verdict::Failed { .. }));
        assert!(matches!(verdict(good(), done(&probe, None, bad())), Verdict::Skipped { .. }));
    }
}
