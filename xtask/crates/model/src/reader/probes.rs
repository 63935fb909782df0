//! Probes of a service, `[[service.NAME.probe]]`, and the steps of scenarios and loads.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::edition::Edition;
use crate::expectation::{BodyCheck, BodyTest, Expectation};
use crate::file::{self, Named};
use crate::load::{GENERATED, Load, LoadStep};
use crate::names::Unknown;
use crate::parity::{ParityRules, Tolerance};
use crate::placeholders::RUN;
use crate::probe::{Body, Capture, CaptureSource, HttpRequest, Method, Probe, Scenario};
use crate::reader::load::is_plain;
use crate::reader::place::Place;
use crate::reader::services::only;

/// The largest number in a load.
const MOST: u64 = 10_000_000;

/// The largest body of spaces.
const MOST_SPACES: u32 = 100_000_000;

/// Keys that only the steps of loads have.
const OF_LOADS: [&str; 7] = ["count", "warm-up", "clients", "items", "dimension", "restart", "environment"];

/// The probes of a service. `available` are the allowed placeholders; captures are added.
pub(super) fn of_service(
    file: &[file::Probe],
    list: &Place<'_>,
    service: &str,
    editions: &[Edition],
    available: &mut BTreeSet<String>,
) -> Vec<Probe> {
    let mut names = BTreeSet::new();
    let one = |(position, file): (usize, &file::Probe)| {
        let place = list.at(position);
        refuse_keys_of_loads(&place);
        if place.has("service") {
            place.key("service").fault("the probe is the service's own: remove the key");
        }
        Some(in_editions(probe(file, &place, service, available, &mut names)?, file, &place, editions))
    };
    file.iter().enumerate().filter_map(one).collect()
}

/// The scenarios. Each can use the `available` placeholders and its own captures.
pub(super) fn scenarios(
    file: &Named<Vec<file::Probe>>,
    table: &Place<'_>,
    services: &[&str],
    editions: &[Edition],
    available: &BTreeSet<String>,
) -> Vec<Scenario> {
    let one = |(name, steps): (&str, &Vec<file::Probe>)| {
        let list = table.key(name);
        if services.contains(&name) || !is_plain(name) {
            list.at(0).fault(format!(
                "invalid scenario name `{name}`: use lower-case letters, digits and `-`, and not a service's name"
            ));
        }
        let (mut available, mut names) = (available.clone(), BTreeSet::new());
        let step = |(position, file)| {
            let place = list.at(position);
            refuse_keys_of_loads(&place);
            let step = step(file, &place, services, &mut available, &mut names)?;
            Some(in_editions(step, file, &place, editions))
        };
        Scenario { name: name.to_owned(), steps: steps.iter().enumerate().filter_map(step).collect() }
    };
    file.iter().map(one).collect()
}

/// The loads. Each can also use generated values.
pub(super) fn loads(
    file: &Named<Vec<file::Probe>>,
    table: &Place<'_>,
    services: &[&str],
    available: &BTreeSet<String>,
) -> Vec<Load> {
    let one = |(name, steps): (&str, &Vec<file::Probe>)| {
        let (list, mut names) = (table.key(name), BTreeSet::new());
        let mut available = available.clone();
        available.extend(GENERATED.map(str::to_owned));
        let step = |(position, file): (usize, &file::Probe)| {
            let place = list.at(position);
            if place.has("only") {
                place.key("only").fault("a load runs in every edition: remove the key");
            }
            let number = |key, value: Option<u64>, least| {
                let number = value.unwrap_or(least);
                if !(least..=MOST).contains(&number) {
                    place.key(key).fault(format!("must be a whole number from {least} to {MOST}"));
                }
                number
            };
            Some(LoadStep {
                count: number("count", file.count, 1),
                warm_up: number("warm-up", file.warm_up, 0),
                clients: number("clients", file.clients, 1),
                items: number("items", file.items, 1),
                dimension: number("dimension", file.dimension, 1),
                restart: file.restart.unwrap_or_default(),
                environment: file.environment.clone().unwrap_or_default(),
                probe: step(file, &place, services, &mut available, &mut names)?,
            })
        };
        Load { name: name.to_owned(), steps: steps.iter().enumerate().filter_map(step).collect() }
    };
    file.iter().map(one).collect()
}

/// Restricts a probe to the editions that `only` names. What later probes or measurements need must be for all editions.
fn in_editions(probe: Probe, file: &file::Probe, place: &Place<'_>, editions: &[Edition]) -> Probe {
    let Some(names) = &file.only else { return probe };
    if probe.typical || probe.capture.is_some() {
        place.key("only").fault("a probe with `only` must not be `typical` and must not have a `capture`");
    }
    Probe { only: only(names, editions, &place.key("only")), ..probe }
}

