//! How long to wait for an answer and how long to retry: less once waiting was in vain.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::http::NoAnswer;
use crate::probes::endpoints::Endpoints;
use model::probe::Probe;

const ANSWER: Duration = Duration::from_secs(30);
/// Docker's port forwarding may come up a moment after the service itself.
const CONNECTION: Duration = Duration::from_secs(3);
/// For probes declared as `eventually`.
const EVENTUALLY: Duration = Duration::from_secs(30);
/// For a service that asks to come back later (429): the probes of a few runs are more than a rate limit lets pass.
const RATE_LIMITED: Duration = Duration::from_secs(30);
/// For answers that are unlikely to come.
const SHORT: Duration = Duration::from_secs(2);

/// Decides by what the run has seen of each service so far.
#[derive(Debug, Default)]
pub(super) struct RetryPolicy {
    /// Whether a service of the stack has no endpoint.
    incomplete: bool,
    answered: BTreeSet<String>,
    silent: BTreeSet<String>,
}

impl RetryPolicy {
    pub(super) fn new(endpoints: &Endpoints) -> RetryPolicy {
        RetryPolicy { incomplete: endpoints.values().any(Result::is_err), ..RetryPolicy::default() }
    }

    /// Records whether a service answered.
    pub(super) fn record(&mut self, service: &str, result: Result<(), &NoAnswer>) {
        let seen = if result.is_ok() { &mut self.answered } else { &mut self.silent };
        seen.insert(service.to_owned());
    }

    /// The timeout of one request. A hung service gets the full timeout only once.
    pub(super) fn answer_timeout(&self, service: &str) -> Duration {
        if self.silent.contains(service) { SHORT } else { ANSWER }
    }

    /// How long after the first request to retry, by the status or the error. A connection that breaks after the service
    /// has answered before is a fault, which a retry would hide.
    pub(super) fn retry_for(&self, probe: &Probe, result: Result<u16, &NoAnswer>) -> Duration {
        if result.is_ok_and(|status| status == 429) {
            return RATE_LIMITED;
        }
        let unhealthy = self.incomplete || !self.silent.is_empty();
        let eventually = match probe.eventually {
            true if unhealthy => SHORT,
            true => EVENTUALLY,
            false => Duration::ZERO,
        };
        let is_starting =
            result.is_err_and(|error| error.is_connection()) && !self.answered.contains(&probe.service);
        if is_starting { eventually.max(CONNECTION) } else { eventually }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::NoAnswerKind;
    use crate::probes::plan::fixtures;

    fn probe(eventually: bool) -> Probe {
        Probe { eventually, ..fixtures::probe() }
    }

    fn no_answer(is_connection: bool) -> NoAnswer {
        let kind = if is_connection { NoAnswerKind::Broken } else { NoAnswerKind::Late };
        NoAnswer { what: "x".into(), kind }
    }

    #[test]
    fn a_starting_service_is_retried_and_a_broken_one_is_not() {
        let mut policy = RetryPolicy::new(&Endpoints::new());
        assert_eq!(policy.retry_for(&probe(false), Err(&no_answer(true))), CONNECTION);
        assert_eq!(policy.retry_for(&probe(false), Err(&no_answer(false))), Duration::ZERO);
        policy.record("alpha", Ok(()));
        assert_eq!(policy.retry_for(&probe(false), Err(&no_answer(true))), Duration::ZERO);
        assert_eq!(policy.retry_for(&probe(false), Ok(200)), Duration::ZERO);
        assert_eq!(policy.retry_for(&probe(true), Ok(200)), EVENTUALLY);
    }

    #[test]
    fn a_rate_limit_is_waited_for() {
        let policy = RetryPolicy::new(&Endpoints::new());
        assert_eq!(policy.retry_for(&probe(false), Ok(429)), RATE_LIMITED);
    }

    #[test]
    fn a_hung_or_missing_service_is_waited_for_only_once() {
        let mut policy = RetryPolicy::new(&Endpoints::new());
        assert_eq!(policy.answer_timeout("alpha"), ANSWER);
        policy.record("alpha", Err(&no_answer(false)));
        assert_eq!((policy.answer_timeout("alpha"), policy.answer_timeout("beta")), (SHORT, ANSWER));
        assert_eq!(policy.retry_for(&probe(true), Ok(200)), SHORT);
        let endpoints = Endpoints::from([("beta".to_owned(), Err("it has ended".to_owned()))]);
        assert_eq!(RetryPolicy::new(&endpoints).retry_for(&probe(true), Ok(200)), SHORT);
    }
}
