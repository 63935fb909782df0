//! Probes: a request, the expected response, and a value captured for later probes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::edition::Edition;
use crate::expectation::{BodyTest, Expectation};
use crate::parity::ParityRules;
use crate::placeholders::{self, Values};
use crate::response::HttpResponse;
use host::secrets::Secrets;

/// A request to a running service and the expected response.
#[derive(Debug, Clone)]
pub struct Probe {
    /// The name, unique among the probes of a service or scenario.
    pub name: String,
    /// The name of the service.
    pub service: String,
    /// The editions that run it; empty means all.
    pub only: Vec<Edition>,
    /// The request. Placeholders `${NAME}` stand for captures of earlier probes, plain secrets and the run's ID.
    pub request: HttpRequest,
    /// The expected response.
    pub expect: Expectation,
    /// The value captured for later probes.
    pub capture: Option<Capture>,
    /// Whether the request is repeated until the expectation holds.
    pub eventually: bool,
    /// Whether this is the typical request that `measure` times.
    pub typical: bool,
    /// Allowed differences between the responses of the two variants.
    pub parity: ParityRules,
}

/// A sequence of probes through several services.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The name.
    pub name: String,
    /// The probes in order.
    pub steps: Vec<Probe>,
}

/// An HTTP request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HttpRequest {
    /// The method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// Headers other than those of the body.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Body,
}

/// The HTTP methods of probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// GET.
    Get,
    /// POST.
    Post,
    /// DELETE.
    Delete,
}

impl Method {
    /// All of them.
    pub const ALL: [Method; 3] = [Method::Get, Method::Post, Method::Delete];

    /// The name in HTTP.
    pub fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Delete => "DELETE",
        }
    }
}

/// A request body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Body {
    /// Nothing.
    Empty,
    /// JSON.
    Json(Value),
    /// Text of another media type.
    Text {
        /// The media type.
        content_type: String,
        /// The content.
        text: String,
    },
    /// Spaces, to exceed a limit.
    Spaces {
        /// The media type.
        content_type: String,
        /// How many.
        bytes: u32,
    },
}

/// A value captured for later probes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    /// Where the value comes from.
    pub from: CaptureSource,
    /// The name of the placeholder.
    pub name: String,
}

/// Where a captured value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CaptureSource {
    /// A JSON pointer into the body.
    At(String),
    /// The value of a cookie.
    Cookie(String),
}

impl fmt::Display for CaptureSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CaptureSource::At(at) => f.write_str(at),
            CaptureSource::Cookie(name) => write!(f, "cookie `{name}`"),
        }
    }
}

impl Probe {
    /// Whether the probe runs in this edition. With `None` (unknown edition), only probes for all editions run.
    pub fn is_for(&self, edition: Option<Edition>) -> bool {
        self.only.is_empty() || edition.is_some_and(|edition| self.only.contains(&edition))
    }

    /// The placeholders in its request and expectation.
    pub fn needs(&self) -> BTreeSet<String> {
        let request = serde_json::to_value(&self.request).unwrap_or_default();
        let mut needs = placeholders::names_in(&request);
        for check in &self.expect.checks {
            if let BodyTest::Is(value) | BodyTest::Contains(value) = &check.test {
                needs.extend(placeholders::names_in(value));
            }
        }
        needs
    }

    /// The request with placeholders filled in.
    pub fn filled(&self, values: &Values) -> HttpRequest {
        let request = &self.request;
        HttpRequest {
            method: request.method,
            path: placeholders::fill(&request.path, values),
            headers: request
                .headers
                .iter()
                .map(|(name, value)| (name.clone(), placeholders::fill(value, values)))
                .collect(),
            body: match &request.body {
                Body::Empty => Body::Empty,
                spaces @ Body::Spaces { .. } => spaces.clone(),
                Body::Json(value) => Body::Json(placeholders::fill_in(value, values)),
                Body::Text { content_type, text } => {
                    Body::Text { content_type: content_type.clone(), text: placeholders::fill(text, values) }
                }
            },
        }
    }

    /// All faults of a response, one line each, with secrets masked.
    pub fn judge(&self, response: &HttpResponse, values: &Values, secrets: &Secrets) -> Vec<String> {
        let mut faults = Vec::new();
        if response.status != self.expect.status {
            let location = response.location.as_deref().map(|to| format!(", and it redirects to {to}"));
            let (status, expected) = (response.status, self.expect.status);
            let location = secrets.mask(&location.unwrap_or_default());
            faults.push(format!("status {status}, expected {expected}{location}"));
        }
        let json = response.json();
        for check in &self.expect.checks {
            faults.extend(check.judge(response, &json, values, secrets));
        }
        if let Some(capture) = &self.capture
            && faults.is_empty()
            && self.captured(response).is_none()
        {
            faults.push(format!("no value at {} to capture as `{}`", capture.from, capture.name));
        }
        faults
    }

