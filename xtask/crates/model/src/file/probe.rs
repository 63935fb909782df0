//! Probes, and the steps of scenarios and loads.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// A request to a running service and the expected response. Texts may hold `${NAME}`: a captured value, a plain secret, or
/// `${run}`, which differs in every run. A step of a `[[scenario.NAME]]` or `[[load.NAME]]` is a probe that names its `service`.
///
/// ```toml
/// [[service.vote.probe]]
/// name = "cast a vote"
/// request = { post = "/votes", json = { for = "cats" }, headers = { x-voter = "${run}" } }
/// status = 201
/// expect = [
///     { at = "/for", is = "cats" },
///     { at = "/tags", contains = "pets" },
///     { at = "/tags", length = 2 },
///     { at = "/total", min = 1 },
/// ]
/// capture = { at = "/id", as = "vote" }
/// typical = true
/// parity = { ignore = ["/id"], cosine = ["/vector"], tokens = ["/text"], tolerance = { at = ["/score"], by = 0.001 } }
///
/// [[service.vote.probe]]
/// name = "reject a large body"
/// request = { post = "/votes", bytes = 2000000, type = "application/json" }
/// status = 413
///
/// [[scenario.vote-and-count]]
/// name = "the vote is counted"
/// service = "vote"
/// request = { get = "/count" }
/// eventually = true
///
/// [[scenario.vote-and-count]]
/// name = "sign in"
/// service = "vote"
/// request = { post = "/session", text = "name=a", type = "application/x-www-form-urlencoded" }
/// capture = { cookie = "session", as = "session" }
///
/// [[scenario.vote-and-count]]
/// name = "sign out"
/// service = "vote"
/// request = { delete = "/session" }
///
/// [[scenario.vote-and-count]]
/// name = "the ranking is not in this edition"
/// only = ["small"]
/// service = "vote"
/// request = { get = "/ranking" }
/// status = 403
///
/// [[load.many-votes]]
/// name = "vote"
/// service = "vote"
/// request = { post = "/votes", json = { votes = [{ for = "${text}", vector = "${vector}" }] } }
/// count = 1000
/// warm-up = 20
/// clients = 4
/// items = 10
/// dimension = 3
/// environment = { VOTE_RATE_LIMIT = "0" }
/// restart = true
/// ```
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(extend("required" = ["name", "request"])))]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Probe {
    /// The name, unique among the probes of a service, scenario or load.
    pub name: String,
    /// The service that receives the request; only in scenarios and loads, where it is required.
    pub service: Option<String>,
    /// Editions that run this probe. It is skipped if the edition is unknown, as in `smoke`. Not allowed in loads. Default: all.
    pub only: Option<Vec<String>>,
    /// The request.
    pub request: Request,
    /// The expected HTTP status. Default: 200.
    #[cfg_attr(test, schemars(range(min = 100, max = 599)))]
    pub status: Option<u16>,
    /// Conditions on the body; all must hold. Default: none.
    pub expect: Vec<Check>,
    /// A value for later probes. Default: none.
    pub capture: Option<Capture>,
    /// Repeat the request until the response is as expected. Default: false.
    pub eventually: bool,
    /// The typical request, which `measure` times. Default: false.
    pub typical: bool,
    /// Where the responses of the original and the optimized image may differ. Default: nowhere.
    pub parity: Parity,
    /// Loads only: number of measured requests. Default: 1.
    pub count: Option<u64>,
    /// Loads only: unmeasured requests before them. Default: 0.
    pub warm_up: Option<u64>,
    /// Loads only: number of parallel clients that share the requests. Default: 1.
    pub clients: Option<u64>,
    /// Loads only: how many times to repeat a text body, or the element of a one-element list in JSON. `${number}`, `${text}`,
    /// `${question}` and `${vector}` are generated for each, the same in every run. Default: 1.
    pub items: Option<u64>,
    /// Loads only: length of a generated vector. Default: 1.
    pub dimension: Option<u64>,
    /// Loads only: restart the service first, and measure how soon it is healthy. Default: false.
    pub restart: Option<bool>,
    /// Loads only: environment variables of the service. Default: none.
    pub environment: Option<BTreeMap<String, String>>,
}

/// An HTTP request: one of `get`, `post` and `delete`. The body is `json`, `text` with `type`, `bytes` with `type`, or empty.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Request {
    /// The path of a GET request.
    pub get: Option<String>,
    /// The path of a POST request.
    pub post: Option<String>,
    /// The path of a DELETE request.
    pub delete: Option<String>,
    /// Headers. Default: only those of the body.
    pub headers: BTreeMap<String, String>,
    /// A JSON body.
    pub json: Option<Value>,
    /// A text body.
    pub text: Option<String>,
    /// Size of a body of spaces, at most 100,000,000, to exceed a limit. Sent once the server asks for it (`Expect: 100-continue`).
    #[cfg_attr(test, schemars(range(min = 1, max = 100_000_000)))]
    pub bytes: Option<u32>,
    /// The media type of `text` or `bytes`.
    pub r#type: Option<String>,
}

/// A condition on the body: one of `is`, `contains`, `length` and `min`.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Check {
    /// A JSON pointer. Default: the body as text.
    pub at: Option<String>,
    /// The value equals this one.
    pub is: Option<Value>,
    /// The text contains this text, or the array this element.
    pub contains: Option<Value>,
    /// The array, object or text has this length.
    pub length: Option<u32>,
    /// The number is at least this.
    pub min: Option<f64>,
}

/// A value for later probes: from `at` or `cookie`.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(extend("required" = ["as"])))]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Capture {
    /// A JSON pointer into the body.
    pub at: Option<String>,
    /// The name of a cookie.
    pub cookie: Option<String>,
    /// The name of the placeholder.
    pub r#as: String,
}

/// Places where two responses may differ, as JSON pointers; `*` stands for any part.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Parity {
    /// Values that differ in every run. Default: none.
    pub ignore: Vec<String>,
    /// Vectors that may differ slightly in direction. Default: none.
    pub cosine: Vec<String>,
    /// Numbers that may differ by an amount. Default: none.
    pub tolerance: Option<Tolerance>,
    /// Texts whose words must be equal. Default: none.
    pub tokens: Vec<String>,
}

/// An allowed difference between numbers.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(extend("required" = ["at", "by"])))]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Tolerance {
    /// The places.
    pub at: Vec<String>,
    /// The largest difference.
    pub by: f64,
}
