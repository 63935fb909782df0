//! Which routes and statuses of a service's OpenAPI document the probes exercise.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use host::plural::count;
use host::printable::line;
use model::probe::Probe;

/// The coverage of one service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteCoverage {
    /// The service.
    pub service: String,
    /// The number of documented routes.
    pub routes: usize,
    /// Routes without a probe, such as `DELETE /v1/concepts/{id}`.
    pub unprobed: Vec<String>,
    /// The number of documented statuses of all routes.
    pub statuses: usize,
    /// Documented statuses without a probe, by route.
    pub unprobed_statuses: BTreeMap<String, BTreeSet<String>>,
}

/// A route: a method and a path with templates, with its documented statuses.
struct Route {
    method: String,
    path: String,
    statuses: BTreeSet<String>,
}

/// The methods of a path item (OpenAPI 3.2, "Path Item Object").
const METHODS: [&str; 9] = ["get", "put", "post", "delete", "options", "head", "patch", "trace", "query"];

/// Compares a document with the probes of a service. Query strings are ignored; a probe covers the status that it expects.
/// `None` unless this is an OpenAPI 3 document with at least one route.
pub fn coverage<'p>(
    service: &str,
    document: &Value,
    probes: impl IntoIterator<Item = &'p Probe>,
) -> Option<RouteCoverage> {
    if !document.get("openapi")?.as_str()?.starts_with("3.") {
        return None;
    }
    let routes = routes(document);
    let mut probed: BTreeMap<usize, BTreeSet<u16>> = BTreeMap::new();
    for probe in probes {
        let path = probe.request.path.split(['?', '#']).next().unwrap_or_default();
        if let Some(route) = matching(&routes, probe.request.method.name(), path) {
            probed.entry(route).or_default().insert(probe.expect.status);
        }
    }
    let mut coverage =
        RouteCoverage { service: service.to_owned(), routes: routes.len(), ..Default::default() };
    for (index, route) in routes.iter().enumerate() {
        let name = format!("{} {}", route.method, route.path);
        coverage.statuses += route.statuses.len();
        let seen = probed.remove(&index).unwrap_or_else(|| {
            coverage.unprobed.push(name.clone());
            BTreeSet::new()
        });
        let is_missing = |status: &&String| !seen.iter().any(|seen| is_of(&route.statuses, status, *seen));
        let missing: BTreeSet<String> = route.statuses.iter().filter(is_missing).cloned().collect();
        if !missing.is_empty() {
            coverage.unprobed_statuses.insert(name, missing);
        }
    }
    (coverage.routes > 0).then_some(coverage)
}

/// Whether a status matches a documented one: `404` exactly, `4XX` if the status is not listed itself, `default` for all others.
fn is_of(statuses: &BTreeSet<String>, documented: &str, status: u16) -> bool {
    let exact = status.to_string();
    let hundred = format!("{}XX", status / 100);
    match documented {
        "default" => !statuses.contains(&exact) && !statuses.contains(&hundred),
        range if range.ends_with("XX") => range == hundred && !statuses.contains(&exact),
        code => code == exact,
    }
}

fn routes(document: &Value) -> Vec<Route> {
    let prefix = prefix(document).unwrap_or_default();
    let paths = document.get("paths").and_then(Value::as_object);
    let mut routes = Vec::new();
    for (path, item) in paths.into_iter().flatten().filter(|(path, _)| path.starts_with('/')) {
        let item = resolved(document, item);
        for (method, operation) in METHODS.iter().filter_map(|method| Some((method, item.get(method)?))) {
            let responses = operation.get("responses").and_then(Value::as_object);
            let is_status = |name: &&String| !name.starts_with("x-");
            let statuses = responses.into_iter().flat_map(|all| all.keys()).filter(is_status);
            routes.push(Route {
                method: method.to_uppercase(),
                path: format!("{prefix}{path}"),
                statuses: statuses.map(|name| name.to_uppercase().replace("DEFAULT", "default")).collect(),
            });
        }
    }
    routes
}

/// The path of the first server: paths are relative to it.
fn prefix(document: &Value) -> Option<String> {
    let url = document.pointer("/servers/0/url")?.as_str()?;
    let path = match url.split_once("://") {
        Some((_, rest)) => &rest[rest.find('/')?..],
        None => url,
    };
    Some(path.trim_end_matches('/').to_owned()).filter(|path| path.starts_with('/') && !path.contains('{'))
}

/// A path item; follows a reference within the document.
fn resolved<'d>(document: &'d Value, item: &'d Value) -> &'d Value {
    let pointer = item.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'));
    pointer.and_then(|pointer| document.pointer(pointer)).unwrap_or(item)
}

/// The route of a request: of those with its method, the one with the most literal segments, as the specification requires.
fn matching(routes: &[Route], method: &str, path: &str) -> Option<usize> {
    let fits =
        routes.iter().enumerate().filter(|(_, route)| route.method == method && matches(&route.path, path));
    let literals = |route: &Route| route.path.split('/').filter(|segment| !segment.contains('{')).count();
    fits.max_by_key(|(_, route)| literals(route)).map(|(index, _)| index)
}

/// Whether a path matches a template, segment by segment.
fn matches(template: &str, path: &str) -> bool {
    let (mut templates, mut segments) = (template.split('/'), path.split('/'));
    loop {
        match (templates.next(), segments.next()) {
            (None, None) => return true,
            (Some(template), Some(segment)) if segment_matches(template, segment) => {}
            _ => return false,
        }
    }
}

