//! Package URLs (purl-spec).

use crate::facts::{LinkedCrate, Package};

/// A Debian package; `release` is the operating system's ID and version.
pub fn deb(package: &Package, release: Option<(&str, &str)>) -> String {
    let (id, _) = release.unwrap_or(("debian", ""));
    let architecture = package.architecture.as_ref().map(|name| format!("arch={}", encoded(name)));
    let distro = release.map(|(id, version)| format!("distro={}", encoded(&format!("{id}-{version}"))));
    // The source package, if it is another one, as scanners write it.
    let upstream = package.source.as_ref().and_then(|source| {
        let version =
            if source.version == package.version { String::new() } else { format!("@{}", source.version) };
        let differs = source.name != package.name || !version.is_empty();
        differs.then(|| format!("upstream={}", encoded(&format!("{}{version}", source.name))))
    });
    let qualifiers: Vec<String> = architecture.into_iter().chain(distro).chain(upstream).collect();
    let separator = if qualifiers.is_empty() { "" } else { "?" };
    let url = versioned(&format!("deb/{}", encoded(id)), &package.name, &package.version);
    format!("{url}{separator}{}", qualifiers.join("&"))
}

/// A Python distribution on PyPI.
pub fn pypi(package: &Package) -> String {
    versioned("pypi", &package.name.to_lowercase().replace(['_', '.'], "-"), &package.version)
}

/// An npm package.
pub fn npm(package: &Package) -> String {
    // The slash behind a scope is not encoded.
    format!("pkg:npm/{}@{}", encoded(&package.name).replace("%2F", "/"), encoded(&package.version))
}

/// A crate on crates.io.
pub fn cargo(linked: &LinkedCrate) -> String {
    versioned("cargo", &linked.name, &linked.version)
}

fn versioned(kind: &str, name: &str, version: &str) -> String {
    format!("pkg:{kind}/{}@{}", encoded(name), encoded(version))
}

/// Percent-encoding as names and versions of packages need it (purl-spec, "Character encoding").
pub fn encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'.' | b'-' | b'_' | b'~' | b':' => char::from(byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}
