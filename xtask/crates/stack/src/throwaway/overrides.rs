//! The override file of a throwaway stack: replaces everything in the Compose file that reaches beyond the stack.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Result, bail};

use crate::throwaway::images::StackImages;
use engine::compose::{ComposeConfig, ComposeMount, ComposeResource, ComposeService};
use model::manifest::Manifest;

#[derive(Debug)]
pub(super) struct Overrides<'a> {
    pub(super) manifest: &'a Manifest,
    pub(super) images: &'a StackImages,
    pub(super) name: &'a str,
    /// For everything in the stack.
    pub(super) labels: [(String, String); 2],
    /// The folder of the deployment record, and its replacement.
    pub(super) deployed: (&'a Path, &'a Path),
}

impl Overrides<'_> {
    /// Gives each service the image to test and its own port on loopback (kept across restarts); removes its restart policy,
    /// which would hide a crash, and its container name. Gives volumes and networks names of their own. Fails if something
    /// must be shared.
    pub(super) fn file(&self, configuration: &ComposeConfig, ports: &[u16]) -> Result<String> {
        self.refuse_shared(configuration)?;
        let mut out = String::from("# Generated for one test run.\nservices:\n");
        for (name, service) in &configuration.services {
            self.service(&mut out, name, service, ports);
        }
        self.resources(&mut out, "networks", &configuration.networks, "");
        // Driver options may refer to data elsewhere.
        let plain = "    driver: !reset null\n    driver_opts: !reset {}\n";
        self.resources(&mut out, "volumes", &configuration.volumes, plain);
        Ok(out)
    }

    fn service(&self, out: &mut String, name: &str, service: &ComposeService, ports: &[u16]) {
        writeln!(out, "  {}:\n    restart: \"no\"", quoted(name)).ok();
        let all = &self.manifest.services;
        match all.iter().zip(ports).find(|(declared, _)| declared.is_compose(name)) {
            Some((declared, port)) => {
                let published = declared.port.map(|inside| quoted(&format!("127.0.0.1:{port}:{inside}")));
                let published = published.unwrap_or_default();
                let replaces = if published.is_empty() { "!reset" } else { "!override" };
                let image = quoted(&self.images.of(declared));
                writeln!(
                    out,
                    "    image: {image}\n    pull_policy: never\n    ports: {replaces} [{published}]"
                )
                .ok();
            }
            None => out.push_str("    ports: !reset []\n"),
        }
        out.push_str(&self.label_lines());
        if service.container_name.is_some() {
            out.push_str("    container_name: !reset null\n");
        }
        let mounts: Vec<&ComposeMount> =
            service.volumes.iter().filter(|mount| self.is_record(mount)).collect();
        if !mounts.is_empty() {
            out.push_str("    volumes:\n");
        }
        for mount in mounts {
            // Replaces the mount with the same target.
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
            write!(out, "  {}:\n    name: {name}\n{more}{}", quoted(key), self.label_lines()).ok();
        }
    }

    fn label_lines(&self) -> String {
        let lines =
            self.labels.iter().map(|(label, value)| format!("      {}: {}\n", quoted(label), quoted(value)));
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
            "the Compose file shares resources with other stacks: {}\nhelp: use no external volumes and networks, and mount host folders read-only",
            shared.join("; ")
        )
    }
}

/// Quoted as JSON, which is valid YAML, with dollar signs escaped.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text.replace('$', "$$")).to_string()
}
