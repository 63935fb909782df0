//! The variables that a package's README documents, and those that its code reads.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Functions whose first argument is the name of a variable, where a name has no underscore.
const ACCESSORS: [&str; 10] =
    ["variable", "positive", "size", "whole", "seconds", "text", "choice", "integer", "url", "get"];

/// Names in the code that nobody sets to configure a service.
const NOT_SETTINGS: [&str; 9] = [
    // The build sets it.
    "SUTRA_SERVICE_VERSION",
    // The service sets them, for its libraries.
    "ORT_DISABLE_TELEMETRY",
    "HF_HUB_OFFLINE",
    "TOKENIZERS_PARALLELISM",
    "TQDM_DISABLE",
    // Constants of Python's ssl.
    "CERT_NONE",
    "PROTOCOL_TLS_SERVER",
    // Arguments of sysconf.
    "SC_CLK_TCK",
    "SC_PAGE_SIZE",
];

/// The variables in the first columns of the tables headed `variable`.
pub fn documented(readme: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut is_in_table = false;
    for line in readme.lines() {
        let Some(first) = line.strip_prefix('|').and_then(|rest| rest.split('|').next()) else {
            is_in_table = false;
            continue;
        };
        is_in_table |= first.trim() == "variable";
        if is_in_table {
            let words = first.split('`').skip(1).step_by(2);
            found.extend(words.filter(|word| is_name(word)).map(str::to_owned));
        }
    }
    found
}

/// The variables that the code of a package reads, each with the file that reads it.
pub fn read_by(package: &Path) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    for path in sources(package) {
        let text = fs::read_to_string(&path).unwrap();
        // Rust's unit tests are at the end of a file.
        let code = text.split("\n#[cfg(test)]").next().unwrap();
        found.extend(names_in(code).into_iter().map(|name| (name, path.clone())));
    }
    found.sort();
    found
}

/// String literals that look like variables: those with an underscore, and the first arguments of accessors. In an nginx
/// template: placeholders.
fn names_in(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (start, _) in code.match_indices('"') {
        let Some((literal, _)) = code[start + 1..].split_once('"') else { continue };
        let before = &code[..start];
        let call = before.trim_end().strip_suffix('(');
        let function = call.and_then(|call| call.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next());
        // `variable::<usize>("PORT", …)`.
        let generic = call.and_then(|call| call.strip_suffix('>')?.rsplit_once("::<")).map(|(name, _)| name);
        let generic = generic.and_then(|name| name.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next());
        let is_argument = [function, generic].iter().flatten().any(|name| ACCESSORS.contains(name));
        if is_name(literal) && (literal.contains('_') || is_argument) {
            found.insert(literal.to_owned());
        }
    }
    for part in code.split("${").skip(1) {
        let name = part.split('}').next().unwrap();
        if is_name(name) {
            found.insert(name.to_owned());
        }
    }
    found.retain(|name| !NOT_SETTINGS.contains(&name.as_str()));
    found
}

fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_uppercase())
        && word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

/// The Python and Rust files of a package and its nginx template, without tests and without the web page.
fn sources(package: &Path) -> Vec<PathBuf> {
    const OTHERS: [&str; 7] =
        ["tests", "testing", "examples", "page", "node_modules", "selftest.py", "benchmark.py"];
    let mut found = Vec::new();
    for entry in fs::read_dir(package).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if OTHERS.contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            found.extend(sources(&path));
        } else if name == "nginx.conf.template" || name.ends_with(".py") || name.ends_with(".rs") {
            found.push(path);
        }
    }
    found
}

#[test]
fn tables_headed_variable_are_read() {
    let readme = "| route | purpose |\n|---|---|\n| `GET` | x |\n\n| variable | meaning |\n|---|---|\n\
                  | `HOST`, `PORT` (`1`) | as `OTHER` |\n\n`NOT_HERE`\n";
    assert_eq!(documented(readme), BTreeSet::from(["HOST".to_owned(), "PORT".to_owned()]));
}

#[test]
fn names_are_found_in_every_language() {
    for (code, expected) in [
        ("environment.integer(\"PORT\", port, 0, 65535)", Some("PORT")),
        ("variable::<NonZeroU16>(\"DIMENSION\", \"a\")", Some("DIMENSION")),
        ("variable(\n            \"HOST\", \"an address\")", Some("HOST")),
        ("VARIABLE = \"SUTRA_X\"", Some("SUTRA_X")),
        ("proxy_pass ${API_URL};", Some("API_URL")),
        ("exchange(\"GET\", path)", None),
        ("\"SUTRA_SERVICE_VERSION\"", None),
        ("f\"{VARIABLE}_FILE\"", None),
    ] {
        assert_eq!(names_in(code).into_iter().next().as_deref(), expected, "{code}");
    }
}
