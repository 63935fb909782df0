//! Loads: requests in large numbers through a throwaway stack. `measure --load` runs and times them.

use std::collections::BTreeMap;

use crate::probe::Probe;

/// Steps that one throwaway stack goes through, in order.
#[derive(Debug, Clone)]
pub struct Load {
    /// The key in the manifest.
    pub name: String,
    /// Its steps; each is handed what earlier ones captured.
    pub steps: Vec<LoadStep>,
}

/// One request, repeated.
///
/// Its placeholders may also be [`GENERATED`] values, which are the same in every run. A step whose probe is `eventually` waits for
/// the work of the step before it, and its time counts as that step's.
#[derive(Debug, Clone)]
pub struct LoadStep {
    /// The request, and what every answer must be.
    pub probe: Probe,
    /// Requests that count.
    pub count: u64,
    /// Requests before those.
    pub warm_up: u64,
    /// Clients that share the requests, each with one connection.
    pub clients: u64,
    /// Items in one request: a text body is repeated, a JSON list of one element is filled.
    pub items: u64,
    /// Numbers in a generated vector.
    pub dimension: u64,
    /// Whether the service is restarted first, and the time until it is healthy again measured.
    pub restart: bool,
    /// Environment variables that the service gets in this load's stack.
    pub environment: BTreeMap<String, String>,
}

/// Placeholders with a generated value: the item's number, a sentence, a question about such sentences, a random unit vector.
pub const GENERATED: [&str; 4] = ["number", "text", "question", "vector"];

impl Load {
    /// The name of a step's figures: `LOAD/STEP`.
    pub fn subject(&self, step: &LoadStep) -> String {
        format!("{}/{}", self.name, step.probe.name)
    }

    /// Whether it sends requests to this service.
    pub fn uses(&self, service: &str) -> bool {
        self.steps.iter().any(|step| step.probe.service == service)
    }
}
