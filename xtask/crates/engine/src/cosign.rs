//! Signatures by cosign, which reads keys from files, key management services and hardware. cosign receives only the bytes to sign or
//! verify: this program stores and reads the signatures in registries. The transparency log is not used.

use std::fs::File;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use host::failure::{Failure, FailureClass};
use host::process::{Cmd, Output, Runner};

/// The password of a key file; cosign reads the variable itself.
const PASSWORD: &str = "COSIGN_PASSWORD";

/// The environment variable that passes the public key of a [`Signer`] to cosign.
const PUBLIC_KEY: &str = "ATTESTATION_PUBLIC_KEY";

/// A private key that can sign.
#[derive(Debug, Clone)]
pub struct Signer {
    key: String,
    public: String,
    runner: Runner,
}

/// A public key that can verify.
#[derive(Debug, Clone)]
pub struct Verifier {
    key: String,
    /// The key, unless cosign reads it from somewhere else.
    public: Option<String>,
    runner: Runner,
}

impl Signer {
    /// A private key: a file from `cosign generate-key-pair`, or a reference such as `awskms://…` (cosign(1)). Masks its password
    /// in all output.
    ///
    /// # Errors
    /// When cosign cannot use the key, or its password is missing or wrong.
    pub fn new(key: &str, runner: &Runner) -> Result<Signer> {
        if is_file(key) {
            let Ok(password) = std::env::var(PASSWORD) else {
                let what = format!("no password for the key {key}: {PASSWORD} is not set");
                return Err(Failure::new(
                    FailureClass::Usage,
                    what,
                    format!("export {PASSWORD} (empty for a key without a password)"),
                )
                .into());
            };
            runner.secrets.add(&password);
            require_file(key, "create a key pair with `cosign generate-key-pair`")?;
        }
        let output = runner.cmd("cosign").args(["public-key", "--key", key]).long().capture()?;
        if !output.success() {
            let what = format!("cosign cannot use the key {key}: {}", message(&output));
            return Err(
                Failure::new(FailureClass::Usage, what, format!("check the key and {PASSWORD}")).into()
            );
        }
        Ok(Signer { key: key.to_owned(), public: output.stdout, runner: runner.clone() })
    }

    /// Signs bytes with ECDSA over SHA-256, or with the key's algorithm. Returns the signature in base64.
    ///
    /// # Errors
    /// When cosign fails.
    pub fn sign(&self, bytes: &[u8]) -> Result<String> {
        let cmd = self.runner.cmd("cosign").args([
            "sign-blob",
            "--key",
            &self.key,
            "--tlog-upload=false",
            "--yes",
            "-",
        ]);
        let output = cmd.stdin(bytes).long().capture()?;
        if !output.success() {
            let what = format!("cosign cannot sign with {}: {}", self.key, message(&output));
            return Err(Failure::new(
                FailureClass::Failed,
                what,
                "fix this, then run the same command again",
            )
            .into());
        }
        Ok(output.stdout.trim().to_owned())
    }

    /// The verifier for this key's signatures.
    pub fn verifier(&self) -> Verifier {
        let key = format!("env://{PUBLIC_KEY}");
        Verifier { key, public: Some(self.public.clone()), runner: self.runner.clone() }
    }

    /// Identifies the key in Sigstore bundles: the SHA-256 of its public key (DER), in base64.
    ///
    /// # Errors
    /// When cosign's public key is not PEM.
    pub fn hint(&self) -> Result<String> {
        let lines = self.public.lines().filter(|line| !line.starts_with("-----"));
        let der =
            STANDARD.decode(lines.collect::<String>()).context("unexpected output of `cosign public-key`")?;
        Ok(STANDARD.encode(Sha256::digest(der)))
    }
}

impl Verifier {
    /// A public key: a file, or a reference that cosign understands.
    ///
    /// # Errors
    /// When the file is missing.
    pub fn new(key: &str, runner: &Runner) -> Result<Verifier> {
        if is_file(key) {
            require_file(key, "get the public key from the images' publisher, usually `cosign.pub`")?;
        }
        Ok(Verifier { key: key.to_owned(), public: None, runner: runner.clone() })
    }

    /// Whether the key created this signature (base64) of these bytes.
    ///
    /// # Errors
    /// When cosign cannot use the key.
    pub fn verify(&self, bytes: &[u8], signature: &str) -> Result<bool> {
        // cosign would read a file or URL with this name.
        if STANDARD.decode(signature).is_err() || signature.is_empty() {
            return Ok(false);
        }
        let output = self.cmd(signature).stdin(bytes).long().capture()?;
        if output.success() {
            return Ok(true);
        }
        let message = message(&output);
        let wrong = ["invalid signature", "Invalid IEEE_P1363", "verification error", "failed to verify"];
        if wrong.iter().any(|text| message.contains(text)) {
            return Ok(false);
        }
        let what = format!("cosign cannot verify with the key {}: {message}", self.key);
        Err(Failure::new(FailureClass::Usage, what, "pass a public key that cosign can read").into())
    }

    fn cmd(&self, signature: &str) -> Cmd {
        let cmd =
            self.runner.cmd("cosign").args(["verify-blob", "--key", &self.key, "--insecure-ignore-tlog"]);
        let cmd = cmd.args(["--signature", signature, "-"]);
        match &self.public {
            Some(public) => cmd.env(PUBLIC_KEY, public),
            None => cmd,
        }
    }

    /// The key as given by the user.
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// Whether a key is a path, not a reference such as `awskms://…`.
fn is_file(key: &str) -> bool {
    !key.contains("://")
}

fn require_file(key: &str, help: &str) -> Result<(), Failure> {
    let unreadable =
        |error| Failure::new(FailureClass::Usage, format!("cannot read the key {key}: {error}"), help);
    File::open(key).map(drop).map_err(unreadable)
}

/// cosign's reason, which it prints twice.
fn message(output: &Output) -> String {
    let reason = output.stderr.lines().find_map(|line| line.split_once("Error: ").map(|(_, reason)| reason));
    reason.map_or_else(|| host::process::tail(&output.stderr, 3), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_the_first_error_line() {
        let stderr = "Enter password for private key: Error: reading key: decryption failed\n\
                      error during command execution: reading key: decryption failed\n";
        let output = Output { code: Some(1), stdout: String::new(), stderr: stderr.to_owned() };
        assert_eq!(message(&output), "reading key: decryption failed");
    }

    #[test]
    fn a_signature_that_is_a_path_is_not_read() {
        let verifier = Verifier { key: "k".into(), public: None, runner: Runner::default() };
        for wrong in ["/etc/hostname", "https://h.example/x", "", "-"] {
            assert!(!verifier.verify(b"x", wrong).unwrap(), "{wrong}");
        }
    }
}
