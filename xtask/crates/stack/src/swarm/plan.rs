//! The plan of a deployment to a swarm.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::Result;
use serde_json::{Map, Value, json};

use crate::secrecy::SecretFinder;
use crate::swarm::cluster::{Cluster, RunningService};
use crate::swarm::contents::{Content, ContentKind};
use crate::swarm::ports::PublishRequest;
use crate::swarm::service::{self, Conversion};
use crate::swarm::stack_file::yaml;
use engine::compose::cluster::ClusterProject;
use host::failure::{Failure, FailureClass};
use host::plural;
use host::table::{Align, Table};

/// The schema version of stack files; needs Docker 25 or newer.
const VERSION: &str = "3.12";

/// The inputs of [`plan`].
pub struct PlanInput<'a> {
    /// The Compose project.
    pub project: &'a ClusterProject,
    /// The swarm.
    pub cluster: &'a Cluster,
    /// The stack's existing services, by their name in the Compose file.
    pub running: &'a BTreeMap<String, RunningService>,
    /// By service: its image with a digest, or why it has none.
    pub images: &'a BTreeMap<String, Result<String, String>>,
    /// The secrets and configs of the Compose file except external ones, or why they cannot be read.
    pub contents: &'a BTreeMap<(ContentKind, String), Result<Vec<u8>, String>>,
    /// Variables that become secrets.
    pub file_variables: &'a [FileVariable],
    /// Recognizes secrets in other variables.
    pub secrets: &'a SecretFinder,
    /// Ports to publish that Compose binds to one address.
    pub publish: &'a [PublishRequest],
}

/// A variable with a secret value that a service can also read from a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileVariable {
    /// The service in the Compose file.
    pub service: String,
    /// The variable with the value.
    pub variable: String,
    /// The variable with the file's path; `None` if the service cannot read a file.
    pub file_variable: Option<String>,
}

/// A deployment to a swarm.
#[derive(Debug, Clone, PartialEq)]
pub struct SwarmPlan {
    /// The stack's name, taken from the Compose project.
    pub stack: String,
    /// By name.
    pub services: BTreeMap<String, PlannedService>,
    /// Secrets and configs.
    pub contents: Vec<Content>,
    /// What Swarm does differently from Compose.
    pub notes: Vec<Note>,
    /// The stack file.
    file: Value,
}

/// A service in the plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlannedService {
    /// The image with its digest.
    pub image: String,
    /// The expected tasks.
    pub expected: Expected,
    /// Whether the old container stops before the new one starts.
    pub stop_first: bool,
    /// The ID of the node that holds its data.
    pub node: Option<String>,
    /// Published ports, as `PUBLISHED→TARGET/PROTOCOL`.
    pub published: Vec<String>,
    /// Ports that are not published because Compose binds them to one address.
    pub withheld: Vec<String>,
    /// Its networks in the swarm.
    pub networks: Vec<String>,
}

/// The tasks that a service should have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Expected {
    /// No tasks.
    #[default]
    Nothing,
    /// This many tasks run.
    Running(u32),
    /// One task runs on each node that may run it.
    EveryNode,
    /// This many tasks end with exit code 0.
    Completed(u32),
}

/// A difference between Swarm and Compose.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    /// The setting in the Compose file.
    pub setting: String,
    /// What happens instead.
    pub instead: String,
    /// The services with this setting; empty for the whole stack.
    pub services: BTreeSet<String>,
}

