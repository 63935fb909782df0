//! How long to wait for what: less where waiting has shown to be in vain.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::http::Unanswered;
use crate::probes::endpoints::Doors;
use model::probe::Probe;

/// For an answer.
const ANSWER: Duration = Duration::from_secs(30);
/// For somebody who takes the connection: docker's forwarding may come up a moment after the service itself.
const CONNECTION: Duration = Duration::from_secs(3);
/// For what comes true eventually.
const EVENTUALLY: Duration = Duration::from_secs(30);
/// For anything of which it is known that it will hardly come.
const HARDLY: Duration = Duration::from_secs(2);

/// What a run has seen of services so far.
#[derive(Debug, Default)]
pub struct Patience {
    /// Whether a service of the stack cannot be asked at all.
    incomplete: bool,
    answered: BTreeSet<String>,
    silent: BTreeSet<String>,
}

impl Patience {
    /// Of a run that has asked nobody yet.
    pub fn new(doors: &Doors) -> Patience {
        Patience { incomplete: doors.values().any(Result::is_err), ..Patience::default() }
    }

    /// Takes note of an answer, or of none.
    pub fn note(&mut self, service: &str, came: Result<(), &Unanswered>) {
        let seen = if came.is_ok() { &mut self.answered } else { &mut self.silent };
        seen.insert(service.to_owned());
    }

    /// For an answer of a service: a hung one has been waited for once.
    pub fn answer(&self, service: &str) -> Duration {
        if self.silent.contains(service) { HARDLY } else { ANSWER }
    }

    /// How long after the first request what came may still get better. What broke a connection to a service that had answered
    /// before is no start, but a fault: asking again would hide it.
    pub fn again(&self, probe: &Probe, came: Result<(), &Unanswered>) -> Duration {
        let unwell = self.incomplete || !self.silent.is_empty();
        let eventually = match probe.eventually {
            true if unwell => HARDLY,
            true => EVENTUALLY,
            false => Duration::ZERO,
        };
        let starts = came.is_err_and(|none| none.is_connection) && !self.answered.contains(&probe.service);
        if starts { eventually.max(CONNECTION) } else { eventually }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::expectation::Expectation;
    use model::parity::ParityRules;
    use model::probe::{Body, HttpRequest, Method};
    use std::collections::BTreeMap;

    fn probe(eventually: bool) -> Probe {
        let request = HttpRequest {
            method: Method::Get,
            path: "/".into(),
            headers: BTreeMap::new(),
            body: Body::Empty,
        };
        let expect = Expectation { status: 200, checks: Vec::new() };
        let (name, service, parity) = ("p".into(), "alpha".into(), ParityRules::default());
        Probe { name, service, request, expect, capture: None, eventually, typical: false, parity }
    }

    fn none(is_connection: bool) -> Unanswered {
        Unanswered { what: "x".into(), is_connection }
    }

    #[test]
    fn a_service_that_starts_is_waited_for_and_one_that_breaks_is_not() {
        let mut patience = Patience::new(&Doors::new());
        assert_eq!(patience.again(&probe(false), Err(&none(true))), CONNECTION);
        assert_eq!(patience.again(&probe(false), Err(&none(false))), Duration::ZERO);
        patience.note("alpha", Ok(()));
        assert_eq!(patience.again(&probe(false), Err(&none(true))), Duration::ZERO);
        assert_eq!(patience.again(&probe(false), Ok(())), Duration::ZERO);
        assert_eq!(patience.again(&probe(true), Ok(())), EVENTUALLY);
    }

    #[test]
    fn a_hung_or_missing_service_is_waited_for_once() {
        let mut patience = Patience::new(&Doors::new());
        assert_eq!(patience.answer("alpha"), ANSWER);
        patience.note("alpha", Err(&none(false)));
        assert_eq!((patience.answer("alpha"), patience.answer("beta")), (HARDLY, ANSWER));
        assert_eq!(patience.again(&probe(true), Ok(())), HARDLY);
        let doors = Doors::from([("beta".to_owned(), Err("it has ended".to_owned()))]);
        assert_eq!(Patience::new(&doors).again(&probe(true), Ok(())), HARDLY);
    }
}
