//! Package URLs (purl-spec).

use crate::facts::{Ecosystem, Installed, Package, Part};

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

/// An installed package; `release` is the operating system's ID and version. `None` if its ecosystem has no package URLs, or
/// too little is known for one.
pub fn installed(found: &Installed, release: Option<(&str, &str)>) -> Option<String> {
    let Installed { ecosystem, package, qualifiers, .. } = found;
    let mut qualifiers = qualifiers.clone();
    let (kind, path) = match ecosystem {
        Ecosystem::Apk | Ecosystem::Rpm => {
            let (kind, usual) = if *ecosystem == Ecosystem::Apk { ("apk", "alpine") } else { ("rpm", "") };
            let id = release.map_or(usual, |(id, _)| id);
            qualifiers.extend(package.architecture.iter().map(|name| ("arch".to_owned(), name.clone())));
            qualifiers.extend(release.map(|(id, version)| ("distro".to_owned(), format!("{id}-{version}"))));
            (kind, [id, package.name.as_str()].join("/").trim_start_matches('/').to_owned())
        }
        _ => path_of(*ecosystem, &package.name)?,
    };
    qualifiers.sort();
    let qualifiers: Vec<String> =
        qualifiers.iter().map(|(key, value)| format!("{key}={}", encoded(value))).collect();
    let separator = if qualifiers.is_empty() { "" } else { "?" };
    Some(format!("{}{separator}{}", url(kind, &path, &package.version), qualifiers.join("&")))
}

/// A package that was built into a program or an archive.
pub fn part(part: &Part) -> Option<String> {
    let (kind, path) = path_of(part.ecosystem, &part.name)?;
    Some(url(kind, &path, &part.version))
}

/// The type of a package URL, and its namespace and name. Some types are in lower case by definition (purl-spec, "types").
fn path_of(ecosystem: Ecosystem, name: &str) -> Option<(&'static str, String)> {
    Some(match ecosystem {
        Ecosystem::Conda => ("conda", name.to_owned()),
        Ecosystem::Gem => ("gem", name.to_owned()),
        Ecosystem::Composer => ("composer", name.to_lowercase()),
        // Without its group, an artifact is ambiguous.
        Ecosystem::Maven => ("maven", name.split_once(':')?.0.to_owned() + "/" + name.split_once(':')?.1),
        Ecosystem::Nuget => ("nuget", name.to_owned()),
        Ecosystem::Cargo => ("cargo", name.to_owned()),
        Ecosystem::Golang => ("golang", name.to_lowercase()),
        Ecosystem::Apk | Ecosystem::Rpm | Ecosystem::Project => return None,
    })
}

/// The slashes between a namespace and a name stay.
fn url(kind: &str, path: &str, version: &str) -> String {
    let version = if version.is_empty() { String::new() } else { format!("@{}", encoded(version)) };
    format!("pkg:{kind}/{}{version}", encoded(path).replace("%2F", "/"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_have_the_urls_of_their_type() {
        let url = |ecosystem, name: &str, version: &str| {
            part(&Part { ecosystem, name: name.into(), version: version.into() })
        };
        for (ecosystem, name, expected) in [
            (
                Ecosystem::Golang,
                "github.com/Masterminds/semver/v3",
                "pkg:golang/github.com/masterminds/semver/v3@1",
            ),
            (Ecosystem::Maven, "org.apache:commons-io", "pkg:maven/org.apache/commons-io@1"),
            (Ecosystem::Composer, "Monolog/monolog", "pkg:composer/monolog/monolog@1"),
            (Ecosystem::Nuget, "Newtonsoft.Json", "pkg:nuget/Newtonsoft.Json@1"),
            (Ecosystem::Cargo, "serde", "pkg:cargo/serde@1"),
        ] {
            assert_eq!(url(ecosystem, name, "1").as_deref(), Some(expected));
        }
        assert_eq!(url(Ecosystem::Golang, "a/b", "").as_deref(), Some("pkg:golang/a/b"));
        assert_eq!(url(Ecosystem::Maven, "without-group", "1"), None);
    }

    #[test]
    fn packages_of_a_system_name_it() {
        let mut apk = Installed::new(Ecosystem::Apk, "busybox", "1.36.1-r2");
        apk.package.architecture = Some("x86_64".into());
        let url = installed(&apk, Some(("alpine", "3.18.4")));
        assert_eq!(url.as_deref(), Some("pkg:apk/alpine/busybox@1.36.1-r2?arch=x86_64&distro=alpine-3.18.4"));
        let mut rpm = Installed::new(Ecosystem::Rpm, "libstdc++", "11.4-2");
        rpm.qualifiers.push(("epoch".into(), "1".into()));
        assert_eq!(installed(&rpm, None).as_deref(), Some("pkg:rpm/libstdc%2B%2B@11.4-2?epoch=1"));
    }
}
