//! The originals' answers, compared with those of optimized images.

use std::collections::BTreeMap;

use crate::probes::report::{ProbeOutcome, ProbeVerdict};
use crate::probes::run::ProbeResult;
use host::secrets::Secrets;
use model::parity::differences;
use model::recorded::RecordedResponse;

/// By group and probe: the original's answer, or why there is none.
#[derive(Debug, Clone, Default)]
pub(crate) struct OriginalAnswers(BTreeMap<(String, String), Result<RecordedResponse, String>>);

impl OriginalAnswers {
    /// The answers of running originals, with the secrets of their stack masked.
    pub(crate) fn live(results: &[ProbeResult<'_>], own: &Secrets) -> OriginalAnswers {
        let mut answers = OriginalAnswers::default();
        for result in results {
            let answer = match &result.answer {
                Some(answer) if result.outcome.passed() => Ok(RecordedResponse::of(answer, own)),
                _ => Err("the original failed this probe".to_owned()),
            };
            answers.insert(&result.outcome.group, &result.outcome.probe, answer);
        }
        answers
    }

    pub(super) fn insert(&mut self, group: &str, probe: &str, answer: Result<RecordedResponse, String>) {
        self.0.insert((group.to_owned(), probe.to_owned()), answer);
    }

    /// Compares the answers of optimized images, probe by probe. `own`: the secrets of their stack, masked before the comparison
    /// because they differ in each stack; `secrets`: everything that must not be printed.
    pub(crate) fn compare(
        &self,
        optimized: &[ProbeResult<'_>],
        own: &Secrets,
        secrets: &Secrets,
    ) -> Vec<ProbeOutcome> {
        optimized.iter().map(|result| self.compare_one(result, own, secrets)).collect()
    }

    fn compare_one(&self, result: &ProbeResult<'_>, own: &Secrets, secrets: &Secrets) -> ProbeOutcome {
        let key = (result.outcome.group.clone(), result.outcome.probe.clone());
        let wrong = match (self.0.get(&key), &result.answer) {
            (_, None) => {
                let reason = "the optimized image did not answer".to_owned();
                return ProbeOutcome { verdict: ProbeVerdict::Skipped { reason }, ..result.outcome.clone() };
            }
            (None, _) => vec!["no answer of the original".to_owned()],
            (Some(Err(reason)), _) => vec![reason.clone()],
            (Some(Ok(original)), Some(answer)) => {
                differences(original, &RecordedResponse::of(answer, own), &result.probe.parity, secrets)
            }
        };
        let request = &result.probe.request;
        let request = format!("{} {} of {}", request.method.name(), request.path, result.probe.service);
        let verdict =
            if wrong.is_empty() { ProbeVerdict::Passed } else { ProbeVerdict::failed(wrong, &request) };
        ProbeOutcome { verdict, ..result.outcome.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::plan::fixtures::probe;
    use model::parity::ParityRules;
    use model::probe::Probe;
    use model::response::HttpResponse;
    use serde_json::{Value, json};

    fn result(probe: &Probe, body: Option<Value>, verdict: ProbeVerdict) -> ProbeResult<'_> {
        let answer = |body: Value| HttpResponse {
            status: 200,
            content_type: "application/json".into(),
            body: body.to_string().into(),
            ..HttpResponse::default()
        };
        let (group, name) = ("alpha".into(), probe.name.clone());
        let outcome = ProbeOutcome { group, probe: name, verdict, milliseconds: 1, tries: 1 };
        ProbeResult { probe, outcome, answer: body.map(answer) }
    }

    fn secret(value: &str) -> Secrets {
        let secrets = Secrets::default();
        secrets.add(value);
        secrets
    }

    fn verdict(original: ProbeResult<'_>, optimized: ProbeResult<'_>) -> ProbeVerdict {
        let (one, other) = (secret("key of one"), secret("key of other"));
        OriginalAnswers::live(&[original], &one).compare(&[optimized], &other, &other).remove(0).verdict
    }

    #[test]
    fn equal_answers_pass_and_differences_are_listed() {
        let probe =
            Probe { parity: ParityRules { ignore: vec!["/id".into()], ..ParityRules::default() }, ..probe() };
        let answer = |word: &str, id: u32| {
            result(&probe, Some(json!({ "id": id, "word": word })), ProbeVerdict::Passed)
        };
        assert_eq!(verdict(answer("a", 1), answer("a", 2)), ProbeVerdict::Passed);
        let wrong = vec!["/word was \"a\", is \"b\"".to_owned()];
        assert_eq!(verdict(answer("a", 1), answer("b", 1)), ProbeVerdict::failed(wrong, "GET / of alpha"));
    }

    #[test]
    fn each_stack_has_its_own_secrets() {
        let probe = probe();
        let echo = |key: &str| result(&probe, Some(json!({ "key": key })), ProbeVerdict::Passed);
        assert_eq!(verdict(echo("my key of one"), echo("my key of other")), ProbeVerdict::Passed);
        let wrong = vec!["/key was \"***\", is \"wrong\"".to_owned()];
        assert_eq!(verdict(echo("key of one"), echo("wrong")), ProbeVerdict::failed(wrong, "GET / of alpha"));
    }

    #[test]
    fn nothing_passes_without_the_originals_answer() {
        let probe = probe();
        let good = || result(&probe, Some(json!({})), ProbeVerdict::Passed);
        let bad = |body| result(&probe, body, ProbeVerdict::failed(vec!["x".into()], ""));
        assert!(matches!(verdict(bad(Some(json!({}))), good()), ProbeVerdict::Failed { .. }));
        let unknown =
            OriginalAnswers::default().compare(&[good()], &Secrets::default(), &Secrets::default()).remove(0);
        assert!(matches!(unknown.verdict, ProbeVerdict::Failed { .. }));
        assert!(matches!(verdict(good(), bad(None)), ProbeVerdict::Skipped { .. }));
    }
}
