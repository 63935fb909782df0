//! Probes of a service, `[[service.NAME.probe]]`, and scenarios through several services, `[[scenario.NAME]]`.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::expectation::{BodyCheck, BodyTest, Expectation};
use crate::manifest::Service;
use crate::names::Unknown;
use crate::parity::{ParityRules, Tolerance};
use crate::placeholders::RUN;
use crate::probe::{Body, Capture, CaptureSource, HttpRequest, Method, Probe, Scenario};
use crate::reader::fields::Fields;

/// The probes of a service. `available` are the allowed placeholders; captures are added.
pub(super) fn of_service(
    fields: &mut Fields<'_, '_>,
    service: &str,
    available: &mut BTreeSet<String>,
) -> Vec<Probe> {
    let mut names = BTreeSet::new();
    let tables = fields.tables("probe").into_iter();
    tables.filter_map(|table| probe(table, Some(service), available, &mut names)).collect()
}

/// The scenarios. Each can use the `available` placeholders and its own captures.
pub(super) fn scenarios(
    table: Option<Fields<'_, '_>>,
    services: &[Service],
    available: &BTreeSet<String>,
) -> Vec<Scenario> {
    let lists = table.map(Fields::named_lists_of_tables).unwrap_or_default();
    let one = |(name, tables): (String, Vec<Fields<'_, '_>>)| {
        let (mut available, mut names) = (available.clone(), BTreeSet::new());
        let clash = services.iter().any(|service| service.name == name);
        if let Some(first) = tables.first()
            && (clash || !is_plain(&name))
        {
            first.fault_here(format!(
                "invalid scenario name `{name}`: use lower-case letters, digits and `-`, and not a service's name"
            ));
        }
        let mut steps = Vec::new();
        for table in tables {
            let known = || services.iter().map(|service| service.name.as_str());
            if let Some(step) = probe_of_any(table, known, &mut available, &mut names) {
                steps.push(step);
            }
        }
        Scenario { name, steps }
    };
    lists.into_iter().map(one).collect()
}

