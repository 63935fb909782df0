//! What a service hands over once it has started.

use std::fmt;
use std::sync::Arc;

use axum::Router;

use crate::bodies::Bodies;
use crate::fallback::with_fallbacks;
use crate::health::{Health, HealthFields};

/// Default memory for bodies, in bytes.
const BODY_MEMORY: usize = 64 << 20;

/// A started service: its routes and its health.
pub struct Application {
    pub(crate) router: Router,
    pub(crate) bodies: Arc<Bodies>,
    health: Box<dyn Fn() -> Health + Send + Sync>,
}

impl Application {
    /// A service with these routes. It reports [`Health::Ready`] unless [`Application::health`] is called.
    pub fn new(router: Router) -> Self {
        let bodies = Arc::new(Bodies::new(BODY_MEMORY));
        let health = Box::new(|| Health::Ready(HealthFields::default()));
        Self { router: with_fallbacks(router), bodies, health }
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

    pub(crate) fn current_health(&self) -> Health {
        (self.health)()
    }
}

impl fmt::Debug for Application {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Application").finish_non_exhaustive()
    }
}