    /// The captured value and its placeholder.
    pub fn captured(&self, response: &HttpResponse) -> Option<(String, Value)> {
        let capture = self.capture.as_ref()?;
        let value = match &capture.from {
            CaptureSource::At(at) => response.json().ok()?.pointer(at)?.clone(),
            CaptureSource::Cookie(name) => Value::from(response.cookies.get(name)?.as_str()),
        };
        Some((capture.name.clone(), value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expectation::BodyCheck;
    use serde_json::json;

    fn probe(checks: Vec<BodyCheck>) -> Probe {
        Probe {
            name: "ask".into(),
            service: "api".into(),
            only: Vec::new(),
            request: HttpRequest {
                method: Method::Post,
                path: "/q/${id}".into(),
                headers: BTreeMap::from([("x-key".to_owned(), "${KEY}".to_owned())]),
                body: Body::Json(json!({ "vector": "${vector}", "text": "of ${word}s" })),
            },
            expect: Expectation { status: 200, checks },
            capture: Some(Capture { from: CaptureSource::At("/list/0".into()), name: "first".into() }),
            eventually: false,
            typical: false,
            parity: ParityRules::default(),
        }
    }

    fn check(at: &str, test: BodyTest) -> BodyCheck {
        BodyCheck { at: Some(at.into()), test }
    }

    fn response(status: u16, body: &Value) -> HttpResponse {
        HttpResponse {
            status,
            content_type: "application/json".into(),
            body: body.to_string().into(),
            ..HttpResponse::default()
        }
    }

    fn judged(probe: &Probe, response: &HttpResponse) -> Vec<String> {
        probe.judge(response, &Values::new(), &Secrets::default())
    }

    #[test]
    fn an_unknown_edition_has_only_the_probes_for_all() {
        let (small, full) = (Edition::named("small"), Edition::named("full"));
        let for_all = probe(vec![]);
        let for_small = Probe { only: vec![small], ..probe(vec![]) };
        let answers = |probe: &Probe| [Some(small), Some(full), None].map(|edition| probe.is_for(edition));
        assert_eq!((answers(&for_all), answers(&for_small)), ([true; 3], [true, false, false]));
    }

    #[test]
    fn placeholders_are_filled_with_values_and_in_texts() {
        let values = Values::from([
            ("id".to_owned(), json!(7)),
            ("KEY".to_owned(), json!("secret")),
            ("vector".to_owned(), json!([0.5, 1])),
            ("word".to_owned(), json!("cat")),
        ]);
        let probe = probe(vec![check("/a", BodyTest::Is(json!("${other}")))]);
        assert_eq!(probe.needs().into_iter().collect::<Vec<_>>(), ["KEY", "id", "other", "vector", "word"]);
        let request = probe.filled(&values);
        assert_eq!((request.path.as_str(), request.headers["x-key"].as_str()), ("/q/7", "secret"));
        assert_eq!(request.body, Body::Json(json!({ "vector": [0.5, 1], "text": "of cats" })));
    }

    #[test]
    fn every_fault_of_a_response_is_reported() {
        let probe = probe(vec![
            check("/list", BodyTest::Length(2)),
            check("/list", BodyTest::Contains(json!("b"))),
            check("/text", BodyTest::Contains(json!("ell"))),
            check("/number", BodyTest::Is(json!(1))),
            check("/number", BodyTest::Min(0.5)),
        ]);
        let good = response(200, &json!({ "list": ["a", "b"], "text": "hello", "number": 1.0 }));
        assert_eq!(judged(&probe, &good), Vec::<String>::new());
        assert_eq!(probe.captured(&good), Some(("first".into(), json!("a"))));
        let bad = response(503, &json!({ "list": ["a"], "text": 5, "number": 0.25 }));
        assert_eq!(
            judged(&probe, &bad),
            [
                "status 503, expected 200",
                "/list has length 1, expected 2",
                "/list is [\"a\"], which does not contain \"b\"",
                "/text is 5, which does not contain \"ell\"",
                "/number is 0.25, expected 1",
                "/number is 0.25, expected at least 0.5"
            ]
        );
    }

    #[test]
    fn a_missing_capture_is_a_fault() {
        let faults = judged(&probe(vec![]), &response(200, &json!({ "list": [] })));
        assert_eq!(faults, ["no value at /list/0 to capture as `first`"]);
    }

    #[test]
    fn a_page_instead_of_json_is_a_fault() {
        let page = HttpResponse {
            status: 200,
            content_type: "text/html".into(),
            body: "<h1>Hi</h1>".into(),
            ..HttpResponse::default()
        };
        let probe = probe(vec![
            check("/list", BodyTest::Length(0)),
            BodyCheck { at: None, test: BodyTest::Contains(json!("Bye")) },
        ]);
        assert_eq!(
            judged(&probe, &page),
            ["expected JSON, got text/html", "the body is \"<h1>Hi</h1>\", which does not contain \"Bye\""]
        );
    }

    #[test]
    fn a_redirect_names_its_target() {
        let location = Some("/sign-in?next=open-sesame".to_owned());
        let moved = HttpResponse { location, ..response(302, &json!({ "list": [1] })) };
        let secrets = Secrets::default();
        secrets.add("open-sesame");
        assert_eq!(
            probe(vec![]).judge(&moved, &Values::new(), &secrets),
            ["status 302, expected 200, and it redirects to /sign-in?next=***"]
        );
    }

    #[test]
    fn faults_hold_no_part_of_a_secret() {
        let secret = "x".repeat(200);
        let values = Values::from([("KEY".to_owned(), json!(secret))]);
        let secrets = Secrets::default();
        secrets.add(&secret);
        let probe = probe(vec![
            check("/echo", BodyTest::Is(json!("another"))),
            check("/echo", BodyTest::Contains(json!("-${KEY}"))),
        ]);
        let answer = response(200, &json!({ "echo": format!("my {secret}"), "list": [1] }));
        assert_eq!(
            probe.judge(&answer, &values, &secrets),
            [
                "/echo is \"my ***\", expected \"another\"",
                "/echo is \"my ***\", which does not contain \"-***\""
            ]
        );
    }
}
