//! Probes: one request each, what must come back, and what a later probe is handed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::expectation::{Expectation, Test};
use crate::parity::Rules;
use crate::placeholders;

/// One request to a running service, and what is expected of the answer.
#[derive(Debug, Clone)]
pub struct Probe {
    /// For people; unique among the probes of a service.
    pub name: String,
    /// The manifest's name of the service that is asked.
    pub service: String,
    /// What is asked. Placeholders `${NAME}` stand for captures of earlier probes, plain secrets and the run's own word.
    pub request: Request,
    /// What must come back.
    pub expect: Expectation,
    /// What later probes are handed.
    pub capture: Option<Capture>,
    /// Whether it is asked again until it comes true: the work behind it takes its time.
    pub eventually: bool,
    /// Whether it is what the service is for, day by day: what `measure` times.
    pub typical: bool,
    /// How the answers of two variants are compared: exactly, but for these rules.
    pub parity: Rules,
}

/// Probes that belong together, through several services.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// For people.
    pub name: String,
    /// In order.
    pub steps: Vec<Probe>,
}

/// An HTTP request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// Headers beyond the body's own.
    pub headers: BTreeMap<String, String>,
    /// What is sent.
    pub body: Body,
}

/// Methods that probes use.
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

    /// As HTTP writes it.
    pub fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Delete => "DELETE",
        }
    }
}

/// What a request carries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Body {
    /// Nothing.
    Empty,
    /// A JSON document.
    Json(Value),
    /// Anything else.
    Text {
        /// The media type.
        content_type: String,
        /// The content.
        text: String,
    },
}

/// A value that a later probe is handed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    /// Where it comes from.
    pub from: Origin,
    /// The placeholder's name.
    pub name: String,
}

/// Where a captured value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A JSON pointer into the body.
    At(String),
    /// The value of a cookie that the answer sets.
    Cookie(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::At(at) => f.write_str(at),
            Origin::Cookie(name) => write!(f, "cookie `{name}`"),
        }
    }
}

/// What came back.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The media type without its parameters; empty where none was given.
    pub content_type: String,
    /// The body, as text.
    pub body: String,
    /// Cookies that it sets, by name.
    pub cookies: BTreeMap<String, String>,
}

impl Answer {
    /// The body as JSON, where it is.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_str(&self.body).ok()
    }
}

/// Values for placeholders: captures, plain secrets, the run's own word.
pub type ProbeValues = BTreeMap<String, Value>;

impl Probe {
    /// Placeholders that its request and its checks use.
    pub fn needs(&self) -> BTreeSet<String> {
        let mut needs = placeholders::names(&self.request.path);
        for value in self.request.headers.values() {
            needs.extend(placeholders::names(value));
        }
        match &self.request.body {
            Body::Empty => {}
            Body::Json(value) => needs.extend(placeholders::names_in(value)),
            Body::Text { text, .. } => needs.extend(placeholders::names(text)),
        }
        for check in &self.expect.checks {
            if let Test::Is(value) | Test::Contains(value) = &check.test {
                needs.extend(placeholders::names_in(value));
            }
        }
        needs
    }

    /// The request with every placeholder filled in.
    pub fn filled(&self, known: &ProbeValues) -> Request {
        let request = &self.request;
        Request {
            method: request.method,
            path: placeholders::fill(&request.path, known),
            headers: request
                .headers
                .iter()
                .map(|(name, value)| (name.clone(), placeholders::fill(value, known)))
                .collect(),
            body: match &request.body {
                Body::Empty => Body::Empty,
                Body::Json(value) => Body::Json(placeholders::fill_in(value, known)),
                Body::Text { content_type, text } => {
                    Body::Text { content_type: content_type.clone(), text: placeholders::fill(text, known) }
                }
            },
        }
    }

    /// Everything in which an answer is not what was expected, each as one line; empty when it is.
    pub fn judge(&self, answer: &Answer, known: &ProbeValues) -> Vec<String> {
        let mut wrong = Vec::new();
        if answer.status != self.expect.status {
            wrong.push(format!("status {}, expected {}", answer.status, self.expect.status));
        }
        let json = answer.json();
        for check in &self.expect.checks {
            wrong.extend(check.judge(answer, json.as_ref(), known));
        }
        if let Some(capture) = &self.capture
            && wrong.is_empty()
            && self.captured(answer).is_none()
        {
            wrong.push(format!("nothing at {} to hand on as `{}`", capture.from, capture.name));
        }
        wrong
    }

