//! Compose files and the stacks that run from them: switching images, deploying, probing, throwaway stacks, parity.

pub mod deploy;
pub mod http;
mod parity;
pub mod probes;
pub mod switch;
pub mod throwaway;
