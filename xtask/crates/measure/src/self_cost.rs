//! What xtask costs beside the docker commands that it wraps, in pairs taken one after the other.

use std::time::Instant;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::record::Sample;
use crate::request::MeasureRequest;
use crate::session::Session;
use engine::bake::BakeOptions;
use engine::context::Context;
use host::files;
use host::process::Cmd;
use model::bound::XTASK;
use model::quantity::Quantity;

/// Measures builds with nothing changed and from nothing, each beside the same bake without xtask, and `compare`.
pub(crate) fn measure(
    request: &MeasureRequest<'_>,
    session: &Session,
    context: &Context,
) -> Result<Vec<Sample>> {
    let program = std::env::current_exe().context("cannot find this program's file")?;
    let names = request.services.iter().map(|service| service.name.clone());
    let (edition, tag) = (request.edition.to_string(), request.tag.to_string());
    let xtask = |command: &str| {
        let cmd = context.docker.runner.cmd(program.display().to_string()).args(["--quiet", command]);
        cmd.args(["--edition", edition.as_str(), "--tag", tag.as_str()]).dir(context.repository.root())
    };
    let build = xtask("build-images").args(names);
    seconds(&build)?;
    let definition = build.clone().arg("--dry-run").read()?;
    let folder = session.folder("bake");
    files::create_dir(&folder)?;
    let file = folder.join("bake.json");
    files::write_atomically(&file, definition.as_bytes())?;
    let targets = ["default".to_owned()];
    let bake = context.docker.bake(&file, &targets, [], &BakeOptions::default());
    let mut samples = Vec::new();
    let mut add = |quantity, value| samples.push((XTASK.to_owned(), quantity, value));
    for (options, time, ratio) in [
        (None, Quantity::BuildUnchanged, Quantity::BuildUnchangedRatio),
        (Some("--no-cache"), Quantity::BuildCold, Quantity::BuildColdRatio),
    ] {
        let ours = seconds(&build.clone().args(options))?;
        let alone = seconds(&bake.clone().args(options))?;
        add(time, (ours * 1e6).round() as u64);
        add(ratio, (ours / alone * 1e3).round() as u64);
    }
    add(Quantity::Compare, (seconds(&xtask("compare"))? * 1e6).round() as u64);
    // The definition tags images under a name of its run.
    context.docker.remove(&tags(&definition)?)?;
    Ok(samples)
}

/// Compiles xtask into an empty folder.
pub(crate) fn compile(session: &Session, context: &Context) -> Result<Vec<Sample>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let target = session.folder("target").display().to_string();
    let cmd =
        context.docker.runner.cmd(cargo).args(["build", "--quiet", "--package", "xtask", "--target-dir"]);
    let time = seconds(&cmd.arg(target).dir(context.repository.root()))?;
    Ok(vec![(XTASK.to_owned(), Quantity::Compile, (time * 1e6).round() as u64)])
}

fn seconds(cmd: &Cmd) -> Result<f64> {
    let begun = Instant::now();
    cmd.clone().long().read()?;
    Ok(begun.elapsed().as_secs_f64())
}

fn tags(definition: &str) -> Result<Vec<String>> {
    let definition: Value = serde_json::from_str(definition)?;
    let targets = definition["target"].as_object().into_iter().flatten();
    let tags = targets.flat_map(|(_, target)| target["tags"].as_array().into_iter().flatten());
    Ok(tags.filter_map(|tag| tag.as_str().map(str::to_owned)).collect())
}