    /// What it hands on.
    pub fn captured(&self, answer: &Answer) -> Option<(String, Value)> {
        let capture = self.capture.as_ref()?;
        let value = match &capture.from {
            Origin::At(at) => answer.json()?.pointer(at)?.clone(),
            Origin::Cookie(name) => Value::from(answer.cookies.get(name)?.as_str()),
        };
        Some((capture.name.clone(), value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expectation::Check;
    use serde_json::json;

    fn probe(checks: Vec<Check>) -> Probe {
        Probe {
            name: "ask".into(),
            service: "api".into(),
            request: Request {
                method: Method::Post,
                path: "/q/${id}".into(),
                headers: BTreeMap::from([("x-key".to_owned(), "${KEY}".to_owned())]),
                body: Body::Json(json!({ "vector": "${vector}", "text": "of ${word}s" })),
            },
            expect: Expectation { status: 200, checks },
            capture: Some(Capture { from: Origin::At("/list/0".into()), name: "first".into() }),
            eventually: false,
            typical: false,
            parity: Rules::default(),
        }
    }

    fn check(at: &str, test: Test) -> Check {
        Check { at: Some(at.into()), test }
    }

    fn answer(status: u16, body: &Value) -> Answer {
        Answer {
            status,
            content_type: "application/json".into(),
            body: body.to_string(),
            cookies: BTreeMap::new(),
        }
    }

    #[test]
    fn placeholders_take_values_whole_and_texts_in_part() {
        let known = ProbeValues::from([
            ("id".to_owned(), json!(7)),
            ("KEY".to_owned(), json!("secret")),
            ("vector".to_owned(), json!([0.5, 1])),
            ("word".to_owned(), json!("cat")),
        ]);
        let probe = probe(vec![check("/a", Test::Is(json!("${other}")))]);
        assert_eq!(probe.needs().into_iter().collect::<Vec<_>>(), ["KEY", "id", "other", "vector", "word"]);
        let request = probe.filled(&known);
        assert_eq!((request.path.as_str(), request.headers["x-key"].as_str()), ("/q/7", "secret"));
        assert_eq!(request.body, Body::Json(json!({ "vector": [0.5, 1], "text": "of cats" })));
    }

    #[test]
    fn every_fault_of_an_answer_is_told() {
        let probe = probe(vec![
            check("/list", Test::Length(2)),
            check("/list", Test::Contains(json!("b"))),
            check("/text", Test::Contains(json!("ell"))),
            check("/number", Test::Is(json!(1))),
            check("/number", Test::Min(0.5)),
        ]);
        let good = answer(200, &json!({ "list": ["a", "b"], "text": "hello", "number": 1.0 }));
        assert_eq!(probe.judge(&good, &ProbeValues::new()), Vec::<String>::new());
        assert_eq!(probe.captured(&good), Some(("first".into(), json!("a"))));
        let bad = answer(503, &json!({ "list": ["a"], "text": 5, "number": 0.25 }));
        assert_eq!(
            probe.judge(&bad, &ProbeValues::new()),
            [
                "status 503, expected 200",
                "/list has length 1, expected 2",
                "/list is [\"a\"], expected \"b\" in it",
                "/text is 5, expected \"ell\" in it",
                "/number is 0.25, expected 1",
                "/number is 0.25, expected at least 0.5"
            ]
        );
    }

    #[test]
    fn an_answer_without_what_is_to_be_handed_on_is_wrong() {
        let wrong = probe(vec![]).judge(&answer(200, &json!({ "list": [] })), &ProbeValues::new());
        assert_eq!(wrong, ["nothing at /list/0 to hand on as `first`"]);
    }

    #[test]
    fn a_page_in_place_of_json_is_told() {
        let page = Answer {
            status: 200,
            content_type: "text/html".into(),
            body: "<h1>Hi</h1>".into(),
            cookies: BTreeMap::new(),
        };
        let probe = probe(vec![
            check("/list", Test::Length(0)),
            Check { at: None, test: Test::Contains(json!("Bye")) },
        ]);
        assert_eq!(
            probe.judge(&page, &ProbeValues::new()),
            ["no JSON came back, but text/html", "the body is \"<h1>Hi</h1>\", expected \"Bye\" in it"]
        );
    }
}
