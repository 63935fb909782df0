//! Probes of services, `[[service.NAME.probe]]`, and scenarios through several of them, `[[scenario.NAME]]`.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::expectation::{Check, Expectation, Test};
use crate::manifest::Service;
use crate::names::Unknown;
use crate::parity::{Rules, Tolerance};
use crate::probe::{Body, Capture, Method, Origin, Probe, Request, Scenario};
use crate::reader::fields::Fields;

/// A word of the run's own, so that what one run taught is not another's.
pub const RUN: &str = "run";

/// The probes of one service. `handed` are the names that placeholders may use; captures are added.
pub(super) fn of_service(
    fields: &mut Fields<'_, '_>,
    service: &str,
    handed: &mut BTreeSet<String>,
) -> Vec<Probe> {
    let mut names = BTreeSet::new();
    let tables = fields.tables("probe").into_iter();
    tables.filter_map(|table| probe(table, Some(service), handed, &mut names)).collect()
}

/// The scenarios, each of which is handed plain secrets and what its own steps captured.
pub(super) fn scenarios(
    table: Option<Fields<'_, '_>>,
    services: &[Service],
    handed: &BTreeSet<String>,
) -> Vec<Scenario> {
    let lists = table.map(Fields::named_lists_of_tables).unwrap_or_default();
    let one = |(name, tables): (String, Vec<Fields<'_, '_>>)| {
        let (mut handed, mut names) = (handed.clone(), BTreeSet::new());
        let clash = services.iter().any(|service| service.name == name);
        if let Some(first) = tables.first()
            && (clash || !is_plain(&name))
        {
            first.fault_here(format!(
                "`{name}` is no scenario's name: use lower-case letters, digits and `-`, and no service's name"
            ));
        }
        let mut steps = Vec::new();
        for table in tables {
            let known = || services.iter().map(|service| service.name.as_str());
            if let Some(step) = probe_of_any(table, known, &mut handed, &mut names) {
                steps.push(step);
            }
        }
        Scenario { name, steps }
    };
    lists.into_iter().map(one).collect()
}

/// Whether a name can stand in file names and tags.
pub(super) fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// Reads a probe that names the service it asks.
pub(super) fn probe_of_any<'k, K: Iterator<Item = &'k str>>(
    mut table: Fields<'_, '_>,
    known: impl Fn() -> K,
    handed: &mut BTreeSet<String>,
    names: &mut BTreeSet<String>,
) -> Option<Probe> {
    let service = table.text("service").map(str::to_owned);
    if let Some(service) = &service
        && !known().any(|name| name == service)
    {
        table.fault("service", Unknown::new("service", service, known()));
    }
    probe(table, service.as_deref(), handed, names)
}

