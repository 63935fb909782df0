//! Publishing on a real engine.
