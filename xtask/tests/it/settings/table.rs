//! The tables `NAME.toml` beside this file: containers of a service, the variables they get, and what shows that each counts.
//! README.md describes them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::variant::Variant;
use serde::Deserialize;
use serde_json::Value;

/// The folder of the tables, relative to the repository.
pub const FOLDER: &str = "xtask/tests/it/settings";

/// The containers of a service. The first one also serves those of the other services.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    pub container: Vec<ContainerRow>,
}

/// A container and its checks.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContainerRow {
    /// For messages.
    pub name: String,
    /// Its environment.
    pub set: BTreeMap<String, SetTo>,
    /// The published port, if it is not the one that `set` says.
    #[serde(skip)]
    pub published: Option<String>,
    /// How long what is eventual may take.
    #[serde(skip, default = "patience")]
    pub patience: Duration,
    /// Text files that are mounted, by path.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// More options of `docker run`.
    #[serde(default)]
    pub options: Vec<String>,
    /// Whether its health check succeeds.
    #[serde(default = "yes")]
    pub healthy: bool,
    /// Whether it can be reached from outside. If not, its health check must succeed.
    #[serde(default = "yes")]
    pub reachable: bool,
    /// Variables that `healthy` and `reachable` show.
    #[serde(default)]
    pub of: BTreeSet<String>,
    /// It refuses to start.
    pub refuses: Option<Refusal>,
    /// In order.
    #[serde(default)]
    pub check: Vec<CheckRow>,
}

/// A container that ends.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// The variables that this shows.
    pub of: BTreeSet<String>,
    /// Part of its log.
    pub says: String,
    /// Its exit code: 2 for an invalid value.
    #[serde(default = "two")]
    pub code: i32,
}

/// The value of a variable, or a part of the log.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum SetTo {
    /// The same in both images.
    Both(String),
    /// Where the images differ.
    Each { original: String, optimized: String },
}

impl SetTo {
    pub fn of(&self, variant: Variant) -> &str {
        match (self, variant) {
            (SetTo::Both(value), _) => value,
            (SetTo::Each { original, .. }, Variant::Original) => original,
            (SetTo::Each { optimized, .. }, Variant::Optimized) => optimized,
        }
    }
}

/// An observation, and what it must be.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckRow {
    /// The variables that this shows. None: a step that later checks need.
    #[serde(default)]
    pub of: BTreeSet<String>,
    /// A request such as `GET /health`.
    pub request: Option<String>,
    /// Another port than that of the service; it is published for this.
    pub port: Option<String>,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    pub json: Option<Value>,
    pub text: Option<String>,
    /// Send the head and the body, but never the last byte that `Content-Length` promises.
    #[serde(default)]
    pub stalls: bool,
    /// Send this many requests at once; one answer has to be as expected.
    #[serde(default = "one")]
    pub at_once: usize,
    /// Repeat this text that many times, in `json` or `text`, where `${many}` stands.
    pub many: Option<(String, usize)>,
    /// Repeat until it holds.
    #[serde(default)]
    pub eventually: bool,
    /// Conditions on `{"status", "headers", "body"}`.
    #[serde(default)]
    pub expect: Vec<Expect>,
    /// Names for places in the answer: `${NAME}` in later requests. Of a cookie, without its attributes.
    #[serde(default)]
    pub capture: BTreeMap<String, String>,
    /// Its log has a line with this.
    pub log: Option<SetTo>,
    /// Its log has no line with this.
    pub no_log: Option<String>,
    /// Its first process has at least this many threads.
    pub threads: Option<usize>,
}

/// A condition on the place of an answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// A JSON pointer.
    pub at: String,
    pub is: Option<Value>,
    pub contains: Option<String>,
    pub min: Option<f64>,
    pub length: Option<usize>,
}

impl Expect {
    /// What is wrong with an answer.
    pub fn fault(&self, answer: &Value) -> Option<String> {
        let Some(found) = answer.pointer(&self.at) else { return Some(format!("no value at {}", self.at)) };
        let number = found.as_f64().or_else(|| found.as_str()?.parse().ok());
        let text = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
        let length = found.as_array().map(Vec::len);
        let holds = self.is.as_ref().is_none_or(|value| value == found)
            && self.contains.as_ref().is_none_or(|part| text.contains(part.as_str()))
            && self.min.is_none_or(|min| number.is_some_and(|number| number >= min))
            && self.length.is_none_or(|expected| length == Some(expected));
        (!holds).then(|| format!("{} is {found}, expected {}", self.at, self.expected()))
    }

    fn expected(&self) -> String {
        let is = self.is.as_ref().map(Value::to_string);
        let contains = self.contains.as_ref().map(|part| format!("one that contains {part:?}"));
        let min = self.min.map(|min| format!("at least {min}"));
        let length = self.length.map(|length| format!("{length} elements"));
        [is, contains, min, length].into_iter().flatten().collect::<Vec<_>>().join(" and ")
    }
}

impl Table {
    /// The table of a service.
    pub fn load(root: &Path, service: &str) -> Table {
        let path = root.join(path_of(service));
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The variables that have a check.
    pub fn checked(&self) -> BTreeSet<String> {
        self.container.iter().flat_map(ContainerRow::checked).collect()
    }
}

impl ContainerRow {
    /// The variables that have a check.
    pub fn checked(&self) -> BTreeSet<String> {
        let rows = self.check.iter().flat_map(|check| &check.of);
        rows.chain(&self.of).chain(self.refuses.iter().flat_map(|refusal| &refusal.of)).cloned().collect()
    }

    /// What is wrong with the row itself.
    pub fn faults(&self) -> Vec<String> {
        let unset = self.checked().into_iter().filter(|name| !self.set.contains_key(name));
        let mut faults: Vec<String> =
            unset.map(|name| format!("a check of {name}, which `set` does not set")).collect();
        for check in &self.check {
            let says_nothing = check.expect.is_empty()
                && check.log.is_none()
                && check.no_log.is_none()
                && check.threads.is_none();
            if says_nothing && !check.of.is_empty() {
                faults.push(format!("the check of {:?} expects nothing", check.of));
            }
        }
        for expect in self.check.iter().flat_map(|check| &check.expect) {
            if expect.expected().is_empty() {
                faults.push(format!("{}: no condition", expect.at));
            }
        }
        faults
    }
}

/// The table of a service, relative to the repository.
pub fn path_of(service: &str) -> PathBuf {
    Path::new(FOLDER).join(format!("{service}.toml"))
}

fn yes() -> bool {
    true
}

/// Enough for a busy machine.
fn patience() -> Duration {
    Duration::from_secs(120)
}

fn two() -> i32 {
    2
}

fn one() -> usize {
    1
}