fn probe(
    mut table: Fields<'_, '_>,
    service: Option<&str>,
    handed: &mut BTreeSet<String>,
    names: &mut BTreeSet<String>,
) -> Option<Probe> {
    let name = table.text("name").map(str::to_owned);
    if let Some(name) = &name
        && !names.insert(name.clone())
    {
        table.fault("name", format!("`{name}` is the name of another probe here: give each its own"));
    }
    if !table.has("request") {
        table.fault_here("it has no `request`: add one, such as { get = \"/health\" }");
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
    // It is asked many times, and by itself.
    let alone = |need: &String| need == RUN || need.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    if probe.typical && (probe.eventually || !probe.needs().iter().all(alone)) {
        table.fault(
            "typical",
            "a typical request stands alone: it is not `eventually`, and uses no `capture`".to_owned(),
        );
    }
    for need in probe.needs().iter().filter(|need| !handed.contains(*need)) {
        let unknown = Unknown::new("placeholder", need, handed.iter().map(String::as_str));
        table.fault_here(format!("{unknown}; an earlier `capture` hands one on"));
    }
    handed.extend(probe.capture.as_ref().map(|capture| capture.name.clone()));
    table.finish();
    Some(probe)
}

fn request(mut table: Fields<'_, '_>) -> Option<Request> {
    let named: Vec<(Method, &'static str)> =
        [(Method::Get, "get"), (Method::Post, "post"), (Method::Delete, "delete")]
            .into_iter()
            .filter(|(_, key)| table.has(key))
            .collect();
    let [(method, key)] = named.as_slice() else {
        table.fault_here("name one of `get`, `post` and `delete`, with the path");
        return None;
    };
    let path = table.text(key).map(str::to_owned);
    if let Some(path) = path.as_deref().filter(|path| !path.starts_with('/')) {
        table.fault(key, format!("`{path}` is no path: start it with `/`"));
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
            table.fault_here("give a body as `json`, or as `text` with its `type`, and not as both");
            return None;
        }
    };
    table.finish();
    Some(Request { method: *method, path: path?, headers, body })
}

fn check(mut table: Fields<'_, '_>) -> Option<Check> {
    let at = pointer(&mut table, "at");
    let mut tests: Vec<Test> = Vec::new();
    tests.extend(table.optional_json("is").map(Test::Is));
    tests.extend(table.optional_json("contains").map(Test::Contains));
    let length = table.optional_number("length", 0..=u64::from(u32::MAX));
    tests.extend(length.and_then(|length| usize::try_from(length).ok()).map(Test::Length));
    tests.extend(table.optional_real("min").map(Test::Min));
    if tests.len() != 1 {
        table.fault_here("say what must hold with one of `is`, `contains`, `length` and `min`");
        return None;
    }
    if let Some(Test::Contains(Value::String(text))) = tests.first()
        && text.is_empty()
    {
        table.fault("contains", "every text contains the empty one: say what must be there");
    }
    if let (None, Some(Test::Contains(value) | Test::Is(value))) = (&at, tests.first())
        && !matches!(value, Value::String(_))
    {
        table.fault_here("without `at` the body is a text: compare it with a text");
    }
    table.finish();
    Some(Check { at, test: tests.pop()? })
}

fn capture(mut table: Fields<'_, '_>) -> Option<Capture> {
    let at = pointer(&mut table, "at").map(Origin::At);
    let cookie = table.optional_text("cookie").map(|name| Origin::Cookie(name.to_owned()));
    let from = match (at, cookie) {
        (Some(from), None) | (None, Some(from)) => Some(from),
        _ => {
            table.fault_here(
                "say `at` which place of the answer the value stands, or of which `cookie` it is",
            );
            None
        }
    };
    let name = table.text("as").map(str::to_owned);
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if let Some(name) = name.as_deref().filter(|name| !name.chars().all(plain) || *name == RUN) {
        table.fault("as", format!("`{name}` cannot be a placeholder's name: use other letters, digits, `_`"));
    }
    table.finish();
    Some(Capture { from: from?, name: name? })
}

fn pointer(table: &mut Fields<'_, '_>, key: &'static str) -> Option<String> {
    let at = table.optional_text(key)?;
    if !at.starts_with('/') {
        table.fault(key, format!("`{at}` is no JSON pointer: start it with `/`"));
    }
    Some(at.to_owned())
}

fn rules(mut table: Fields<'_, '_>) -> Rules {
    let tolerance = table.table("tolerance").and_then(|mut tolerance| {
        let (at, by) = (tolerance.texts("at"), tolerance.optional_real("by"));
        if at.is_empty() || by.is_none() {
            tolerance.fault_here("say `at` which places numbers may differ, and `by` how much");
        }
        tolerance.finish();
        Some(Tolerance { at, by: by? })
    });
    let rules = Rules {
        ignore: table.texts("ignore"),
        cosine: table.texts("cosine"),
        tolerance,
        tokens: table.texts("tokens"),
    };
    for place in rules.places().filter(|place| !place.is_empty() && !place.starts_with('/')) {
        table.fault_here(format!("`{place}` is no JSON pointer: start it with `/`; `*` stands for any part"));
    }
    table.finish();
    rules
}
