//! Java archives: the artifacts that Maven recorded in them (`META-INF/maven/GROUP/ARTIFACT/pom.properties`), in nested archives
//! as well (`BOOT-INF/lib` of Spring Boot, `WEB-INF/lib`), and several in one where archives were merged.

use std::cmp::Reverse;

use crate::facts::{Ecosystem, InsideBytes, Installed, Part};
use crate::packages::Refused;
use crate::packages::zip::{Entry, Source, content, entries};

/// Endings of Java archives.
const ENDINGS: [&str; 4] = [".jar", ".war", ".ear", ".hpi"];
/// `pom.properties` has three lines.
const MAX_PROPERTIES: u64 = 64_000;
/// A manifest may have a checksum for each file.
const MAX_MANIFEST: u64 = 4_000_000;
/// The largest nested archive.
const MAX_NESTED: u64 = 64_000_000;
/// Maximum nesting: an ear contains wars, which contain jars, which may contain jars.
const MAX_DEPTH: usize = 4;
/// Maximum number of artifacts in one archive, including nested ones.
const MAX_PARTS: usize = 5000;
/// The longest name and version.
const MAX_NAME: usize = 300;

/// Whether a file of this name may be a Java archive.
pub fn is_archive(name: &str) -> bool {
    ENDINGS.iter().any(|ending| name.len() > ending.len() && name.ends_with(ending))
}

/// What was found in one archive.
#[derive(Debug, Default)]
struct Found {
    artifacts: Vec<Part>,
    /// The version in its manifest.
    version: Option<String>,
    nested: Vec<(Part, u64)>,
}

/// An archive, with everything in it.
pub fn read(path: &str, source: Source<'_>, unpacked: &mut u64) -> Result<Vec<Installed>, Refused> {
    let mut room = MAX_PARTS;
    let found = look(&source, 0, unpacked, &mut room)?;
    let (main, mut parts) = split(path, found.artifacts, found.version);
    let mut inside: Vec<InsideBytes> = Vec::new();
    for (part, bytes) in found.nested {
        let label = if part.version.is_empty() {
            part.name.clone()
        } else {
            format!("{} {}", part.name, part.version)
        };
        // Zero bytes: it is a part of a nested archive that is counted.
        if bytes > 0 {
            inside.push(InsideBytes { name: label, bytes });
        }
        parts.push(part);
    }
    inside.sort_by_cached_key(|inside| (Reverse(inside.bytes), inside.name.clone()));
    parts.sort();
    parts.dedup();
    let mut installed = Installed::new(Ecosystem::Maven, main.name, main.version);
    (installed.files, installed.parts, installed.inside) = (vec![path.to_owned()], parts, inside);
    Ok(vec![installed])
}

fn look(source: &Source<'_>, depth: usize, unpacked: &mut u64, room: &mut usize) -> Result<Found, Refused> {
    let mut found = Found::default();
    for entry in entries(source)? {
        if *room == 0 {
            return Err(format!("it has more than {MAX_PARTS} artifacts"));
        }
        if is_properties(&entry.name) {
            let part = artifact(source, &entry, unpacked)?;
            *room -= usize::from(part.is_some());
            found.artifacts.extend(part);
        } else if entry.name == "META-INF/MANIFEST.MF" {
            let text = content(source, &entry, MAX_MANIFEST, unpacked)?.unwrap_or_default();
            found.version = version(&String::from_utf8_lossy(&text));
        } else if is_archive(&entry.name) && depth < MAX_DEPTH {
            *room -= 1;
            nested(source, &entry, depth, unpacked, room, &mut found)?;
        }
    }
    Ok(found)
}

/// The version in the main section of a manifest (JAR File Specification): Gradle records no artifacts.
fn version(manifest: &str) -> Option<String> {
    let main = || manifest.lines().take_while(|line| !line.is_empty());
    let field = |name: &str| main().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let value = field("Implementation-Version").or_else(|| field("Bundle-Version"))?.trim();
    ((1..MAX_NAME).contains(&value.len()) && !value.contains(' ')).then(|| value.to_owned())
}

/// `META-INF/maven/GROUP/ARTIFACT/pom.properties`, below `WEB-INF/classes` and the like as well.
fn is_properties(name: &str) -> bool {
    name.ends_with("/pom.properties") && name.contains("META-INF/maven/")
}

