//! The stack of all services: bringing it up healthy, and the secrets that it needs.

pub mod health;
pub mod rise;
pub mod secrets;