/// Whether a name is valid in file names and tags.
pub(super) fn is_plain(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// Reads a probe that names the service it asks.
pub(super) fn probe_of_any<'k, K: Iterator<Item = &'k str>>(
    mut table: Fields<'_, '_>,
    known: impl Fn() -> K,
    available: &mut BTreeSet<String>,
    names: &mut BTreeSet<String>,
) -> Option<Probe> {
    let service = table.text("service").map(str::to_owned);
    if let Some(service) = &service
        && !known().any(|name| name == service)
    {
        table.fault("service", Unknown::new("service", service, known()));
    }
    probe(table, service.as_deref(), available, names)
}

fn probe(
    mut table: Fields<'_, '_>,
    service: Option<&str>,
    available: &mut BTreeSet<String>,
    names: &mut BTreeSet<String>,
) -> Option<Probe> {
    let name = table.text("name").map(str::to_owned);
    if let Some(name) = &name
        && !names.insert(name.clone())
    {
        table.fault("name", format!("another probe is named `{name}`: choose another name"));
    }
    if !table.has("request") {
        table.fault_here("has no `request`: add one, such as { get = \"/health\" }");
    }
    let request = table.table("request").and_then(request);
    let status = table.optional_number("status", 100..=599).unwrap_or(200);
    let checks = table.tables("expect").into_iter().filter_map(check).collect();
    let capture = table.table("capture").and_then(capture);
    let eventually = table.flag("eventually");
    let typical = table.flag("typical");
    let parity = table.table("parity").map(rules).unwrap_or_default();
    let probe = Probe {
        name: name?,
        service: service?.to_owned(),
        request: request?,
        expect: Expectation { status: u16::try_from(status).unwrap_or(200), checks },
        capture,
        eventually,
        typical,
        parity,
    };
    // It is repeated many times, without other probes.
    let alone = |need: &String| need == RUN || need.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    if probe.typical && (probe.eventually || !probe.needs().iter().all(alone)) {
        table.fault("typical", "a typical request must not be `eventually` and must not use captures");
    }
    for need in probe.needs().iter().filter(|need| !available.contains(*need)) {
        let unknown = Unknown::new("placeholder", need, available.iter().map(String::as_str));
        table.fault_here(format!("{unknown}; add an earlier `capture`"));
    }
    available.extend(probe.capture.as_ref().map(|capture| capture.name.clone()));
    table.finish();
    Some(probe)
}

fn request(mut table: Fields<'_, '_>) -> Option<HttpRequest> {
    let named: Vec<(Method, &'static str)> =
        [(Method::Get, "get"), (Method::Post, "post"), (Method::Delete, "delete")]
            .into_iter()
            .filter(|(_, key)| table.has(key))
            .collect();
    let [(method, key)] = named.as_slice() else {
        table.fault_here("must have exactly one of `get`, `post` and `delete`, with the path");
        return None;
    };
    let path = table.text(key).map(str::to_owned);
    if let Some(path) = path.as_deref().filter(|path| !path.starts_with('/')) {
        table.fault(key, format!("invalid path `{path}`: start it with `/`"));
    }
    let headers = table.table("headers").map(Fields::named_texts).unwrap_or_default().into_iter().collect();
    let json = table.optional_json("json");
    let text = table.optional_text("text").map(str::to_owned);
    let content_type = table.optional_text("type").map(str::to_owned);
    let body = match (json, text, content_type) {
        (None, None, None) => Body::Empty,
        (Some(value), None, None) => Body::Json(value),
        (None, Some(text), Some(content_type)) => Body::Text { content_type, text },
        _ => {
            table.fault_here("must have a body as `json`, or as `text` with its `type`, or none");
            return None;
        }
    };
    table.finish();
    Some(HttpRequest { method: *method, path: path?, headers, body })
}

fn check(mut table: Fields<'_, '_>) -> Option<BodyCheck> {
    let at = pointer(&mut table, "at");
    let mut tests: Vec<BodyTest> = Vec::new();
    tests.extend(table.optional_json("is").map(BodyTest::Is));
    tests.extend(table.optional_json("contains").map(BodyTest::Contains));
    let length = table.optional_number("length", 0..=u64::from(u32::MAX));
    tests.extend(length.and_then(|length| usize::try_from(length).ok()).map(BodyTest::Length));
    tests.extend(table.optional_real("min").map(BodyTest::Min));
    if tests.len() != 1 {
        table.fault_here("must have exactly one of `is`, `contains`, `length` and `min`");
        return None;
    }
    if let Some(BodyTest::Contains(Value::String(text))) = tests.first()
        && text.is_empty()
    {
        table.fault("contains", "must not be empty: every text contains the empty string");
    }
    if let (None, Some(BodyTest::Contains(value) | BodyTest::Is(value))) = (&at, tests.first())
        && !matches!(value, Value::String(_))
    {
        table.fault_here("without `at`, the body is text: compare it with a string");
    }
    table.finish();
    Some(BodyCheck { at, test: tests.pop()? })
}

fn capture(mut table: Fields<'_, '_>) -> Option<Capture> {
    let at = pointer(&mut table, "at").map(CaptureSource::At);
    let cookie = table.optional_text("cookie").map(|name| CaptureSource::Cookie(name.to_owned()));
    let from = match (at, cookie) {
        (Some(from), None) | (None, Some(from)) => Some(from),
        _ => {
            table.fault_here("must have exactly one of `at` (a place in the response) and `cookie`");
            None
        }
    };
    let name = table.text("as").map(str::to_owned);
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if let Some(name) = name.as_deref().filter(|name| !name.chars().all(plain) || *name == RUN) {
        table.fault(
            "as",
            format!("invalid placeholder name `{name}`: use letters, digits and `_`, and not `{RUN}`"),
        );
    }
    table.finish();
    Some(Capture { from: from?, name: name? })
}

fn pointer(table: &mut Fields<'_, '_>, key: &'static str) -> Option<String> {
    let at = table.optional_text(key)?;
    if !at.starts_with('/') {
        table.fault(key, format!("invalid JSON pointer `{at}`: start it with `/`"));
    }
    Some(at.to_owned())
}

fn rules(mut table: Fields<'_, '_>) -> ParityRules {
    let tolerance = table.table("tolerance").and_then(|mut tolerance| {
        let (at, by) = (tolerance.texts("at"), tolerance.optional_real("by"));
        if at.is_empty() || by.is_none() {
            tolerance.fault_here("must have `at` (the places of numbers) and `by` (the largest difference)");
        }
        tolerance.finish();
        Some(Tolerance { at, by: by? })
    });
    let rules = ParityRules {
        ignore: table.texts("ignore"),
        cosine: table.texts("cosine"),
        tolerance,
        tokens: table.texts("tokens"),
    };
    for place in rules.places().filter(|place| !place.is_empty() && !place.starts_with('/')) {
        table.fault_here(format!(
            "invalid JSON pointer `{place}`: start it with `/`; `*` stands for any part"
        ));
    }
    table.finish();
    rules
}
