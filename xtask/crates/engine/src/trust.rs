//! The private CA and the proxy of this machine, passed to builds without a trace in any layer.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;

use crate::bake::Variable;
use host::files;

/// Build arguments that BuildKit passes to every RUN and keeps out of the image and of the cache key (Dockerfile
/// reference, "Predefined ARGs").
const PROXY_VARIABLES: [&str; 10] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "FTP_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "ftp_proxy",
    "no_proxy",
    "all_proxy",
];

/// The bundle of trusted certificates, by distribution.
const BUNDLES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"];

/// The certificates of Debian's `ca-certificates`, one file each.
const DISTRIBUTED: &str = "/usr/share/ca-certificates/mozilla";

/// The secret's name in Dockerfiles.
pub const SECRET: &str = "ca";

/// Private CAs and proxies of this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Trust {
    /// The bundle that builds get as a secret; `None` without a private CA.
    pub bundle: Option<PathBuf>,
    /// Names of the proxy variables that are set. Their values may contain a password and are never stored.
    pub proxies: Vec<&'static str>,
}

impl Trust {
    /// Reads the environment and the system's bundle.
    pub fn detect() -> Trust {
        let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
        Trust::from_machine(named.as_deref(), &BUNDLES.map(Path::new), Path::new(DISTRIBUTED), |name| {
            std::env::var_os(name).is_some_and(|value| !value.is_empty())
        })
    }

    fn from_machine(
        named: Option<&Path>,
        bundles: &[&Path],
        distributed: &Path,
        is_set: impl Fn(&str) -> bool,
    ) -> Trust {
        let system = bundles.iter().find(|path| path.is_file()).copied();
        let bundle = match named {
            // A named bundle counts, unless it is the system's.
            Some(path) if path.is_file() && Some(path) != system => Some(path.to_owned()),
            _ => system.filter(|path| has_more_than(path, distributed)).map(Path::to_owned),
        };
        Trust { bundle, proxies: PROXY_VARIABLES.into_iter().filter(|name| is_set(name)).collect() }
    }

    /// A unique part from the middle of each private certificate, to find it in files: as a line of PEM, and as bytes (DER, also in
    /// Java keystores).
    pub fn own_certificates(&self) -> Vec<[Vec<u8>; 2]> {
        self.certificates_beyond(Path::new(DISTRIBUTED))
    }

    fn certificates_beyond(&self, distributed: &Path) -> Vec<[Vec<u8>; 2]> {
        let beyond = self.bundle.iter().flat_map(|bundle| beyond(bundle, distributed));
        // 64 characters per line (RFC 7468).
        let line = |body: String| {
            let lines: Vec<&[u8]> = body.as_bytes().chunks_exact(64).collect();
            let line = *lines.get(lines.len() / 2)?;
            // A whole line encodes 48 bytes.
            Some([line.to_vec(), BASE64.decode(line).ok()?])
        };
        beyond.filter_map(line).collect()
    }

    /// The secrets that every target gets.
    pub fn secrets(&self) -> Vec<String> {
        self.bundle.iter().map(|path| format!("id={SECRET},src={}", path.display())).collect()
    }

    /// The build arguments that every target gets; bake fills them in from the environment.
    pub fn args(&self) -> BTreeMap<String, String> {
        self.proxies.iter().map(|name| ((*name).to_owned(), format!("${{{name}}}"))).collect()
    }

    /// The variables that [`Trust::args`] refer to.
    pub fn variables(&self) -> BTreeMap<String, Variable> {
        self.proxies.iter().map(|name| ((*name).to_owned(), Variable::default())).collect()
    }
}

/// Whether a bundle has a certificate that is not from the distribution. Unknown counts as no.
fn has_more_than(bundle: &Path, distributed: &Path) -> bool {
    !beyond(bundle, distributed).is_empty()
}

/// The certificates of a bundle that are not from the distribution, as [`certificates`] returns them; none where that is unknown.
fn beyond(bundle: &Path, distributed: &Path) -> Vec<String> {
    let Ok(text) = files::read(bundle) else {
        return Vec::new();
    };
    let Ok(entries) = std::fs::read_dir(distributed) else {
        return Vec::new();
    };
    let known: BTreeSet<String> = entries
        .filter_map(|entry| files::read(&entry.ok()?.path()).ok())
        .flat_map(|text| certificates(&text))
        .collect();
    if known.is_empty() {
        return Vec::new();
    }
    certificates(&text).into_iter().filter(|certificate| !known.contains(certificate)).collect()
}

/// The base64 bodies of the certificates in a PEM file (RFC 7468), without white space.
fn certificates(text: &str) -> Vec<String> {
    text.split("-----BEGIN CERTIFICATE-----")
        .skip(1)
        .filter_map(|part| part.split("-----END CERTIFICATE-----").next())
        .map(|body| body.split_whitespace().collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pem(body: &str) -> String {
        format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
    }

    /// With the distribution's certificates in `mozilla`.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("mozilla")).unwrap();
        std::fs::write(folder.path().join("mozilla/a.crt"), pem("AAAA\nBBBB")).unwrap();
        folder
    }

    #[test]
    fn only_a_bundle_with_a_private_certificate_is_a_secret() {
        let folder = folder();
        let bundle = folder.path().join("bundle.crt");
        let detect = || Trust::from_machine(None, &[&bundle], &folder.path().join("mozilla"), |_| false);
        std::fs::write(&bundle, pem("AAAABBBB")).unwrap();
        assert_eq!(detect().bundle, None);
        std::fs::write(&bundle, pem("AAAABBBB") + &pem("OURS")).unwrap();
        assert_eq!(detect().secrets(), [format!("id=ca,src={}", bundle.display())]);
    }

    #[test]
    fn a_bundle_in_ssl_cert_file_is_used() {
        let folder = folder();
        let (bundle, own) = (folder.path().join("bundle.crt"), folder.path().join("own.crt"));
        std::fs::write(&bundle, pem("AAAABBBB")).unwrap();
        std::fs::write(&own, pem("OURS")).unwrap();
        let trust = Trust::from_machine(Some(&own), &[&bundle], &folder.path().join("mozilla"), |_| false);
        assert_eq!(trust.bundle, Some(own));
    }

    #[test]
    fn private_certificates_are_identified_by_a_line() {
        let folder = folder();
        let (bundle, line) = (folder.path().join("own.crt"), |c: &str| c.repeat(64));
        let ours = [line("O"), line("U"), "RS".to_owned()].join("\n");
        std::fs::write(&bundle, pem("AAAABBBB") + &pem(&ours)).unwrap();
        let trust = Trust { bundle: Some(bundle), proxies: Vec::new() };
        // `UUUU` encodes the bytes 0x51, 0x45, 0x14.
        let bytes = [0x51, 0x45, 0x14].repeat(16);
        assert_eq!(
            trust.certificates_beyond(&folder.path().join("mozilla")),
            [[line("U").into_bytes(), bytes]]
        );
        // Without the distribution's certificates, none counts as private.
        assert!(trust.certificates_beyond(Path::new("/nowhere")).is_empty());
    }

    #[test]
    fn proxy_values_are_never_written() {
        let trust = Trust::from_machine(None, &[], Path::new("/nowhere"), |name| name == "HTTPS_PROXY");
        assert_eq!(trust.args()["HTTPS_PROXY"], "${HTTPS_PROXY}");
        assert_eq!(trust.variables().len(), 1);
    }
}
