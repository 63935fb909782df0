//! Ruby gems (`specifications/NAME-VERSION.gemspec`, as RubyGems writes them on installation). A gem's files are in
//! `gems/NAME-VERSION` beside that folder, its compiled parts in `extensions/PLATFORM/ABI/NAME-VERSION`.

use crate::facts::{Ecosystem, Installed};
use crate::packages::Refused;
use crate::paths::{PathBudget, folder, joined};

/// The gem of one specification.
pub fn read(path: &str, bytes: &[u8], budget: &mut PathBudget) -> Result<Installed, Refused> {
    let text = String::from_utf8_lossy(bytes);
    let stem = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".gemspec");
    let (name, version, platform) = stub(&text)
        .or_else(|| {
            Some((assigned(&text, "name")?, assigned(&text, "version")?, assigned(&text, "platform")))
        })
        .or_else(|| stem.rsplit_once('-').map(|(name, version)| (name.to_owned(), version.to_owned(), None)))
        .ok_or("its name or version is missing")?;
    let mut found = Installed::new(Ecosystem::Gem, name, version);
    found.package.licence = assigned(&text, "licenses");
    let platform = platform.filter(|platform| platform != "ruby");
    found.qualifiers = platform.into_iter().map(|platform| ("platform".to_owned(), platform)).collect();
    found.files = vec![path.to_owned()];
    // Ruby itself brings the files of default gems.
    if let Some(home) = folder(path).strip_suffix("specifications") {
        let home = home.trim_end_matches('/');
        let below = |place: &str| joined(home, &format!("{place}/{stem}"));
        found.folders = ["gems", "extensions/*/*", "doc"].map(below).to_vec();
        found.files.push(below("cache") + ".gem");
        found.files.push(below("build_info") + ".info");
        let programs = strings(&text, "executables");
        found.files.extend(programs.filter_map(|name| budget.joined(home, &format!("bin/{name}"))));
    }
    Ok(found)
}

/// The line that RubyGems writes for itself: `# stub: NAME VERSION PLATFORM FOLDERS`.
fn stub(text: &str) -> Option<(String, String, Option<String>)> {
    let line = text.lines().take(3).find_map(|line| line.strip_prefix("# stub: "))?;
    let mut words = line.split_whitespace().map(str::to_owned);
    Some((words.next()?, words.next()?, words.next()))
}

/// The first string of `s.FIELD = …`.
fn assigned(text: &str, field: &str) -> Option<String> {
    strings(text, field).next().map(str::to_owned)
}

/// The strings of `s.FIELD = …`: `"x"`, `"x".freeze`, `["x".freeze, "y".freeze]`, `Gem::Version.new("x")`.
fn strings<'t>(text: &'t str, field: &str) -> impl Iterator<Item = &'t str> {
    let value = text.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        (name.trim().rsplit_once('.')?.1 == field).then_some(value)
    });
    // Splitting a line at quotes makes every second piece a string.
    let pieces = value.unwrap_or_default().split(['"', '\'']);
    pieces.skip(1).step_by(2).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gem_owns_the_folders_of_its_name_and_version() {
        let spec = b"# -*- encoding: utf-8 -*-\n# stub: json 2.6.1 x86_64-linux lib\n# stub: ext/json/extconf.rb\n\n\
            Gem::Specification.new do |s|\n  s.name = \"json\".freeze\n  s.licenses = [\"Ruby\".freeze]\n  \
            s.executables = [\"a\".freeze, \"b\".freeze]\nend\n";
        let found = read(
            "usr/local/bundle/specifications/json-2.6.1-x86_64-linux.gemspec",
            spec,
            &mut PathBudget::default(),
        )
        .unwrap();
        assert_eq!((found.package.name.as_str(), found.package.version.as_str()), ("json", "2.6.1"));
        assert_eq!(found.package.licence.as_deref(), Some("Ruby"));
        assert_eq!(found.files[3..], ["usr/local/bundle/bin/a", "usr/local/bundle/bin/b"]);
        assert_eq!(found.qualifiers, [("platform".to_owned(), "x86_64-linux".to_owned())]);
        assert_eq!(found.folders[0], "usr/local/bundle/gems/json-2.6.1-x86_64-linux");
        assert_eq!(found.folders[1], "usr/local/bundle/extensions/*/*/json-2.6.1-x86_64-linux");
        assert!(found.files.contains(&"usr/local/bundle/cache/json-2.6.1-x86_64-linux.gem".to_owned()));
    }

    #[test]
    fn names_come_from_fields_or_else_from_the_file() {
        let spec = b"Gem::Specification.new do |spec|\n  spec.name = 'a-b'\n  spec.version = Gem::Version.new('3.0')\nend";
        let found =
            read("g/specifications/default/a-b-3.0.gemspec", spec, &mut PathBudget::default()).unwrap();
        assert_eq!((found.package.name.as_str(), found.package.version.as_str()), ("a-b", "3.0"));
        assert!(found.folders.is_empty(), "a default gem is a part of Ruby");
        let bare = read("g/specifications/c-d-1.2.gemspec", b"\xff", &mut PathBudget::default()).unwrap();
        assert_eq!((bare.package.name.as_str(), bare.package.version.as_str()), ("c-d", "1.2"));
        assert!(read("g/specifications/x.gemspec", b"", &mut PathBudget::default()).is_err());
    }
}
