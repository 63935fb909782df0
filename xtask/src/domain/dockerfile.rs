//! What a Dockerfile says of other images (Dockerfile reference: FROM, COPY --from, RUN --mount=from).

use std::collections::BTreeSet;

/// The images that a Dockerfile names and does not make itself, such as `python:3.13-slim`; `scratch` is none.
///
/// References that hold a variable are left out: nothing here expands build arguments.
pub fn references(text: &str) -> BTreeSet<String> {
    read(text).1
}

/// The named stages of a Dockerfile, in lower case as Docker compares them.
pub fn stages(text: &str) -> BTreeSet<String> {
    read(text).0
}

/// Stages and foreign images.
fn read(text: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let mut stages = BTreeSet::new();
    let mut found = BTreeSet::new();
    for instruction in instructions(text) {
        let mut words = instruction.split_whitespace();
        let keyword = words.next().unwrap_or_default().to_ascii_uppercase();
        if keyword == "FROM" {
            let mut words = words.filter(|word| !word.starts_with("--"));
            if let Some(image) = words.next() {
                note(image, &stages, &mut found);
            }
            if let (Some(word), Some(stage)) = (words.next(), words.next())
                && word.eq_ignore_ascii_case("as")
            {
                stages.insert(stage.to_lowercase());
            }
        } else if matches!(keyword.as_str(), "COPY" | "ADD" | "RUN") {
            for flag in words.take_while(|word| word.starts_with("--")) {
                for image in flag_images(flag) {
                    note(image, &stages, &mut found);
                }
            }
        }
    }
    (stages, found)
}

fn note(image: &str, stages: &BTreeSet<String>, found: &mut BTreeSet<String>) {
    let is_index = image.bytes().all(|b| b.is_ascii_digit());
    if image != "scratch" && !is_index && !image.contains('$') && !stages.contains(&image.to_lowercase()) {
        found.insert(image.to_owned());
    }
}

/// The image in `--from=X` or in `--mount=type=bind,from=X,…`.
fn flag_images(flag: &str) -> Vec<&str> {
    if let Some(image) = flag.strip_prefix("--from=") {
        return vec![image];
    }
    let options = flag.strip_prefix("--mount=").unwrap_or_default();
    options.split(',').filter_map(|option| option.strip_prefix("from=")).collect()
}

/// Instructions with their continuation lines joined; comments and heredoc bodies are dropped.
fn instructions(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut current = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim_start().starts_with('#') {
            continue;
        }
        match line.trim_end().strip_suffix('\\') {
            Some(part) => {
                current.push_str(part);
                current.push(' ');
                continue;
            }
            None => current.push_str(line),
        }
        for end in heredoc_ends(&current) {
            lines.by_ref().find(|body| body.trim_start_matches('\t') == end);
        }
        if !current.trim().is_empty() {
            out.push(std::mem::take(&mut current));
        }
        current.clear();
    }
    out
}

/// The words that end the heredocs which an instruction opens, in order.
fn heredoc_ends(instruction: &str) -> Vec<String> {
    instruction
        .split_whitespace()
        .filter_map(|word| word.split_once("<<").map(|(_, rest)| rest))
        .map(|rest| rest.trim_start_matches('-').trim_matches(['"', '\'']).to_owned())
        .filter(|end| !end.is_empty() && end.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<String> {
        references(text).into_iter().collect()
    }

    #[test]
    fn only_foreign_images_count() {
        let text = "# FROM commented:1\nFROM --platform=linux/amd64 rust:1-slim AS build\nFROM build AS again\n\
                    FROM scratch\nCOPY --from=build --chown=1 /a /b\nCOPY --from=0 /a /b\nCOPY --from=nginx:1.26 /x /y\n\
                    RUN --mount=type=bind,from=tools:2,target=/t \\\n  echo FROM nothing:1\nFROM $BASE\n";
        assert_eq!(of(text), ["nginx:1.26", "rust:1-slim", "tools:2"]);
        assert_eq!(stages(text).into_iter().collect::<Vec<_>>(), ["again", "build"]);
    }

    #[test]
    fn heredocs_are_not_instructions() {
        let text = "FROM a:1\nRUN <<EOF\nFROM b:1\nEOF\nCOPY <<'X' /f\nFROM c:1\nX\nFROM d:1\n";
        assert_eq!(of(text), ["a:1", "d:1"]);
    }
}
