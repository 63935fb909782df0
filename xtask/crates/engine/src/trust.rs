//! The private CA and the proxy of the building machine, handed to builds without leaving a trace in any layer.

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

/// Where distributions keep the bundle of trusted certificates.
const BUNDLES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"];

/// The certificates that Debian's `ca-certificates` brings, one file each.
const DISTRIBUTED: &str = "/usr/share/ca-certificates/mozilla";

/// The secret's name in Dockerfiles.
pub const SECRET: &str = "ca";

/// What this machine trusts beyond the public web, and how it gets out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Trust {
    /// The bundle that builds get as a secret; `None` where the machine trusts no CA of its own.
    pub bundle: Option<PathBuf>,
    /// Names of the proxy variables that are set. Their values may hold a password and are never kept.
    pub proxies: Vec<&'static str>,
}

impl Trust {
    /// Looks at the environment and the system's bundle.
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
            // Somebody named a bundle: that is what they want trusted, unless it is the system's own.
            Some(path) if path.is_file() && Some(path) != system => Some(path.to_owned()),
            _ => system.filter(|path| has_more_than(path, distributed)).map(Path::to_owned),
        };
        Trust { bundle, proxies: PROXY_VARIABLES.into_iter().filter(|name| is_set(name)).collect() }
    }

    /// A part of each certificate that builds get and the distribution did not bring, from its middle, where no two are
    /// alike: whoever finds it in a file has found the certificate. In both forms in which certificates are kept: a line of
    /// the text, and the bytes that it stands for (DER; also what Java's keystores hold).
    pub fn own_certificates(&self) -> Vec<[Vec<u8>; 2]> {
        self.certificates_beyond(Path::new(DISTRIBUTED))
    }

    fn certificates_beyond(&self, distributed: &Path) -> Vec<[Vec<u8>; 2]> {
        let beyond = self.bundle.iter().flat_map(|bundle| beyond(bundle, distributed));
        // 64 characters a line, as RFC 7468 has it and every tool writes.
        let line = |body: String| {
            let lines: Vec<&[u8]> = body.as_bytes().chunks_exact(64).collect();
            let line = *lines.get(lines.len() / 2)?;
            // A whole line stands for 48 whole bytes.
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

/// Whether a bundle holds a certificate that the distribution did not bring. Unknown counts as no.
fn has_more_than(bundle: &Path, distributed: &Path) -> bool {
    !beyond(bundle, distributed).is_empty()
}

/// The certificates of a bundle that the distribution did not bring, as [`certificates`] has them; none where that cannot be
/// told.
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

/// The base64 bodies of the certificates in a PEM text (RFC 7468), without white space.
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

    /// A folder that is removed when the test ends.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let path = std::env::temp_dir().join(format!("xtask-trust-{name}-{}", std::process::id()));
            std::fs::create_dir_all(path.join("mozilla")).unwrap();
            std::fs::write(path.join("mozilla/a.crt"), pem("AAAA\nBBBB")).unwrap();
            Folder(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.0).ok();
        }
    }

    #[test]
    fn the_public_bundle_alone_is_no_secret_and_one_more_certificate_makes_it_one() {
        let folder = Folder::new("bundle");
        let bundle = folder.0.join("bundle.crt");
        let detect = || Trust::from_machine(None, &[&bundle], &folder.0.join("mozilla"), |_| false);
        std::fs::write(&bundle, pem("AAAABBBB")).unwrap();
        assert_eq!(detect().bundle, None);
        std::fs::write(&bundle, pem("AAAABBBB") + &pem("OURS")).unwrap();
        assert_eq!(detect().secrets(), [format!("id=ca,src={}", bundle.display())]);
    }

    #[test]
    fn a_bundle_that_is_named_is_used() {
        let folder = Folder::new("named");
        let (bundle, own) = (folder.0.join("bundle.crt"), folder.0.join("own.crt"));
        std::fs::write(&bundle, pem("AAAABBBB")).unwrap();
        std::fs::write(&own, pem("OURS")).unwrap();
        let trust = Trust::from_machine(Some(&own), &[&bundle], &folder.0.join("mozilla"), |_| false);
        assert_eq!(trust.bundle, Some(own));
    }

    #[test]
    fn a_line_tells_each_certificate_that_is_ours() {
        let folder = Folder::new("lines");
        let (bundle, line) = (folder.0.join("own.crt"), |c: &str| c.repeat(64));
        let ours = [line("O"), line("U"), "RS".to_owned()].join("\n");
        std::fs::write(&bundle, pem("AAAABBBB") + &pem(&ours)).unwrap();
        let trust = Trust { bundle: Some(bundle), proxies: Vec::new() };
        // `UUUU` stands for three bytes of 0x51, 0x45, 0x14.
        let bytes = [0x51, 0x45, 0x14].repeat(16);
        assert_eq!(trust.certificates_beyond(&folder.0.join("mozilla")), [[line("U").into_bytes(), bytes]]);
        // Where nobody can tell whose they are, none counts as ours.
        assert!(trust.certificates_beyond(Path::new("/nowhere")).is_empty());
    }

    #[test]
    fn proxies_are_named_and_never_written_down() {
        let trust = Trust::from_machine(None, &[], Path::new("/nowhere"), |name| name == "HTTPS_PROXY");
        assert_eq!(trust.args()["HTTPS_PROXY"], "${HTTPS_PROXY}");
        assert_eq!(trust.variables().len(), 1);
    }
}
