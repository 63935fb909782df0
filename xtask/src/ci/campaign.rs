//! `ci --campaign PART`: injects hundreds of faults into real engines, registries and disks, switches thousands of generated
//! Compose projects, or feeds a million malformed inputs to our parsers. The parts are tests in `tests/it/campaign`. They take up
//! to an hour each, so neither `ci` nor `ci --full` runs them.

use anyhow::Result;
use clap::ValueEnum;

use super::pass_on;
use engine::context::Context;
use engine::environment::require_engine;
use engine::programs;
use host::failure::Failure;

/// Options of a campaign.
#[derive(Debug, clap::Args)]
pub struct CampaignArgs {
    /// Run one part of the fault campaign, for about an hour; run again to continue
    #[arg(long, value_enum, value_name = "PART", conflicts_with = "full")]
    campaign: Option<CampaignPart>,

    /// Seed for the order and selection of faults
    #[arg(long, value_name = "N", default_value_t = 1, requires = "campaign")]
    seed: u64,

    /// Check that the campaign detects bugs planted in a copy of xtask
    #[arg(long, requires = "campaign")]
    planted: bool,
}

/// The faults to inject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CampaignPart {
    /// Run `deploy update` repeatedly, with all cores busy
    Updates,
    /// Run two checkouts at once
    Pairs,
    /// Kill or interrupt commands
    Kills,
    /// Fill disks
    Disk,
    /// Kill the daemon
    Daemon,
    /// Break the registry
    Registry,
    /// Run `compose-switch` on generated Compose projects
    Compose,
    /// Feed a million malformed files to xtask's parsers
    Fuzz,
}

/// Cargo arguments and environment variables of a campaign.
#[derive(Debug, PartialEq, Eq)]
pub struct CampaignRun {
    args: Vec<String>,
    variables: Vec<(&'static str, String)>,
    part: CampaignPart,
}

impl CampaignArgs {
    /// What to run; `None` without `--campaign`.
    pub fn cargo(&self) -> Option<CampaignRun> {
        let part = self.campaign?;
        let part_name = part.to_possible_value()?.get_name().to_owned();
        let test =
            if self.planted { "planted::campaign".to_owned() } else { format!("{part_name}::campaign") };
        let name = format!("campaign::{test}");
        let args =
            ["test", "--locked", "--package", "xtask", "--test", "it", "--", "--ignored", "--exact", &name];
        let args = args.iter().chain(&["--nocapture"]).map(ToString::to_string).collect();
        let seed = ("XTASK_CAMPAIGN_SEED", self.seed.to_string());
        Some(CampaignRun { args, variables: vec![seed, ("XTASK_CAMPAIGN_PART", part_name)], part })
    }
}

/// Runs a campaign.
///
/// # Errors
/// When the campaign has findings or a required program is missing.
pub fn run(campaign: &CampaignRun, dry_run: bool, context: &Context) -> Result<()> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let mut cmd = context.docker.runner.cmd(cargo).dir(context.repository.root()).args(campaign.args.clone());
    for (name, value) in &campaign.variables {
        cmd = cmd.env(*name, value.clone());
    }
    if dry_run {
        context.terminal.print(format!("{}\n", cmd.quoted()));
        return Ok(());
    }
    match campaign.part {
        CampaignPart::Compose if context.docker.has_compose() => {}
        CampaignPart::Compose => {
            let remedy = "install Docker Compose; it needs no engine";
            return Err(Failure::machine("docker compose is not installed", remedy).into());
        }
        CampaignPart::Fuzz => {}
        CampaignPart::Kills => {
            require_engine(context)?;
            programs::require(&["strace"], context)?;
        }
        _ => require_engine(context)?,
    }
    pass_on(&cmd, context)
}
