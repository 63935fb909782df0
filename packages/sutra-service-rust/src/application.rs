//! What a service hands over once it has started.

use std::fmt;
use std::sync::Arc;

use axum::Router;
use prometheus_client::registry::Registry;

use crate::bodies::Bodies;
use crate::calls::Calls;
use crate::fallback::with_fallbacks;
use crate::health::{Health, HealthFields};
use crate::request_metrics::with_route_names;
use crate::samples::{Readings, Samples};

/// Default memory for bodies, in bytes.
const BODY_MEMORY: usize = 64 << 20;

/// A started service: its routes and its health.
pub struct Application {
    pub(crate) router: Router,
    pub(crate) bodies: Arc<Bodies>,
    pub(crate) metrics: Registry,
    health: Box<dyn Fn() -> Health + Send + Sync>,
}

impl Application {
    /// A service with these routes. It reports [`Health::Ready`] unless [`Application::health`] is called.
    pub fn new(router: Router) -> Self {
        let bodies = Arc::new(Bodies::new(BODY_MEMORY));
        let health = Box::new(|| Health::Ready(HealthFields::default()));
        let router = with_route_names(with_fallbacks(router));
        Self { router, bodies, metrics: Registry::default(), health }
    }

    /// How many bytes of JSON bodies may be in memory at once; 64 MiB by default. At least the largest body.
    #[must_use]
    pub fn body_memory(mut self, bytes: usize) -> Self {
        self.bodies = Arc::new(Bodies::new(bytes));
        self
    }

    /// Calls `health` for every `GET /health`. It must return at once, without I/O.
    #[must_use]
    pub fn health(mut self, health: impl Fn() -> Health + Send + Sync + 'static) -> Self {
        self.health = Box::new(health);
        self
    }

    /// Calls `read` whenever the metrics are asked for, on a thread that may block.
    #[must_use]
    pub fn metrics(mut self, read: impl Fn(&mut Samples<'_>) + Send + Sync + 'static) -> Self {
        self.metrics.register_collector(Box::new(Readings(read)));
        self
    }

    /// Shows the calls to another service in the metrics.
    #[must_use]
    pub fn calls(mut self, calls: &Calls) -> Self {
        calls.register(&mut self.metrics);
        self
    }

    pub(crate) fn current_health(&self) -> Health {
        (self.health)()
    }
}

impl fmt::Debug for Application {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Application").finish_non_exhaustive()
    }
}
