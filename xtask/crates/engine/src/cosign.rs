//! Signatures by cosign, which reads keys from files, key management services and hardware. cosign receives only the bytes to sign or
//! verify: this program stores and reads the signatures in registries. The transparency log is not used.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use host::failure::{Failure, FailureClass};
use host::process::{Output, Runner};
use host::secrets::Secrets;

/// The password of a key file; cosign reads the variable itself.
const PASSWORD: &str = "COSIGN_PASSWORD";

/// The environment variable that passes the public key of a [`Signer`] to cosign.
const PUBLIC_KEY: &str = "ATTESTATION_PUBLIC_KEY";

/// Signed and verified before anything depends on a key. It says nothing about any image.
const PROBE: &[u8] = b"probe of a key";

/// Keys in hardware (PKCS #11 URI, RFC 7512). Unlike cosign's other references, it has no `://`.
const PKCS11: &str = "pkcs11:";

/// The part of a PKCS #11 URI that is secret.
const PIN: &str = "pin-value=";

/// Help for unknown cosign errors.
const RETRY: &str =
    "fix this, then run the same command again; if cosign rejects an option, install cosign 2 (2.5 or newer)";

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
    /// The key for cosign.
    reference: String,
    /// The key as it was given, without its PIN.
    key: String,
    /// The key, unless cosign reads it from somewhere else.
    public: Option<String>,
    runner: Runner,
}

impl Signer {
    /// A private key: a file from `cosign generate-key-pair`, or a reference such as `awskms://…` (cosign(1)). Masks its password
    /// or PIN in all output. Signs and verifies a probe, so that an incompatible cosign fails here.
    ///
    /// # Errors
    /// When cosign cannot use the key, or its password is missing or wrong.
    pub fn new(key: &str, runner: &Runner) -> Result<Signer> {
        mask_pin(key, &runner.secrets);
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
            let what = format!("cosign cannot use the key {}: {}", shown(key), message(&output));
            return Err(
                Failure::new(FailureClass::Usage, what, format!("check the key and {PASSWORD}")).into()
            );
        }
        let signer = Signer { key: key.to_owned(), public: output.stdout, runner: runner.clone() };
        signer.probe()?;
        Ok(signer)
    }

    fn probe(&self) -> Result<()> {
        let signature = self.sign(PROBE)?;
        if self.verifier().verify(PROBE, &signature)? {
            return Ok(());
        }
        let what = format!("cosign rejects its own signature with the key {}", shown(&self.key));
        Err(Failure::machine(what, RETRY).into())
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
            let what = format!("cosign cannot sign with {}: {}", shown(&self.key), message(&output));
            return Err(Failure::new(FailureClass::Failed, what, RETRY).into());
        }
        Ok(output.stdout.trim().to_owned())
    }

    /// The verifier for this key's signatures.
    pub fn verifier(&self) -> Verifier {
        let (reference, key) = (format!("env://{PUBLIC_KEY}"), shown(&self.key));
        Verifier { reference, key, public: Some(self.public.clone()), runner: self.runner.clone() }
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
        mask_pin(key, &runner.secrets);
        if is_file(key) {
            require_file(key, "get the public key from the images' publisher, usually `cosign.pub`")?;
        }
        Ok(Verifier { reference: key.to_owned(), key: shown(key), public: None, runner: runner.clone() })
    }

    /// Whether the key created this signature (base64) of these bytes.
    ///
    /// # Errors
    /// When cosign cannot use the key, or fails.
    pub fn verify(&self, bytes: &[u8], signature: &str) -> Result<bool> {
        if STANDARD.decode(signature).is_err() || signature.is_empty() {
            return Ok(false);
        }
        // As an argument, cosign would read a file of this name: `////dev/zero` is valid base64.
        let mut file = NamedTempFile::new().context("cannot create a temporary file")?;
        file.write_all(signature.as_bytes()).context("cannot write a temporary file")?;
        let output = self.run(bytes, file.path())?;
        if output.success() {
            return Ok(true);
        }
        let message = message(&output);
        let wrong = ["invalid signature", "Invalid IEEE_P1363", "verification error", "failed to verify"];
        if wrong.iter().any(|text| message.contains(text)) {
            return Ok(false);
        }
        let what = format!("cosign cannot verify with the key {}: {message}", self.key);
        let (class, help) = match message.contains("loading public key") {
            true => (FailureClass::Usage, "give a public key that cosign can read"),
            false => (FailureClass::Failed, RETRY),
        };
        Err(Failure::new(class, what, help).into())
    }

    fn run(&self, bytes: &[u8], signature: &Path) -> Result<Output> {
        let signature = signature.to_string_lossy();
        let cmd = self.runner.cmd("cosign").args(["verify-blob", "--key", &self.reference]);
        let cmd = cmd.args(["--insecure-ignore-tlog", "--signature", &signature, "-"]);
        let cmd = match &self.public {
            Some(public) => cmd.env(PUBLIC_KEY, public),
            None => cmd,
        };
        Ok(cmd.stdin(bytes).long().capture()?)
    }

    /// How the key was given, without its PIN.
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// Whether a key is a path, not a reference such as `awskms://…`.
fn is_file(key: &str) -> bool {
    !key.contains("://") && !key.starts_with(PKCS11)
}

/// The PIN in a reference to a key in hardware.
fn pin(key: &str) -> Option<&str> {
    let (_, rest) = key.strip_prefix(PKCS11)?.split_once(PIN)?;
    rest.split(['&', ';', '?']).next().filter(|pin| !pin.is_empty())
}

fn mask_pin(key: &str, secrets: &Secrets) {
    pin(key).into_iter().for_each(|pin| secrets.add(pin));
}

/// A key without its PIN, which may be too short to be masked everywhere.
fn shown(key: &str) -> String {
    pin(key).map_or_else(|| key.to_owned(), |pin| key.replace(&format!("{PIN}{pin}"), &format!("{PIN}***")))
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
    fn a_pin_is_never_shown() {
        for (key, expected) in [
            (
                "pkcs11:token=t;object=o?module-path=/m&pin-value=12",
                "pkcs11:token=t;object=o?module-path=/m&pin-value=***",
            ),
            ("pkcs11:token=t?pin-value=1234&module-path=/m", "pkcs11:token=t?pin-value=***&module-path=/m"),
            ("pkcs11:token=t", "pkcs11:token=t"),
            ("awskms:///alias/x", "awskms:///alias/x"),
        ] {
            let runner = Runner::default();
            let verifier = Verifier::new(key, &runner).unwrap();
            assert_eq!(verifier.key(), expected);
            assert_eq!(
                runner.secrets.mask("cosign --key '...pin-value=1234'").contains("1234"),
                !key.contains("1234")
            );
        }
        assert!(Verifier::new("missing.pub", &Runner::default()).is_err());
    }

    #[test]
    fn a_signature_that_is_a_path_is_not_read() {
        let verifier = Verifier::new("env://K", &Runner::default()).unwrap();
        for wrong in ["/etc/hostname", "https://h.example/x", "", "-"] {
            assert!(!verifier.verify(b"x", wrong).unwrap(), "{wrong}");
        }
    }
}
