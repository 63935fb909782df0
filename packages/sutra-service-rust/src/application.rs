//! What a service hands over once it has started.

use std::fmt;

use axum::Router;

use crate::fallback::with_fallbacks;
use crate::health::{Health, HealthFields};

/// A started service: its routes and its health.
pub struct Application {
    pub(crate) router: Router,
    health: Box<dyn Fn() -> Health + Send + Sync>,
}

impl Application {
    /// A service with these routes. It reports [`Health::Ready`] unless [`Application::health`] is called.
    pub fn new(router: Router) -> Self {
        Self { router: with_fallbacks(router), health: Box::new(|| Health::Ready(HealthFields::default())) }
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
