//! Resolves service names from the command line.

use anyhow::Result;

use engine::compose::Project;
use host::failure::Failure;
use model::manifest::Manifest;
use model::names::Unknown;

/// Maps service names from the manifest or the Compose file (any profile) to names in the Compose file.
///
/// # Errors
/// When a name is unknown (the error suggests similar ones), or Compose cannot read its files.
pub fn in_compose(names: &[String], manifest: &Manifest, project: &Project) -> Result<Vec<String>> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let services = project.clone().profiles(&["*".to_owned()]).config()?.services;
    let all: Vec<&str> = services.keys().map(String::as_str).collect();
    resolve(names, manifest, &all).map_err(|unknown| {
        let lines: Vec<String> = unknown.iter().map(ToString::to_string).collect();
        Failure::usage(lines.join("\n")).into()
    })
}

fn resolve(names: &[String], manifest: &Manifest, all: &[&str]) -> Result<Vec<String>, Vec<Unknown>> {
    let (mut found, mut unknown) = (Vec::new(), Vec::new());
    for name in names {
        let declared = manifest.services.iter().find(|service| service.name == *name);
        let compose = declared.and_then(|service| service.compose.as_ref()).unwrap_or(name);
        match all.contains(&compose.as_str()) {
            true if found.contains(compose) => {}
            true => found.push(compose.clone()),
            false => {
                let declared = manifest.services.iter().map(|service| service.name.as_str());
                let mut known: Vec<&str> = declared.chain(all.iter().copied()).collect();
                known.sort_unstable();
                known.dedup();
                unknown.push(Unknown::new("service", name, known));
            }
        }
    }
    if unknown.is_empty() { Ok(found) } else { Err(unknown) }
}
