//! Subcommand: `cargo xtask relay`, for containers that this program starts.

use std::time::Duration;

use anyhow::Result;

use engine::context::Context;
use host::wait;
use stack::swarm::relay;

/// Connect standard input and output to a service
#[derive(Debug, clap::Args)]
pub struct Args {
    /// HOST:PORT of the service
    #[arg(required_unless_present = "wait")]
    address: Option<String>,
    /// Only wait for SECONDS, to keep the container running
    #[arg(long, value_name = "SECONDS")]
    wait: Option<u64>,
}

pub fn run(args: &Args, context: &Context) -> Result<()> {
    match (&args.address, args.wait) {
        (Some(address), _) => relay::forward(address, &context.terminal),
        (None, seconds) => {
            let time = Duration::from_secs(seconds.unwrap_or_default());
            Ok(wait::pause(time, &context.docker.runner.interrupt)?)
        }
    }
}