fn artifact(source: &Source<'_>, entry: &Entry, unpacked: &mut u64) -> Result<Option<Part>, Refused> {
    let text = content(source, entry, MAX_PROPERTIES, unpacked)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let value = |key: &str| {
        let line =
            text.lines().find_map(|line| line.trim().strip_prefix(key)?.trim_start().strip_prefix('='));
        line.map(str::trim)
            .filter(|value| (1..MAX_NAME).contains(&value.len()) && !value.contains(['/', ':', ' ']))
    };
    // The folder names state the same; for a large archive, only they were kept.
    let mut folders = entry.name.rsplit('/').skip(1);
    let (artifact, group) = (folders.next().unwrap_or_default(), folders.next().unwrap_or_default());
    let (group, artifact) = (value("groupId").unwrap_or(group), value("artifactId").unwrap_or(artifact));
    let is_named = !group.is_empty() && !artifact.is_empty() && group.len() + artifact.len() < MAX_NAME;
    Ok(is_named.then(|| part(format!("{group}:{artifact}"), value("version").unwrap_or_default())))
}

/// A nested archive: its own artifact with its packed bytes, and those in it with none.
fn nested(
    source: &Source<'_>,
    entry: &Entry,
    depth: usize,
    unpacked: &mut u64,
    room: &mut usize,
    found: &mut Found,
) -> Result<(), Refused> {
    let bytes = content(source, entry, MAX_NESTED, unpacked)?.unwrap_or_default();
    // A file that is not an archive despite its name is treated as a plain file.
    let within = if bytes.is_empty() {
        Found::default()
    } else {
        match look(&Source::whole(&bytes), depth + 1, unpacked, room) {
            Ok(within) => within,
            Err(_) if entries(&Source::whole(&bytes)).is_err() => Found::default(),
            Err(why) => return Err(why),
        }
    };
    let (main, others) = split(&entry.name, within.artifacts, within.version);
    found.nested.push((main, entry.packed));
    found.nested.extend(others.into_iter().map(|part| (part, 0)));
    found.nested.extend(within.nested.into_iter().map(|(part, _)| (part, 0)));
    Ok(())
}

/// The artifact that an archive is, by the name of its file, and the others in it. `version` is its manifest's.
fn split(path: &str, mut artifacts: Vec<Part>, version: Option<String>) -> (Part, Vec<Part>) {
    let file = path.rsplit('/').next().unwrap_or(path);
    let stem = ENDINGS.iter().find_map(|ending| file.strip_suffix(ending)).unwrap_or(file);
    let named = |part: &Part| {
        let artifact = part.name.rsplit(':').next().unwrap_or_default();
        let rest = stem.strip_prefix(artifact)?;
        (rest.is_empty() || rest.starts_with(['-', '.', '_'])).then_some(artifact.len())
    };
    let best = artifacts.iter().enumerate().filter_map(|(at, part)| Some((named(part)?, Reverse(at)))).max();
    let at = match (best, artifacts.len()) {
        (Some((_, Reverse(at))), _) => Some(at),
        // `app.jar` with the records of a single artifact is that artifact.
        (None, 1) => Some(0),
        _ => None,
    };
    let main = match at {
        Some(at) => artifacts.remove(at),
        None => {
            let (name, named) = by_file(stem);
            let version = version.filter(|_| named.is_empty()).unwrap_or_else(|| named.to_owned());
            part(name.to_owned(), &version)
        }
    };
    (main, artifacts)
}

/// `commons-io-2.11.0`: a version begins with a digit behind a dash.
fn by_file(stem: &str) -> (&str, &str) {
    let bytes = stem.as_bytes();
    let at =
        (1..bytes.len().saturating_sub(1)).find(|&at| bytes[at] == b'-' && bytes[at + 1].is_ascii_digit());
    at.map_or((stem, ""), |at| (&stem[..at], &stem[at + 1..]))
}

