//! What a throwaway stack has other than the Compose file says, as a Compose file of its own: everything that would reach
//! beyond the stack.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Result, bail};

use crate::throwaway::Images;
use engine::compose::{ComposeConfig, ComposeMount, ComposeResource, ComposeService};
use model::manifest::Manifest;

/// How one stack is kept apart from all others.
#[derive(Debug)]
pub(super) struct Overrides<'a> {
    pub(super) manifest: &'a Manifest,
    pub(super) images: &'a Images,
    /// The stack's name.
    pub(super) name: &'a str,
    /// Labels of all that belongs to it, with their values.
    pub(super) marks: [(String, String); 2],
    /// The folder of deployments' records, and what stands for it.
    pub(super) deployed: (&'a Path, &'a Path),
}

impl Overrides<'_> {
    /// For each service: the image to be tried, a port of loopback's (of its own even when it is stopped and started again), no
    /// restart that would hide an end, no name that another stack's container may have. For each volume and network a name
    /// of this stack's.
    ///
    /// # Errors
    /// Everything that cannot be kept apart.
    pub(super) fn file(&self, configuration: &ComposeConfig, ports: &[u16]) -> Result<String> {
        self.refuse_shared(configuration)?;
        let mut out = String::from("# Made for one run.\nservices:\n");
        for (name, service) in &configuration.services {
            self.service(&mut out, name, service, ports);
        }
        self.resources(&mut out, "networks", &configuration.networks, "");
        // Options may lead to data that is elsewhere.
        let plain = "    driver: !reset null\n    driver_opts: !reset {}\n";
        self.resources(&mut out, "volumes", &configuration.volumes, plain);
        Ok(out)
    }

    fn service(&self, out: &mut String, name: &str, service: &ComposeService, ports: &[u16]) {
        writeln!(out, "  {}:\n    restart: \"no\"", quoted(name)).ok();
        let all = &self.manifest.services;
        match all.iter().zip(ports).find(|(declared, _)| declared.compose == name) {
            Some((declared, port)) => {
                let published = quoted(&format!("127.0.0.1:{port}:{}", declared.port));
                let image = quoted(&self.images.of(declared));
                writeln!(
                    out,
                    "    image: {image}\n    pull_policy: never\n    ports: !override [{published}]"
                )
                .ok();
            }
            // Nobody asks it from outside.
            None => out.push_str("    ports: !reset []\n"),
        }
        out.push_str(&self.labels());
        if service.container_name.is_some() {
            out.push_str("    container_name: !reset null\n");
        }
        let mounts: Vec<&ComposeMount> =
            service.volumes.iter().filter(|mount| self.is_record(mount)).collect();
        if !mounts.is_empty() {
            out.push_str("    volumes:\n");
        }
        for mount in mounts {
            // Compose puts it in the place of what has the same target.
            let (source, target) = (quoted(&self.deployed.1.display().to_string()), quoted(&mount.target));
            writeln!(out, "      - {{ type: bind, source: {source}, target: {target}, read_only: true, bind: {{ create_host_path: false }} }}").ok();
        }
    }

    fn resources(&self, out: &mut String, kind: &str, all: &BTreeMap<String, ComposeResource>, more: &str) {
        if !all.is_empty() {
            writeln!(out, "{kind}:").ok();
        }
        for key in all.keys() {
            let name = quoted(&format!("{}_{key}", self.name));
            write!(out, "  {}:\n    name: {name}\n{more}{}", quoted(key), self.labels()).ok();
        }
    }

    fn labels(&self) -> String {
        let lines =
            self.marks.iter().map(|(label, value)| format!("      {}: {}\n", quoted(label), quoted(value)));
        format!("    labels:\n{}", lines.collect::<String>())
    }

    fn is_record(&self, mount: &ComposeMount) -> bool {
        mount.kind == "bind" && mount.source == self.deployed.0
    }

    fn refuse_shared(&self, configuration: &ComposeConfig) -> Result<()> {
        let mut shared = Vec::new();
        for (kind, all) in [("volume", &configuration.volumes), ("network", &configuration.networks)] {
            let external = all.iter().filter(|(_, resource)| resource.external);
            shared.extend(external.map(|(key, found)| format!("{kind} {key} is external ({})", found.name)));
        }
        for (name, service) in &configuration.services {
            if service.network_mode.as_deref() == Some("host") {
                shared.push(format!("service {name} uses the host's network"));
            }
            let writable =
                |mount: &&ComposeMount| mount.kind == "bind" && !mount.read_only && !self.is_record(mount);
            let writable = service.volumes.iter().filter(writable);
            shared.extend(
                writable.map(|mount| format!("service {name} can write to {}", mount.source.display())),
            );
        }
        if shared.is_empty() {
            return Ok(());
        }
        bail!(
            "the Compose file has what no throwaway stack can have for itself: {}\n  give the stack volumes and networks of its own, and mount folders of the host read-only",
            shared.join("; ")
        )
    }
}

/// Quoted as JSON, which is YAML: no name can break out. A dollar sign stands for itself.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text.replace('$', "$$")).to_string()
}
