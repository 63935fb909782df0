//! An image without layers, for containers that are never started or whose program is copied into them.

use anyhow::{Result, bail};
use sha2::{Digest as _, Sha256};

use crate::docker::Docker;
use host::process::{Output, ProcessError, tail};

/// Its reference. Every run loads the same content, so two runs may load it at once.
pub(crate) const NAME: &str = "xtask-lock:1";

impl Docker {
    /// Creates an empty container to copy a program into. Returns its ID.
    ///
    /// # Errors
    /// When docker fails.
    pub fn create_empty_container(&self, options: &[String], command: &[String]) -> Result<String> {
        let cmd = self.cmd(["create", "--pull", "never"]).args(options.iter().cloned()).arg(NAME);
        let cmd = cmd.args(command.iter().cloned());
        let output = self.with_empty_image(|| cmd.capture())?;
        match output.success() {
            true => Ok(output.stdout.trim().to_owned()),
            false => bail!("{} failed:\n{}", cmd.quoted(), tail(&output.stderr, 4)),
        }
    }

    /// The output of `create`, which creates a container from [`NAME`]; loads the image first if the engine lacks it.
    pub(crate) fn with_empty_image(
        &self,
        create: impl Fn() -> Result<Output, ProcessError>,
    ) -> Result<Output> {
        let is_missing = |output: &Output| output.stderr.to_lowercase().contains("no such image");
        let output = create()?;
        if !is_missing(&output) {
            return Ok(output);
        }
        let architecture = self.cmd(["version", "--format", "{{.Server.Arch}}"]).read()?;
        let loaded = self.cmd(["load", "--quiet"]).stdin(archive(&architecture)?).apart().read();
        let output = create()?;
        // Of two runs that load it at once, the containerd store refuses one, and both have the image.
        if is_missing(&output) {
            loaded?;
        }
        Ok(output)
    }
}

/// An archive for `docker load` with an image without layers (moby, image/tarexport). `architecture` must be the engine's: with
/// the containerd store, docker cannot create a container from an image for another one.
fn archive(architecture: &str) -> Result<Vec<u8>> {
    let config =
        serde_json::json!({"architecture": architecture, "os": "linux", "created": "1970-01-01T00:00:00Z",
        "config": {}, "rootfs": {"type": "layers", "diff_ids": []}, "history": []})
        .to_string();
    let digest: String = Sha256::digest(&config).iter().map(|byte| format!("{byte:02x}")).collect();
    let file = format!("{digest}.json");
    let manifest = serde_json::json!([{"Config": file, "RepoTags": [NAME], "Layers": []}]).to_string();
    let mut archive = tar::Builder::new(Vec::new());
    for (name, text) in [(file.as_str(), &config), ("manifest.json", &manifest)] {
        let mut header = tar::Header::new_gnu();
        header.set_size(u64::try_from(text.len())?);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, text.as_bytes())?;
    }
    Ok(archive.into_inner()?)
}
