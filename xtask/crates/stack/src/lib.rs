//! Compose files and the stacks that run from them: switching images, deploying (also to Swarm and Kubernetes), probing,
//! throwaway stacks, parity.

pub mod deploy;
pub mod http;
pub mod kubernetes;
mod parity;
pub mod probes;
pub mod secrecy;
pub mod swarm;
pub mod switch;
pub mod throwaway;
mod yaml;