fn part(name: String, version: &str) -> Part {
    Part { ecosystem: Ecosystem::Maven, name, version: version.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packages::zip::tests::archive;

    fn properties(group: &str, artifact: &str, version: &str) -> (String, Vec<u8>) {
        let text =
            format!("#Generated by Maven\nversion={version}\ngroupId={group}\nartifactId={artifact}\n");
        (format!("META-INF/maven/{group}/{artifact}/pom.properties"), text.into_bytes())
    }

    fn jar(files: &[(String, Vec<u8>)]) -> Vec<u8> {
        archive(&files.iter().map(|(name, content)| (name.as_str(), content.as_slice())).collect::<Vec<_>>())
    }

    fn found(path: &str, bytes: &[u8]) -> Installed {
        read(path, Source::whole(bytes), &mut 100_000_000).unwrap().remove(0)
    }

    fn names(found: &Installed) -> Vec<String> {
        found.parts.iter().map(|part| format!("{} {}", part.name, part.version)).collect()
    }

    #[test]
    fn an_application_names_the_archives_in_it() {
        let text =
            jar(&[properties("org.apache.commons", "commons-text", "1.9"), ("a.class".into(), vec![1; 900])]);
        let plain = jar(&[("b.class".into(), vec![2; 100])]);
        let whole = jar(&[
            properties("com.example", "shop", "1.0-SNAPSHOT"),
            ("BOOT-INF/lib/commons-text-1.9.jar".into(), text.clone()),
            ("BOOT-INF/lib/no-pom-2.3.Final.jar".into(), plain.clone()),
            ("BOOT-INF/lib/broken-1.jar".into(), b"no archive".to_vec()),
        ]);
        let shop = found("app/app.jar", &whole);
        assert_eq!(
            (shop.package.name.as_str(), shop.package.version.as_str()),
            ("com.example:shop", "1.0-SNAPSHOT")
        );
        assert_eq!(names(&shop), ["broken 1", "no-pom 2.3.Final", "org.apache.commons:commons-text 1.9"]);
        let sizes: Vec<(&str, u64)> =
            shop.inside.iter().map(|inside| (inside.name.as_str(), inside.bytes)).collect();
        let expected =
            [("org.apache.commons:commons-text 1.9", text.len()), ("no-pom 2.3.Final", plain.len())];
        assert_eq!(sizes[..2], expected.map(|(name, bytes)| (name, bytes as u64)));
        let deeper = found("srv/shop.war", &jar(&[("WEB-INF/lib/app.jar".into(), whole)]));
        assert_eq!(deeper.package.name, "shop");
        assert_eq!(deeper.parts.len(), 4);
        assert_eq!(deeper.inside.len(), 1, "bytes count once");
    }

    #[test]
    fn of_merged_archives_the_file_names_the_main_one() {
        let all =
            ["guava", "guava-parent", "failureaccess"].map(|name| properties("com.google.guava", name, "32"));
        assert_eq!(found("x/guava-32.jar", &jar(&all)).package.name, "com.google.guava:guava");
        let other = found("x/tool-all-1.2.jar", &jar(&all));
        assert_eq!((other.package.name.as_str(), other.parts.len()), ("tool-all", 3));
    }

    #[test]
    fn an_archive_without_artifacts_has_the_version_of_its_manifest() {
        let text =
            "Manifest-Version: 1.0\r\nImplementation-Version: 6.1.2\r\n\r\nName: a\r\nBundle-Version: 9\r\n";
        let bytes = jar(&[("META-INF/MANIFEST.MF".into(), text.into())]);
        let found = |path| found(path, &bytes).package;
        assert_eq!(
            (found("spring-core.jar").name.as_str(), found("x/spring-core.jar").version.as_str()),
            ("spring-core", "6.1.2")
        );
        assert_eq!(found("spring-core-6.1.1.jar").version, "6.1.1");
    }

    #[test]
    fn bombs_are_refused() {
        let mut bomb = jar(&[("x.class".into(), vec![0; 50])]);
        for depth in 0..10 {
            bomb = jar(&[(format!("{depth}.jar"), bomb)]);
        }
        assert!(found("bomb.jar", &bomb).parts.len() <= MAX_DEPTH + 1);
        // The names of the archives decide how they are packed: these are deflated.
        let many: Vec<(String, Vec<u8>)> =
            (0..20).map(|n| (format!("{n}.war"), vec![0; 1_000_000])).collect();
        let error = read("a.ear", Source::whole(&jar(&many)), &mut 5_000_000).unwrap_err();
        assert!(error.contains("unpacks to more than"), "{error}");
    }
}