fn refuse_keys_of_loads(place: &Place<'_>) {
    for key in OF_LOADS.iter().filter(|key| place.has(key)) {
        place.key(key).fault("only a step of a load has it: remove the key");
    }
}

/// Reads a probe that names the service it asks.
fn step(
    file: &file::Probe,
    place: &Place<'_>,
    services: &[&str],
    available: &mut BTreeSet<String>,
    names: &mut BTreeSet<String>,
) -> Option<Probe> {
    match &file.service {
        Some(service) if services.contains(&service.as_str()) => {}
        Some(service) => {
            place.key("service").fault(Unknown::new("service", service, services.iter().copied()))
        }
        None => place.require(&["service"]),
    }
    probe(file, place, file.service.as_deref()?, available, names)
}

fn probe(
    file: &file::Probe,
    place: &Place<'_>,
    service: &str,
    available: &mut BTreeSet<String>,
    names: &mut BTreeSet<String>,
) -> Option<Probe> {
    place.require(&["name", "request"]);
    if !names.insert(file.name.clone()) && !file.name.is_empty() {
        let text = format!("another probe is named `{}`: choose another name", file.name);
        place.key("name").fault(text);
    }
    let status = file.status.unwrap_or(200);
    if !(100..=599).contains(&status) {
        place.key("status").fault("must be a whole number from 100 to 599");
    }
    let expect = place.key("expect");
    let checks = file.expect.iter().enumerate();
    let checks = checks.filter_map(|(position, file)| check(file, &expect.at(position))).collect();
    // All parts are read before one of them ends it, for all faults at once.
    let request = request(&file.request, &place.key("request"));
    let capture = file.capture.as_ref().and_then(|file| capture(file, &place.key("capture")));
    let parity = parity(&file.parity, &place.key("parity"));
    let probe = Probe {
        name: file.name.clone(),
        service: service.to_owned(),
        only: Vec::new(),
        request: request?,
        expect: Expectation { status, checks },
        capture,
        eventually: file.eventually,
        typical: file.typical,
        parity,
    };
    // It is repeated many times, without other probes.
    let alone = |need: &String| need == RUN || need.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    if probe.typical && (probe.eventually || !probe.needs().iter().all(alone)) {
        place.key("typical").fault("a typical request must not be `eventually` and must not use captures");
    }
    for need in probe.needs().iter().filter(|need| !available.contains(*need)) {
        let unknown = Unknown::new("placeholder", need, available.iter().map(String::as_str));
        place.fault(format!("{unknown}; add an earlier `capture`"));
    }
    available.extend(probe.capture.as_ref().map(|capture| capture.name.clone()));
    Some(probe)
}

