//! The metrics that every service has, and their text form for Prometheus.

use prometheus_client::encoding::prometheus_text;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::process_metrics::Process;
use crate::request_metrics::RequestMetrics;
use crate::settings::Settings;

pub(crate) use prometheus_text::CONTENT_TYPE;

/// From a search to a language model; the last one is the longest deadline of most calls.
const SECONDS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// The metrics of a service, but for those of its application.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    pub requests: RequestMetrics,
}

impl Metrics {
    /// To be called when the process starts.
    pub(crate) fn new(settings: &Settings) -> Self {
        let mut registry = Registry::default();
        let build = Family::<[(&str, String); 3], Gauge>::default();
        let labels = [
            ("service", settings.service.to_owned()),
            ("version", settings.version.clone()),
            ("edition", settings.edition.clone()),
        ];
        build.get_or_create(&labels).set(1);
        registry.register("sutra_build_info", "Service, version and edition; always 1", build);
        registry.register_collector(Box::new(Process::this()));
        let requests = RequestMetrics::default();
        requests.register(&mut registry);
        Self { registry, requests }
    }

    /// All metrics, with those of the application once it has started. May block.
    pub(crate) fn text(&self, application: Option<&Registry>) -> String {
        let mut text = String::new();
        for registry in [Some(&self.registry), application].into_iter().flatten() {
            // Only a writer can fail, and a String never does.
            let _ = prometheus_text::encode(&mut text, registry);
        }
        text
    }
}

/// A histogram of seconds.
pub(crate) fn histogram() -> Histogram {
    Histogram::new(SECONDS)
}
