//! Builds as Buildx resolves them, to verify that the conversion loses nothing.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::bake::{bake_command, printed};
use crate::docker::Docker;
use model::manifest::Build;

/// Writes builds as a bake definition, has Buildx print it, and reads that: by the names given. A build that Buildx changes comes back
/// different, one that it cannot use is missing.
/// Settings are taken as given: secrets and SSH agents may be missing on this machine, and older versions print only some of the rest.
///
/// # Errors
/// When Buildx refuses the definition.
pub fn through_bake(
    root: &Path,
    builds: &BTreeMap<String, Build>,
    docker: &Docker,
) -> Result<BTreeMap<String, Build>> {
    // Bake's names are more limited than those of services.
    let target = |name: &str| builds.keys().position(|key| key == name).map(|at| format!("t{at}"));
    let targets: Map<String, Value> = builds
        .iter()
        .filter_map(|(name, build)| Some((target(name)?, definition(root, build, &target))))
        .collect();
    let names: Vec<String> = targets.keys().cloned().collect();
    // Bake takes every string as a template.
    let text = json!({ "target": targets }).to_string().replace("${", "$${").replace("%{", "%%{");
    let output = bake_command(root, &["-".to_owned()], &names, docker).stdin(text).read()?;
    let mut found = BTreeMap::new();
    for one in printed(&output, root)?.builds {
        let nth = |target: &str| builds.iter().nth(target.strip_prefix('t')?.parse().ok()?);
        let name_of = |target: &str| Some(nth(target)?.0.clone());
        let mut build = one.build;
        for value in build.contexts.values_mut() {
            if let Some(name) = value.strip_prefix("target:").and_then(name_of) {
                *value = format!("target:{name}");
            }
        }
        if let Some((name, given)) = nth(&one.name) {
            build.settings = given.settings.clone();
            found.insert(name.clone(), build);
        }
    }
    Ok(found)
}

fn definition(root: &Path, build: &Build, target: &dyn Fn(&str) -> Option<String>) -> Value {
    let absolute = |path: &str| root.join(path).display().to_string();
    let context = |value: &String| match value.strip_prefix("target:") {
        Some(name) => format!("target:{}", target(name).unwrap_or_else(|| name.to_owned())),
        None if super::is_remote(value) => value.clone(),
        None => absolute(value),
    };
    let contexts: BTreeMap<&String, String> =
        build.contexts.iter().map(|(name, value)| (name, context(value))).collect();
    let mut fields = json!({
        "context": absolute(&build.context), "args": build.args, "contexts": contexts, "platforms": build.platforms,
    });
    match &build.inline {
        Some(text) => fields["dockerfile-inline"] = json!(text),
        None => fields["dockerfile"] = json!(absolute(&build.dockerfile)),
    }
    if let Some(stage) = &build.target {
        fields["target"] = json!(stage);
    }
    fields
}