fn request(file: &file::Request, place: &Place<'_>) -> Option<HttpRequest> {
    if place.value().is_some() && place.count(&["get", "post", "delete"]) != 1 {
        place.fault("must have exactly one of `get`, `post` and `delete`, with the path");
    }
    let get = file.get.as_ref().map(|path| (Method::Get, "get", path));
    let post = || Some((Method::Post, "post", file.post.as_ref()?));
    let delete = || Some((Method::Delete, "delete", file.delete.as_ref()?));
    let (method, key, path) = get.or_else(post).or_else(delete)?;
    if !path.starts_with('/') {
        place.key(key).fault(format!("invalid path `{path}`: start it with `/`"));
    }
    let keys = ["json", "text", "bytes", "type"].map(|key| place.has(key));
    let body = match keys {
        [false, false, false, false] => Body::Empty,
        [true, false, false, false] => Body::Json(file.json.clone()?),
        [false, true, false, true] => {
            Body::Text { content_type: file.r#type.clone()?, text: file.text.clone()? }
        }
        [false, false, true, true] => {
            Body::Spaces { content_type: file.r#type.clone()?, bytes: spaces(file.bytes?, place) }
        }
        _ => {
            place.fault("must have a body as `json`, as `text` or `bytes` with its `type`, or none");
            return None;
        }
    };
    Some(HttpRequest { method, path: path.clone(), headers: file.headers.clone(), body })
}

fn spaces(bytes: u32, place: &Place<'_>) -> u32 {
    if !(1..=MOST_SPACES).contains(&bytes) {
        place.key("bytes").fault(format!("must be a whole number from 1 to {MOST_SPACES}"));
    }
    bytes
}

fn check(file: &file::Check, place: &Place<'_>) -> Option<BodyCheck> {
    let at = file.at.as_ref().map(|at| pointer(at, &place.key("at")));
    if place.count(&["is", "contains", "length", "min"]) != 1 {
        place.fault("must have exactly one of `is`, `contains`, `length` and `min`");
        return None;
    }
    let length = file.length.and_then(|length| usize::try_from(length).ok());
    let is = file.is.clone().map(BodyTest::Is);
    let contains = || file.contains.clone().map(BodyTest::Contains);
    let test = is.or_else(contains).or(length.map(BodyTest::Length)).or(file.min.map(BodyTest::Min))?;
    if let BodyTest::Contains(Value::String(text)) = &test
        && text.is_empty()
    {
        place.key("contains").fault("must not be empty: every text contains the empty string");
    }
    if let (false, BodyTest::Contains(value) | BodyTest::Is(value)) = (place.has("at"), &test)
        && !value.is_string()
    {
        place.fault("without `at`, the body is text: compare it with a string");
    }
    Some(BodyCheck { at, test })
}

fn capture(file: &file::Capture, place: &Place<'_>) -> Option<Capture> {
    place.require(&["as"]);
    if place.count(&["at", "cookie"]) != 1 {
        place.fault("must have exactly one of `at` (a place in the response) and `cookie`");
        return None;
    }
    let at = file.at.as_ref().map(|at| CaptureSource::At(pointer(at, &place.key("at"))));
    let from = at.or_else(|| file.cookie.clone().map(CaptureSource::Cookie))?;
    let (name, plain) = (&file.r#as, |c: char| c.is_ascii_alphanumeric() || c == '_');
    if name == RUN || !name.chars().all(plain) {
        place.key("as").fault(format!(
            "invalid placeholder name `{name}`: use letters, digits and `_`, and not `{RUN}`"
        ));
    }
    Some(Capture { from, name: name.clone() })
}

fn pointer(at: &str, place: &Place<'_>) -> String {
    if !at.starts_with('/') {
        place.fault(format!("invalid JSON pointer `{at}`: start it with `/`"));
    }
    at.to_owned()
}

fn parity(file: &file::Parity, place: &Place<'_>) -> ParityRules {
    let tolerance = file.tolerance.as_ref().map(|file| Tolerance { at: file.at.clone(), by: file.by });
    if file.tolerance.is_some() {
        place.key("tolerance").require(&["at", "by"]);
    }
    let rules = ParityRules {
        ignore: file.ignore.clone(),
        cosine: file.cosine.clone(),
        tolerance,
        tokens: file.tokens.clone(),
    };
    for at in rules.places().filter(|at| !at.is_empty() && !at.starts_with('/')) {
        place.fault(format!("invalid JSON pointer `{at}`: start it with `/`; `*` stands for any part"));
    }
    rules
}

#[cfg(test)]
mod tests {
    use crate::reader::tests::{VOTE, faults_of, parse_in};

    #[test]
    fn a_body_of_spaces_has_a_size_and_a_type() {
        let probe = |name: &str, body: &str| {
            format!("[[service.vote.probe]]\nname = \"{name}\"\nrequest = {{ post = \"/\", {body} }}\n")
        };
        let text = format!(
            "schema = 2\n[service.vote]\ncontext = \"vote\"\nport = 80\n{}{}{}",
            probe("good", "bytes = 1, type = \"a/b\""),
            probe("none", "bytes = 0, type = \"a/b\""),
            probe("both", "bytes = 1, text = \"x\", type = \"a/b\"")
        );
        assert_eq!(
            faults_of(parse_in(VOTE, &text)),
            [
                "10: service.vote.probe.request.bytes: must be a whole number from 1 to 100000000",
                "13: service.vote.probe.request: must have a body as `json`, as `text` or `bytes` with its `type`, or none",
            ]
        );
    }

    #[test]
    fn probes_of_one_edition_pass_nothing_on() {
        let step = "service = \"vote\"\nrequest = { get = \"/\" }\n";
        let text = format!(
            "schema = 2\neditions = [\"small\", \"full\"]\n[service.vote]\ncontext = \"vote\"\nport = 80\n\
             [[scenario.s]]\nname = \"a\"\nonly = [\"full\", \"odd\"]\n{step}\
             [[scenario.s]]\nname = \"b\"\nonly = [\"full\"]\ntypical = true\n{step}\
             [[scenario.s]]\nname = \"c\"\nonly = [\"full\"]\ncapture = {{ at = \"/\", as = \"x\" }}\n{step}\
             [[load.l]]\nname = \"d\"\nonly = [\"full\"]\n{step}"
        );
        let alone = "a probe with `only` must not be `typical` and must not have a `capture`";
        assert_eq!(
            faults_of(parse_in(VOTE, &text)),
            [
                "8: scenario.s.only: unknown edition `odd` (known: small, full)".to_owned(),
                format!("13: scenario.s.only: {alone}"),
                format!("19: scenario.s.only: {alone}"),
                "25: load.l.only: a load runs in every edition: remove the key".to_owned(),
            ]
        );
    }
}
