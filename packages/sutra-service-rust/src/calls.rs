//! Counts and times calls to another service.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::metrics::histogram;

type Labels<const N: usize> = [(&'static str, &'static str); N];

/// The calls to one service. Clones count together.
#[derive(Debug, Clone)]
pub struct Calls {
    dependency: &'static str,
    seconds: Family<Labels<1>, Histogram, fn() -> Histogram>,
    errors: Family<Labels<2>, Counter>,
}

impl Calls {
    /// Calls to the service of this name, such as `hybrid`.
    pub fn to(dependency: &'static str) -> Self {
        let seconds = Family::new_with_constructor(histogram as fn() -> Histogram);
        Self { dependency, seconds, errors: Family::default() }
    }

    /// Counts a call that took this time. `failure` is why it failed: one of few codes such as `hybrid_timeout`.
    pub fn record(&self, took: Duration, failure: Option<&'static str>) {
        let dependency = ("dependency", self.dependency);
        self.seconds.get_or_create(&[dependency]).observe(took.as_secs_f64());
        if let Some(code) = failure {
            self.errors.get_or_create(&[dependency, ("code", code)]).inc();
        }
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        let seconds = self.seconds.clone();
        registry.register("sutra_dependency_seconds", "Time of a call to another service", seconds);
        let errors = self.errors.clone();
        registry.register("sutra_dependency_errors", "Failed calls to another service", errors);
    }
}
