//! Dockerfile parsing: stages, instructions and references to other images (FROM, COPY --from, RUN --mount=from).

use std::collections::{BTreeSet, HashMap};

/// The external images a Dockerfile names, such as `python:3.13-slim`; not `scratch`, and not references with variables.
pub fn references(text: &str) -> BTreeSet<String> {
    let References { target, native } = References::of(text);
    target.into_iter().chain(native).collect()
}

/// The external images in a Dockerfile, by the platform for which they are needed. An image may be needed for both.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct References {
    /// For the target platform.
    pub target: BTreeSet<String>,
    /// For the builder's own platform: `FROM --platform=$BUILDPLATFORM`.
    pub native: BTreeSet<String>,
}

impl References {
    /// The external images of a Dockerfile.
    pub fn of(text: &str) -> References {
        read(text).1
    }
}

/// The builder's platform in `FROM`.
const BUILD_PLATFORM: [&str; 2] = ["--platform=$BUILDPLATFORM", "--platform=${BUILDPLATFORM}"];

/// The frontend image of a Dockerfile: its `# syntax=` directive (Dockerfile reference, "Parser directives"). Directives precede
/// everything else, each at most once.
pub fn syntax(text: &str) -> Option<&str> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // The file may start with a shebang line.
    let first = usize::from(text.starts_with("#!"));
    for line in text.lines().skip(first) {
        let line = line.trim();
        let (key, value) = line.strip_prefix('#').or_else(|| line.strip_prefix("//"))?.split_once('=')?;
        let value = value.trim();
        match key.trim().to_ascii_lowercase().as_str() {
            "syntax" => return value.split_whitespace().next(),
            "escape" | "check" => {}
            // A comment ends the directives.
            _ => return None,
        }
    }
    None
}

/// The named stages, in lower case as Docker compares them.
pub fn stages(text: &str) -> BTreeSet<String> {
    read(text).0
}

