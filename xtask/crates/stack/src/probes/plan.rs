//! Which probes to send, and the values of their placeholders.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::probes::health;
use crate::probes::report::{ProbeOutcome, ProbeReport};
use engine::variables::Variables;
use host::failure::{Failure, FailureClass};
use model::edition::Edition;
use model::manifest::{Manifest, Service};
use model::placeholders::{RUN, Values};
use model::probe::Probe;

/// Probes that share captured values, named after a service or a scenario.
#[derive(Debug, Clone)]
pub struct ProbeGroup<'m> {
    /// The service or scenario.
    pub name: String,
    /// In the order they are sent.
    pub probes: Vec<&'m Probe>,
}

impl<'m> ProbeGroup<'m> {
    /// The probes that are for this edition; `None`: the edition is unknown.
    pub(crate) fn new(name: &str, probes: &'m [Probe], edition: Option<Edition>) -> ProbeGroup<'m> {
        let probes = probes.iter().filter(|probe| probe.is_for(edition)).collect();
        ProbeGroup { name: name.to_owned(), probes }
    }
}

/// The probes to send to a stack.
#[derive(Debug)]
pub struct ProbePlan<'m> {
    pub(crate) manifest: &'m Manifest,
    /// The services that must run.
    pub(crate) services: Vec<&'m Service>,
    pub(crate) groups: Vec<ProbeGroup<'m>>,
}

impl<'m> ProbePlan<'m> {
    /// The probes of these services for an edition; with all services also the scenarios. `None`: the edition is unknown.
    pub fn new(manifest: &'m Manifest, services: &[&'m Service], edition: Option<Edition>) -> ProbePlan<'m> {
        let is_whole = services.len() == manifest.services.len();
        let scenarios = if is_whole { manifest.scenarios.as_slice() } else { &[] };
        let of_services = services.iter().map(|service| (&service.name, &service.probes));
        let of_scenarios = scenarios.iter().map(|scenario| (&scenario.name, &scenario.steps));
        let groups = of_services
            .chain(of_scenarios)
            .map(|(name, probes)| ProbeGroup::new(name, probes, edition))
            .filter(|group| !group.probes.is_empty());
        ProbePlan { manifest, services: services.to_vec(), groups: groups.collect() }
    }

    /// The services without a probe.
    ///
    /// # Errors
    /// When nothing has a probe.
    pub fn unasked(&self) -> Result<Vec<&'m str>, Failure> {
        let names: Vec<&str> = self.services.iter().map(|service| service.name.as_str()).collect();
        if self.groups.is_empty() {
            let what = format!(
                "no probe asks {}: a start alone does not show what a service needs",
                names.join(", ")
            );
            let remedy = "declare [[service.NAME.probe]] in the manifest, or name services that have probes";
            return Err(Failure::new(FailureClass::Failed, what, remedy));
        }
        let asked = |name: &str| {
            self.groups.iter().flat_map(|group| &group.probes).any(|probe| probe.service == name)
        };
        Ok(names.into_iter().filter(|name| !asked(name)).collect())
    }

    /// The plan's groups of services whose command answers, and the plan of those that receive requests.
    pub(crate) fn split_once(&self) -> (Vec<ProbeGroup<'m>>, ProbePlan<'m>) {
        let runs_once =
            |name: &str| self.services.iter().any(|service| service.runs_once && service.name == name);
        let groups = self.groups.iter().cloned();
        let (once, groups) = groups.partition(|group| runs_once(&group.name));
        (once, ProbePlan { manifest: self.manifest, services: self.services.clone(), groups })
    }

    /// The services without a probe or a health check.
    pub(crate) fn unprobed(&self, health: &[ProbeOutcome]) -> Vec<String> {
        let probes = || self.groups.iter().flat_map(|group| &group.probes);
        let is_probed = |name: &str| {
            probes().any(|probe| probe.service == name) || health.iter().any(|outcome| outcome.group == name)
        };
        let names = self.services.iter().map(|service| &service.name);
        names.filter(|name| !is_probed(name)).cloned().collect()
    }

    /// Fails if nothing was probed: a run without probes proves nothing.
    ///
    /// # Errors
    /// The services with neither probe nor health check.
    pub fn refuse_silence(&self, report: &ProbeReport) -> Result<(), Failure> {
        if !self.groups.is_empty() || report.outcomes.iter().any(|outcome| outcome.probe == health::NAME) {
            return Ok(());
        }
        let names: Vec<&str> = self.services.iter().map(|service| service.name.as_str()).collect();
        let what = format!("nothing was probed: {} (no probe, no health check)", names.join(", "));
        let remedy = "declare [[service.NAME.probe]], or `health` and `port`, in the manifest, or HEALTHCHECK in the Dockerfile";
        Err(Failure::new(FailureClass::Failed, what, remedy))
    }
}

/// Values for placeholders: the plain secrets that are set, and the run's own word.
pub fn values(manifest: &Manifest, variables: &Variables, word: &str) -> Values {
    let secrets = manifest.services.iter().flat_map(|service| &service.secrets);
    let set =
        secrets.filter_map(|secret| Some((secret.plain.clone(), Value::from(variables.get(&secret.plain)?))));
    set.chain([(RUN.to_owned(), Value::from(word))]).collect()
}

/// A word unique to this run, of letters and digits, so that every tokenizer keeps it whole.
pub fn unique_word() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("run{:x}{:x}", now.as_nanos(), std::process::id())
}

#[cfg(test)]
pub(crate) mod fixtures {
    use model::expectation::Expectation;
    use model::parity::ParityRules;
    use model::probe::{Body, HttpRequest, Method, Probe};

    /// `GET /` of the service `alpha`.
    pub(crate) fn probe() -> Probe {
        let request = HttpRequest {
            method: Method::Get,
            path: "/".into(),
            headers: Default::default(),
            body: Body::Empty,
        };
        let expect = Expectation { status: 200, checks: Vec::new() };
        Probe {
            name: "p".into(),
            service: "alpha".into(),
            only: Vec::new(),
            request,
            expect,
            capture: None,
            eventually: false,
            typical: false,
            parity: ParityRules::default(),
        }
    }
}