/// `{id}` matches every non-empty segment, `{id}.json` every segment that ends with `.json`.
fn segment_matches(template: &str, segment: &str) -> bool {
    match (template.find('{'), template.rfind('}')) {
        (Some(start), Some(end)) if start < end => {
            let (before, after) = (&template[..start], &template[end + 1..]);
            segment.len() > before.len() + after.len()
                && segment.starts_with(before)
                && segment.ends_with(after)
        }
        _ => template == segment,
    }
}

/// The coverage of services as text, one or two lines for each; empty without documents.
pub(crate) fn described(all: &[RouteCoverage]) -> String {
    let mut out = String::new();
    for one in all {
        let probed = one.routes - one.unprobed.len().min(one.routes);
        let missing = match one.unprobed.as_slice() {
            [] => String::new(),
            names => format!("; not probed: {}", names.join(", ")),
        };
        let text = format!("{}: {probed} of {} probed{missing}", one.service, count(one.routes, "route"));
        writeln!(out, "{}", line(&text)).ok();
        let missing: usize = one.unprobed_statuses.values().map(BTreeSet::len).sum();
        if missing > 0 {
            let probed = one.statuses.saturating_sub(missing);
            writeln!(
                out,
                "{}: {probed} of {} documented statuses probed; JSON lists the others",
                one.service, one.statuses
            )
            .ok();
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::plan::fixtures;
    use model::expectation::Expectation;
    use model::probe::{HttpRequest, Method};
    use serde_json::json;

    fn probe(method: Method, path: &str, status: u16) -> Probe {
        let probe = fixtures::probe();
        let request = HttpRequest { method, path: path.into(), ..probe.request.clone() };
        Probe { request, expect: Expectation { status, checks: Vec::new() }, ..probe }
    }

    fn operation(statuses: &[&str]) -> Value {
        let responses: serde_json::Map<String, Value> =
            statuses.iter().map(|status| ((*status).to_owned(), json!({"description": "x"}))).collect();
        json!({ "responses": responses })
    }

    #[test]
    fn routes_and_statuses_without_a_probe_are_listed() {
        let document = json!({
            "openapi": "3.1.0",
            "paths": {
                "/health": { "get": operation(&["200", "503"]) },
                "/things": { "get": operation(&["200"]), "post": operation(&["201", "422", "4XX", "default"]), "parameters": [] },
                "/things/{id}": { "get": operation(&["200", "404"]), "delete": operation(&["204"]), "patch": operation(&["200"]) },
                "/things/new": { "get": operation(&["200"]) },
                "/files/{name}.json": { "$ref": "#/components/pathItems/file" },
                "x-note": { "get": operation(&["200"]) },
            },
            "components": { "pathItems": { "file": { "get": operation(&["200", "x-note"]) } } },
        });
        let probes = [
            probe(Method::Get, "/health", 200),
            probe(Method::Get, "/things?limit=1", 200),
            probe(Method::Post, "/things", 400),
            probe(Method::Post, "/things", 422),
            probe(Method::Post, "/things", 503),
            probe(Method::Get, "/things/new", 200),
            probe(Method::Get, "/things/${id}/more", 200),
            probe(Method::Delete, "/things/", 204),
            probe(Method::Get, "/files/a.json", 200),
            probe(Method::Get, "/elsewhere", 200),
        ];
        let found = coverage("api", &document, &probes).unwrap();
        let missing = |route: &str| found.unprobed_statuses[route].iter().cloned().collect::<Vec<_>>();
        assert_eq!(missing("GET /health"), ["503"]);
        assert_eq!(missing("POST /things"), ["201"]);
        assert_eq!(missing("PATCH /things/{id}"), ["200"]);
        assert_eq!(
            described(std::slice::from_ref(&found)),
            "api: 5 of 8 routes probed; not probed: GET /things/{id}, DELETE /things/{id}, PATCH /things/{id}\n\
             api: 7 of 13 documented statuses probed; JSON lists the others\n"
        );
        let found = coverage("api", &document, &[probe(Method::Get, "/things/${id}", 404)]).unwrap();
        assert_eq!(found.unprobed.len(), 7);
        assert_eq!(found.unprobed_statuses["GET /things/{id}"], BTreeSet::from(["200".to_owned()]));
        assert!(!found.unprobed.is_empty());
    }

    #[test]
    fn paths_are_relative_to_the_server() {
        for (url, path) in [
            ("/v1/", "/v1/a"),
            ("https://h.example/v1", "/v1/a"),
            ("https://h.example", "/a"),
            ("/{tenant}", "/a"),
        ] {
            let document = json!({"openapi": "3.0.3", "servers": [{"url": url}], "paths": {"/a": {"get": operation(&["200"])}}});
            let found = coverage("api", &document, &[probe(Method::Get, path, 200)]).unwrap();
            assert!(found.unprobed.is_empty(), "{url}: {found:?}");
        }
    }

    #[test]
    fn what_is_no_document_gives_nothing() {
        for other in [
            json!(null),
            json!([]),
            json!({}),
            json!({"swagger": "2.0", "paths": {"/a": {"get": {}}}}),
            json!({"openapi": 3, "paths": {}}),
            json!({"openapi": "3.1.0"}),
            json!({"openapi": "3.1.0", "paths": []}),
            json!({"openapi": "3.1.0", "paths": {"/a": null, "/b": [], "/c": {"$ref": "#/none"}}}),
        ] {
            assert_eq!(coverage("api", &other, &[]), None, "{other}");
        }
        let odd = json!({"openapi": "3.1.0", "servers": 1, "paths": {"/{": {"get": 1}, "/}{": {"get": {"responses": []}}}});
        assert_eq!(coverage("api", &odd, &[]).unwrap().unprobed.len(), 2);
    }
}
