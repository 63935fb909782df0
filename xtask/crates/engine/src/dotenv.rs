//! Env files in Compose's syntax (Compose documentation, ".env file syntax"): one variable per line.

use std::collections::BTreeMap;

/// The variables of a file, without quotes and comments. The last line of a name counts.
pub fn variables(text: &str) -> BTreeMap<String, String> {
    text.trim_start_matches('\u{feff}').lines().filter_map(variable).collect()
}

fn variable(line: &str) -> Option<(String, String)> {
    let line = line.trim();
    if line.starts_with('#') {
        return None;
    }
    let (name, value) = line.split_once('=')?;
    let name = name.trim().strip_prefix("export ").unwrap_or(name.trim()).trim();
    Some((name.to_owned(), value_of(value.trim_start())))
}

fn value_of(text: &str) -> String {
    if let Some(rest) = text.strip_prefix('\'') {
        // No escapes between single quotes.
        return rest.split_once('\'').map_or(rest, |(inside, _)| inside).to_owned();
    }
    if let Some(rest) = text.strip_prefix('"') {
        let mut out = String::new();
        let mut chars = rest.chars();
        while let Some(c) = chars.next() {
            match c {
                '"' => break,
                '\\' => match chars.next() {
                    Some('n') => out.push('\n'),
                    Some('t') => out.push('\t'),
                    Some(other) => out.push(other),
                    None => break,
                },
                other => out.push(other),
            }
        }
        return out;
    }
    // A comment needs a blank before it; otherwise `#` is part of the value.
    let end = text.find(" #").or_else(|| text.starts_with('#').then_some(0)).unwrap_or(text.len());
    text[..end].trim_end().to_owned()
}

/// The file's text with a variable set: its last line is replaced, or a line is appended. Single quotes prevent expansion.
pub fn set(text: &str, name: &str, value: &str) -> String {
    let new = format!("{name}='{value}'");
    let mut lines: Vec<&str> = text.lines().collect();
    let is_it = |line: &&str| variable(line).is_some_and(|(found, _)| found == name);
    match lines.iter().rposition(is_it) {
        Some(at) => lines[at] = &new,
        None => lines.push(&new),
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn env_files_are_read_as_compose_reads_them() {
        let text = "\u{feff}A='x$y # z' # no\n# B=no\nexport B=\"a \\\"b\\\"\\n\"\n C = plain # pinned\nD= # none\nE=a#b\nF\nA2=\nA=last\n";
        let found = variables(text);
        let pairs: Vec<_> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(
            pairs,
            [("A", "last"), ("A2", ""), ("B", "a \"b\"\n"), ("C", "plain"), ("D", ""), ("E", "a#b")]
        );
        assert_eq!(variables("A='x$y # z' # no")["A"], "x$y # z");
    }

    #[test]
    fn setting_a_variable_changes_nothing_else() {
        let text = "# mine\nA=1\nB=2";
        assert_eq!(set(text, "A", "x$y"), "# mine\nA='x$y'\nB=2\n");
        assert_eq!(set(text, "C", "3"), "# mine\nA=1\nB=2\nC='3'\n");
        assert_eq!(set("", "C", "3"), "C='3'\n");
    }
}