/// Computes the plan.
///
/// # Errors
/// All problems that prevent the deployment, in one message.
pub fn plan(input: &PlanInput<'_>) -> Result<SwarmPlan, Failure> {
    let mut conversion = Conversion::new(input);
    let mut services = Map::new();
    let mut planned = BTreeMap::new();
    for (name, compose) in &input.project.services {
        let (service, file) = service::convert(name, compose, &mut conversion);
        services.insert(name.clone(), file);
        planned.insert(name.clone(), service);
    }
    conversion.whole_project();
    conversion.refuse_unknown_ports();
    let Conversion { contents, notes, faults, .. } = conversion;
    if !faults.is_empty() {
        return Err(refusal(&faults));
    }
    let mut file =
        Map::from_iter([("version".to_owned(), json!(VERSION)), ("services".to_owned(), services.into())]);
    file.extend(service::top_level(input, &contents));
    let notes =
        notes.into_iter().map(|((setting, instead), services)| Note { setting, instead, services }).collect();
    Ok(SwarmPlan {
        stack: input.project.name.clone(),
        services: planned,
        contents: contents.into_values().collect(),
        notes,
        file: file.into(),
    })
}

fn refusal(faults: &[Fault]) -> Failure {
    let list: String = faults.iter().map(|fault| format!("\n  {}", fault.what)).collect();
    let helps: BTreeSet<&str> = faults.iter().map(|fault| fault.help.as_str()).collect();
    let what = format!("nothing was deployed: {}{list}", plural::count(faults.len(), "problem"));
    Failure::new(FailureClass::Failed, what, helps.into_iter().collect::<Vec<_>>().join("\nhelp: "))
}

/// A reason not to deploy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// The service, the setting, and what is wrong with it.
    pub what: String,
    /// What fixes it.
    pub help: String,
}

impl SwarmPlan {
    /// The stack file. It contains the values of all variables that do not become Swarm secrets.
    ///
    /// # Errors
    /// When the emitter rejects a value.
    pub fn stack_file(&self) -> Result<String> {
        yaml(&self.file).text()
    }

    /// The plan as text, without the values of variables.
    pub fn text(&self, cluster: &Cluster) -> String {
        let columns = [
            ("service", Align::Left),
            ("image", Align::Left),
            ("tasks", Align::Left),
            ("update", Align::Left),
            ("node", Align::Left),
            ("published", Align::Left),
        ];
        let mut table = Table::new(&columns);
        for (name, service) in &self.services {
            let update = if service.stop_first { "stop first" } else { "start first" };
            let node = service.node.as_ref().map_or_else(|| "any".to_owned(), |id| cluster.name_of(id));
            let published =
                if service.published.is_empty() { "–".into() } else { service.published.join(", ") };
            let tasks = service.expected.text();
            table.row(vec![name.clone(), shortened(&service.image), tasks, update.into(), node, published]);
        }
        let mut out = table.text();
        let withheld: Vec<String> = self
            .services
            .iter()
            .flat_map(|(name, service)| service.withheld.iter().map(move |port| format!("{name}:{port}")))
            .collect();
        if !withheld.is_empty() {
            let ports = withheld.join(", ");
            writeln!(out, "\nNot published, because Compose binds them to one address: {ports}").ok();
        }
        if !self.contents.is_empty() {
            let names: Vec<&str> = self.contents.iter().map(|content| content.name.as_str()).collect();
            writeln!(out, "\nSecrets and configs: {}", names.join(", ")).ok();
        }
        if !self.notes.is_empty() {
            out.push_str("\nDifferent from Compose:\n");
        }
        for Note { setting, instead, services } in &self.notes {
            let services: Vec<&str> = services.iter().map(String::as_str).collect();
            let of = match services.len() {
                0 => String::new(),
                count if count == self.services.len() && count > 1 => " (all services)".to_owned(),
                _ => format!(" ({})", services.join(", ")),
            };
            writeln!(out, "  {setting}{of}: {instead}").ok();
        }
        out
    }
}

/// An image with a shortened digest.
fn shortened(image: &str) -> String {
    match image.split_once("@sha256:") {
        Some((name, digest)) => format!("{name}@{}", digest.get(..12).unwrap_or(digest)),
        None => image.to_owned(),
    }
}

impl Expected {
    fn text(self) -> String {
        match self {
            Expected::Nothing => "0".to_owned(),
            Expected::Running(count) => count.to_string(),
            Expected::EveryNode => "one per node".to_owned(),
            Expected::Completed(count) => format!("{count}, runs to completion"),
        }
    }
}
