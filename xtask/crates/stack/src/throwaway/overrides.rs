//! The override file of a throwaway stack: replaces everything in the Compose file that reaches beyond the stack.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Result, bail};

use crate::throwaway::copies::MountCopies;
use crate::throwaway::images::StackImages;
use engine::compose::{ComposeConfig, ComposeMount, ComposeResource, ComposeService};
use engine::host_path::COPY;
use model::manifest::Manifest;

#[derive(Debug)]
pub(super) struct Overrides<'a> {
    pub(super) manifest: &'a Manifest,
    pub(super) images: &'a StackImages,
    pub(super) name: &'a str,
    /// For everything in the stack.
    pub(super) labels: &'a [(String, String)],
    /// Replace mounts of the host's files.
    pub(super) copies: &'a MountCopies,
    /// The folder of the deployment record, and its replacement.
    pub(super) deployed: (&'a Path, &'a Path),
}

impl Overrides<'_> {
    /// Gives each service the image to test and its own port on loopback (kept across restarts); removes its restart policy,
    /// which would hide a crash, and its container name. Gives volumes and networks names of their own, and mounts copies.
    pub(super) fn file(&self, configuration: &ComposeConfig, ports: &[u16]) -> String {
        let mut out = String::from("# Generated for one test run.\nservices:\n");
        for (name, service) in &configuration.services {
            self.service(&mut out, name, service, ports);
        }
        let networks = self.resources(&configuration.networks, "");
        // Driver options may refer to data elsewhere.
        let plain = "    driver: !reset null\n    driver_opts: !reset {}\n";
        let mut volumes = self.resources(&configuration.volumes, plain);
        for copy in self.copies.all() {
            let (key, volume) = (quoted(&copy.key), quoted(&copy.volume));
            writeln!(volumes, "  {key}: {{ name: {volume}, external: true }}").ok();
        }
        // Compose refuses an empty section.
        for (kind, all) in [("networks", networks), ("volumes", volumes)] {
            if !all.is_empty() {
                write!(out, "{kind}:\n{all}").ok();
            }
        }
        out
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
        let mounts: Vec<String> = service.volumes.iter().filter_map(|mount| self.mount(mount)).collect();
        if !mounts.is_empty() {
            writeln!(out, "    volumes:\n{}", mounts.join("\n")).ok();
        }
    }

    /// The replacement of a mount. Compose matches them by target.
    fn mount(&self, mount: &ComposeMount) -> Option<String> {
        let target = quoted(&mount.target);
        if mount.kind == "bind" && mount.source == self.deployed.0 {
            let source = quoted(&self.deployed.1.display().to_string());
            return Some(format!(
                "      - {{ type: bind, source: {source}, target: {target}, read_only: true, bind: {{ create_host_path: false }} }}"
            ));
        }
        let copy = self.copies.of(mount)?;
        let (key, read_only) = (quoted(&copy.key), mount.read_only);
        let subpath = if copy.is_file { format!(", subpath: {COPY}") } else { String::new() };
        // An empty copy hides the image's files, as an empty host folder does.
        Some(format!(
            "      - {{ type: volume, source: {key}, target: {target}, read_only: {read_only}, volume: {{ nocopy: true{subpath} }} }}"
        ))
    }

    fn resources(&self, all: &BTreeMap<String, ComposeResource>, more: &str) -> String {
        let mut out = String::new();
        // An external one is not used, or the stack would have been refused.
        for key in all.iter().filter(|(_, resource)| !resource.external).map(|(key, _)| key) {
            let name = quoted(&format!("{}_{key}", self.name));
            write!(out, "  {}:\n    name: {name}\n{more}{}", quoted(key), self.label_lines()).ok();
        }
        out
    }

    fn label_lines(&self) -> String {
        let lines =
            self.labels.iter().map(|(label, value)| format!("      {}: {}\n", quoted(label), quoted(value)));
        format!("    labels:\n{}", lines.collect::<String>())
    }
}

/// Fails if a service uses something that belongs to other stacks.
pub(super) fn refuse_shared(configuration: &ComposeConfig) -> Result<()> {
    let mut shared = Vec::new();
    let external = |kind: &str, all: &BTreeMap<String, ComposeResource>, key: &str| {
        let found = all.get(key).filter(|resource| resource.external)?;
        Some(format!("{kind} {key} is external ({})", found.name))
    };
    for (name, service) in &configuration.services {
        let volumes = service.volumes.iter().filter(|mount| mount.kind == "volume");
        let keys = volumes.map(|mount| mount.source.display().to_string());
        shared.extend(keys.filter_map(|key| external("volume", &configuration.volumes, &key)));
        shared.extend(
            service.networks.keys().filter_map(|key| external("network", &configuration.networks, key)),
        );
        if service.network_mode.as_deref() == Some("host") {
            shared.push(format!("service {name} uses the host's network"));
        }
        let others = service.volumes_from.iter().filter_map(|from| from.strip_prefix("container:"));
        shared.extend(others.map(|other| format!("service {name} uses the volumes of container {other}")));
    }
    // Several services may use the same one.
    let mut seen = BTreeSet::new();
    shared.retain(|fault| seen.insert(fault.clone()));
    if shared.is_empty() {
        return Ok(());
    }
    bail!(
        "the Compose file shares resources with other stacks: {}\nhelp: use no external volumes and networks, no host network, and no volumes of other containers",
        shared.join("; ")
    )
}

/// Quoted as JSON, which is valid YAML, with dollar signs escaped.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text.replace('$', "$$")).to_string()
}