/// Stages and external images.
fn read(text: &str) -> (BTreeSet<String>, References) {
    let mut stages = BTreeSet::new();
    let mut found = References::default();
    for (_, instruction) in instructions(text) {
        let mut words = instruction.split_whitespace();
        let keyword = words.next().unwrap_or_default().to_ascii_uppercase();
        if keyword == "FROM" {
            let (flags, words): (Vec<&str>, Vec<&str>) = words.partition(|word| word.starts_with("--"));
            let is_native = flags.iter().any(|flag| BUILD_PLATFORM.contains(flag));
            let mut words = words.into_iter();
            if let Some(image) = words.next() {
                let found = if is_native { &mut found.native } else { &mut found.target };
                note(image, &stages, found);
            }
            if let (Some(word), Some(stage)) = (words.next(), words.next())
                && word.eq_ignore_ascii_case("as")
            {
                stages.insert(stage.to_lowercase());
            }
        } else if matches!(keyword.as_str(), "COPY" | "ADD" | "RUN") {
            for flag in words.take_while(|word| word.starts_with("--")) {
                for image in flag_images(flag) {
                    note(image, &stages, &mut found.target);
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

/// An instruction of the final stage, or of a stage it is based on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// The first line, from 1.
    pub line: usize,
    /// The keyword in upper case.
    pub keyword: String,
    /// The arguments without flags.
    pub arguments: String,
    /// The stage or image of `--from`.
    pub from: Option<String>,
}

/// The base image of the last stage and its instructions in order, including those of earlier stages it is based on.
/// `arguments` are build arguments for FROM.
pub fn last_stage(text: &str, arguments: &[(&str, &str)]) -> Option<(String, Vec<Instruction>)> {
    let mut stages: Vec<Stage> = Vec::new();
    let mut by_name: HashMap<String, usize> = HashMap::new();
    for (line, instruction) in instructions(text) {
        let (keyword, rest) = instruction.trim().split_once(char::is_whitespace)?;
        let (mut rest, mut from) = (rest.trim_start(), None);
        while rest.starts_with("--") {
            let (flag, after) = rest.split_once(char::is_whitespace)?;
            from = flag.strip_prefix("--from=").map(str::to_owned).or(from);
            rest = after.trim_start();
        }
        let keyword = keyword.to_ascii_uppercase();
        if keyword == "FROM" {
            let mut words = rest.split_whitespace();
            let base = expanded(words.next()?, arguments);
            let name = words.next().filter(|word| word.eq_ignore_ascii_case("as")).and_then(|_| words.next());
            let earlier = by_name.get(&base.to_lowercase()).copied();
            by_name.extend(name.map(|name| (name.to_lowercase(), stages.len())));
            stages.push(Stage { base, earlier, instructions: Vec::new() });
        } else if let Some(stage) = stages.last_mut() {
            stage.instructions.push(Instruction { line, keyword, arguments: rest.to_owned(), from });
        }
    }
    whole(stages)
}

/// The TCP port that the last stage exposes, if it is just one.
pub fn exposed_port(text: &str) -> Option<u16> {
    let (_, instructions) = last_stage(text, &[])?;
    let exposed = instructions.iter().filter(|instruction| instruction.keyword == "EXPOSE");
    let mut ports = exposed.flat_map(|instruction| instruction.arguments.split_whitespace());
    let port = ports.next()?;
    ports.next().is_none().then(|| port.strip_suffix("/tcp").unwrap_or(port).parse().ok())?
}

/// A stage without the instructions of its parent stage.
struct Stage {
    base: String,
    earlier: Option<usize>,
    instructions: Vec<Instruction>,
}

/// The last stage, including the instructions of its parent stages.
fn whole(mut stages: Vec<Stage>) -> Option<(String, Vec<Instruction>)> {
    let mut next = stages.len().checked_sub(1);
    let (mut base, mut parts) = (None, Vec::new());
    while let Some(stage) = next.and_then(|index| stages.get_mut(index)) {
        parts.push(std::mem::take(&mut stage.instructions));
        next = stage.earlier;
        base = Some(std::mem::take(&mut stage.base));
    }
    parts.reverse();
    base.map(|base| (base, parts.concat()))
}

fn expanded(word: &str, arguments: &[(&str, &str)]) -> String {
    arguments.iter().fold(word.to_owned(), |word, (name, value)| {
        word.replace(&format!("${{{name}}}"), value).replace(&format!("${name}"), value)
    })
}

/// Instructions with their first line; continuation lines are joined, comments and heredoc bodies dropped.
pub fn instructions(text: &str) -> Vec<(usize, String)> {
    let mut out = Vec::new();
    let mut current = String::new();
    let mut first = 0;
    let mut lines = (1..).zip(text.lines());
    while let Some((number, line)) = lines.next() {
        if line.trim_start().starts_with('#') {
            continue;
        }
        if current.trim().is_empty() {
            first = number;
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
            lines.by_ref().find(|(_, body)| body.trim_start_matches('\t') == end);
        }
        if !current.trim().is_empty() {
            out.push((first, std::mem::take(&mut current)));
        }
        current.clear();
    }
    out
}

/// The delimiters of an instruction's heredocs, in order.
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

    #[test]
    fn the_only_exposed_port_of_the_last_stage() {
        for (text, port) in [
            ("FROM a AS b\nEXPOSE 1\nFROM c\nEXPOSE 8080/tcp\n", Some(8080)),
            ("FROM a AS b\nEXPOSE 8080\nFROM b\nCMD [\"x\"]\n", Some(8080)),
            ("FROM a\nEXPOSE 80 443\n", None),
            ("FROM a\nEXPOSE 80\nEXPOSE 443\n", None),
            ("FROM a\nEXPOSE 53/udp\n", None),
            ("FROM a\nEXPOSE $PORT\n", None),
            ("FROM a\n", None),
        ] {
            assert_eq!(exposed_port(text), port, "{text}");
        }
    }

    fn of(text: &str) -> Vec<String> {
        references(text).into_iter().collect()
    }

    #[test]
    fn stages_on_the_builders_platform_are_told_apart() {
        let text = "FROM --platform=$BUILDPLATFORM rust:1 AS a\nfrom --platform=${BUILDPLATFORM} node:20\n\
                    FROM --platform=$TARGETPLATFORM debian:12\nFROM --platform=$BUILDPLATFORM a\n\
                    FROM --platform=linux/amd64 nginx:1\nCOPY --from=golang:1 /a /b\nFROM rust:1\n";
        let References { target, native } = References::of(text);
        assert_eq!(native, ["node:20", "rust:1"].map(str::to_owned).into());
        assert_eq!(target, ["debian:12", "golang:1", "nginx:1", "rust:1"].map(str::to_owned).into());
    }

    #[test]
    fn only_external_images_are_references() {
        let text = "# FROM commented:1\nFROM --platform=linux/amd64 rust:1-slim AS build\nFROM build AS again\n\
                    FROM scratch\nCOPY --from=build --chown=1 /a /b\nCOPY --from=0 /a /b\nCOPY --from=nginx:1.26 /x /y\n\
                    RUN --mount=type=bind,from=tools:2,target=/t \\\n  echo FROM nothing:1\nFROM $BASE\n";
        assert_eq!(of(text), ["nginx:1.26", "rust:1-slim", "tools:2"]);
        assert_eq!(stages(text).into_iter().collect::<Vec<_>>(), ["again", "build"]);
    }

    #[test]
    fn the_last_stage_includes_the_instructions_of_its_base_stage() {
        let text = "FROM debian:1 AS Root\nRUN a \\\n  b\n\nFROM x AS other\nRUN no\n# note\nFROM ${E}\n\
                    COPY --chown=1 --from=other /out /\nCMD x\n";
        let (base, found) = last_stage(text, &[("E", "root")]).unwrap();
        assert_eq!(base, "debian:1");
        let short: Vec<(usize, &str, &str)> =
            found.iter().map(|one| (one.line, one.keyword.as_str(), one.arguments.as_str())).collect();
        assert_eq!(short, [(2, "RUN", "a    b"), (9, "COPY", "/out /"), (10, "CMD", "x")]);
        assert_eq!(found[1].from.as_deref(), Some("other"));
    }

    #[test]
    fn a_long_chain_of_stages_takes_no_more_than_its_instructions() {
        let text = "FROM a AS a\nRUN x\n".repeat(50_000);
        let (base, found) = last_stage(&text, &[]).unwrap();
        assert_eq!((base.as_str(), found.len()), ("a", 50_000));
        assert!(found.is_sorted_by_key(|one| one.line));
    }

    #[test]
    fn heredocs_are_not_instructions() {
        let text = "FROM a:1\nRUN <<EOF\nFROM b:1\nEOF\nCOPY <<'X' /f\nFROM c:1\nX\nFROM d:1\n";
        assert_eq!(of(text), ["a:1", "d:1"]);
    }
}
