//! What a Dockerfile takes from its context, and what it says about the container.

use std::collections::{BTreeMap, BTreeSet};

use model::dockerfile::instructions;

/// A Dockerfile's demands on its context, and its EXPOSE and HEALTHCHECK. Stages that the target does not need do not count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DockerfileFacts {
    /// The sources of COPY, ADD and `RUN --mount=type=bind` in the context, without a leading `/`; `.` for all of it.
    pub sources: Vec<Source>,
    /// The ports of EXPOSE, TCP only.
    pub ports: Vec<u16>,
    /// Whether the last HEALTHCHECK defines a check.
    pub health: bool,
    /// External images and contexts that FROM, COPY --from and mounts use.
    pub references: BTreeSet<String>,
}

/// A source of COPY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The line in the Dockerfile, from 1.
    pub line: usize,
    /// The path or pattern.
    pub path: String,
    /// Whether variables without a known value are in it.
    pub is_open: bool,
}

#[derive(Default)]
struct Stage {
    name: String,
    base: String,
    facts: DockerfileFacts,
    health: Option<bool>,
    uses: Vec<String>,
}

/// Reads a Dockerfile as a build of `target` (the last stage if missing) with these arguments sees it.
pub fn read(text: &str, target: Option<&str>, arguments: &BTreeMap<String, String>) -> DockerfileFacts {
    let mut values = platform();
    let mut stages: Vec<Stage> = Vec::new();
    let text = text.trim_start_matches('\u{feff}');
    for (line, instruction) in instructions(text) {
        let (keyword, rest) =
            instruction.trim().split_once(char::is_whitespace).unwrap_or((instruction.trim(), ""));
        let keyword = keyword.to_ascii_uppercase();
        let (flags, rest) = flags(rest.trim());
        match (keyword.as_str(), stages.last_mut()) {
            ("ARG" | "ENV", _) => note_values(&keyword, rest, arguments, &mut values),
            ("FROM", _) => {
                let mut words = rest.split_whitespace();
                let base = expand(words.next().unwrap_or_default(), &values).0.to_lowercase();
                let name =
                    words.next().filter(|word| word.eq_ignore_ascii_case("as")).and_then(|_| words.next());
                stages.push(Stage {
                    name: name.unwrap_or_default().to_lowercase(),
                    base,
                    ..Stage::default()
                });
            }
            ("COPY" | "ADD", Some(stage)) => {
                match flags.iter().find_map(|flag| flag.strip_prefix("--from=")) {
                    Some(from) => stage.uses.push(expand(from, &values).0.to_lowercase()),
                    None => stage.facts.sources.extend(sources(line, rest, &values)),
                }
            }
            ("RUN", Some(stage)) => flags.iter().for_each(|flag| note_mount(line, flag, &values, stage)),
            ("EXPOSE", Some(stage)) => {
                let ports = rest.split_whitespace().map(|word| expand(word, &values).0);
                stage
                    .facts
                    .ports
                    .extend(ports.filter_map(|port| port.trim_end_matches("/tcp").parse::<u16>().ok()));
            }
            ("HEALTHCHECK", Some(stage)) => stage.health = Some(!rest.eq_ignore_ascii_case("none")),
            _ => {}
        }
    }
    needed(stages, target)
}

/// The arguments that BuildKit sets itself (Dockerfile reference, "Automatic platform ARGs in the global scope").
fn platform() -> BTreeMap<String, String> {
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let mut values = BTreeMap::new();
    for side in ["TARGET", "BUILD"] {
        for (part, value) in
            [("OS", "linux"), ("ARCH", arch), ("VARIANT", ""), ("PLATFORM", &format!("linux/{arch}"))]
        {
            values.insert(format!("{side}{part}"), value.to_owned());
        }
    }
    values
}

/// Whether a text starts as Docker requires it: with FROM, or ARG before it (Dockerfile reference, "Format").
pub fn is_dockerfile(text: &str) -> bool {
    let instructions = instructions(text.trim_start_matches('\u{feff}'));
    let keywords = instructions.iter().map(|(_, text)| text.split_whitespace().next().unwrap_or_default());
    let mut rest = keywords.skip_while(|keyword| keyword.eq_ignore_ascii_case("ARG"));
    rest.next().is_some_and(|keyword| keyword.eq_ignore_ascii_case("FROM"))
}

/// The leading flags and the rest.
fn flags(mut rest: &str) -> (Vec<&str>, &str) {
    let mut flags = Vec::new();
    while rest.starts_with("--") {
        let (flag, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        flags.push(flag);
        rest = after.trim_start();
    }
    (flags, rest)
}

fn note_values(
    keyword: &str,
    rest: &str,
    arguments: &BTreeMap<String, String>,
    values: &mut BTreeMap<String, String>,
) {
    for word in rest.split_whitespace() {
        let (name, default) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
        let given = arguments.get(name).filter(|_| keyword == "ARG").cloned();
        let default = default.map(|value| expand(value.trim_matches(['"', '\'']), values).0);
        if let Some(value) = given.or(default) {
            values.insert(name.to_owned(), value);
        }
    }
}

/// The sources of COPY or ADD, whose last word is the destination.
fn sources(line: usize, rest: &str, values: &BTreeMap<String, String>) -> Vec<Source> {
    let words: Vec<String> = match serde_json::from_str::<Vec<String>>(rest) {
        Ok(words) => words,
        Err(_) => rest.split_whitespace().map(|word| word.trim_matches(['"', '\'']).to_owned()).collect(),
    };
    let Some((_, words)) = words.split_last() else { return Vec::new() };
    let is_local =
        |word: &&String| !word.starts_with("<<") && !word.contains("://") && !word.starts_with("git@");
    words.iter().filter(is_local).map(|word| source(line, word, values)).collect()
}

fn source(line: usize, word: &str, values: &BTreeMap<String, String>) -> Source {
    let (path, is_open) = expand(word, values);
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let path = if parts.is_empty() { ".".to_owned() } else { parts.join("/") };
    Source { line, path, is_open }
}

/// `--mount=type=bind,source=X,target=Y`; without `from`, the source is in the context, without `source` the whole of it.
fn note_mount(line: usize, flag: &str, values: &BTreeMap<String, String>, stage: &mut Stage) {
    let Some(options) = flag.strip_prefix("--mount=") else { return };
    let options: BTreeMap<&str, &str> =
        options.split(',').filter_map(|option| option.split_once('=')).collect();
    if let Some(from) = options.get("from") {
        stage.uses.push(expand(from, values).0.to_lowercase());
    } else if *options.get("type").unwrap_or(&"bind") == "bind" {
        let path = options.get("source").or_else(|| options.get("src")).unwrap_or(&".");
        stage.facts.sources.push(source(line, path, values));
    }
}

/// Replaces `$NAME`, `${NAME}`, `${NAME:-x}` and `${NAME:+x}`. True if a variable has no known value.
fn expand(word: &str, values: &BTreeMap<String, String>) -> (String, bool) {
    let (mut out, mut is_open, mut rest) = (String::new(), false, word);
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let (inside, next) = match after.strip_prefix('{').and_then(|inside| inside.split_once('}')) {
            Some((inside, next)) => (inside, next),
            None => after.split_at(
                after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len()),
            ),
        };
        let (name, default) =
            inside.split_once(":-").map_or((inside, None), |(name, value)| (name, Some(value)));
        match values.get(name).map(String::as_str).or(default) {
            Some(value) => out.push_str(value),
            None => is_open = true,
        }
        rest = next;
    }
    out.push_str(rest);
    (out, is_open)
}

/// The facts of the target and of all stages that it needs.
fn needed(stages: Vec<Stage>, target: Option<&str>) -> DockerfileFacts {
    let index = |name: &str, before: usize| {
        let by_name = stages[..before].iter().rposition(|stage| !stage.name.is_empty() && stage.name == name);
        by_name.or_else(|| name.parse::<usize>().ok().filter(|index| *index < before))
    };
    let wanted = target.map(str::to_lowercase).and_then(|target| index(&target, stages.len()));
    let Some(last) = wanted.or_else(|| stages.len().checked_sub(1)) else {
        return DockerfileFacts::default();
    };
    let (mut open, mut seen, mut facts) = (vec![last], BTreeSet::new(), DockerfileFacts::default());
    while let Some(at) = open.pop() {
        if !seen.insert(at) {
            continue;
        }
        for name in stages[at].uses.iter().chain([&stages[at].base]) {
            match index(name, at) {
                Some(earlier) => open.push(earlier),
                None => drop(facts.references.insert(name.clone())),
            }
        }
    }
    facts.sources = seen.iter().flat_map(|at| stages[*at].facts.sources.clone()).collect();
    // Ports and the check come from the target and the stages that it is based on.
    let mut next = Some(last);
    let mut health = None;
    while let Some(at) = next {
        facts.ports.extend(&stages[at].facts.ports);
        health = health.or(stages[at].health);
        next = index(&stages[at].base, at);
    }
    facts.health = health.unwrap_or(false);
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str, target: Option<&str>) -> Vec<String> {
        read(text, target, &BTreeMap::new()).sources.into_iter().map(|source| source.path).collect()
    }

    #[test]
    fn the_sources_of_the_needed_stages() {
        let text = "\u{feff}FROM a AS deps\r\nCOPY package*.json ./\r\nFROM a AS unused\r\nCOPY nowhere /\r\n\
                    FROM deps AS build\r\nCOPY --chown=1 [\"a b\", \"/c\", \"/x/\"]\r\n\
                    RUN --mount=type=bind,source=lock,target=/l --mount=type=cache,target=/c \\\r\n  x\r\n\
                    FROM scratch\r\nCOPY --from=build /x /x\r\nCOPY <<EOF /y\r\nCOPY no /\r\nEOF\r\n\
                    ADD https://example.com/x ./src/. /z\r\n";
        assert_eq!(paths(text, None), ["package*.json", "a b", "c", "lock", "src"]);
        assert_eq!(paths(text, Some("Deps")), ["package*.json"]);
        assert_eq!(paths(text, Some("unused")), ["nowhere"]);
    }

    #[test]
    fn variables_are_replaced_where_their_value_is_known() {
        let text = "ARG A=x\nFROM scratch\nARG A\nARG B\nENV C=c\nCOPY ${A}/$C ${B} ${D:-d} /\n";
        let given = BTreeMap::from([("A".to_owned(), "y".to_owned())]);
        let found = read(text, None, &given).sources;
        let short: Vec<(&str, bool)> = found.iter().map(|one| (one.path.as_str(), one.is_open)).collect();
        assert_eq!(short, [("y/c", false), (".", true), ("d", false)]);
    }

    #[test]
    fn a_dockerfile_starts_with_from_or_arg() {
        for text in ["# x\r\nFROM a\r\n", "\u{feff}ARG V=1\nARG W\nfrom $V\n", "# syntax=x\n\nFROM a\n"] {
            assert!(is_dockerfile(text), "{text}");
        }
        for text in
            ["", "package dockerfile\n\n// FROM a\n", "ENV A=b\nFROM a\n", "ARG V\n", "{{ x }}\nFROM a\n"]
        {
            assert!(!is_dockerfile(text), "{text}");
        }
    }

    #[test]
    fn stages_may_be_named_after_the_platform() {
        let text = "FROM a AS app-linux\nCOPY x /\nFROM a AS app-windows\nCOPY y /\nFROM app-$TARGETOS\n";
        assert_eq!(paths(text, None), ["x"]);
        let given = BTreeMap::from([("TARGETOS".to_owned(), "windows".to_owned())]);
        let text = format!("ARG TARGETOS\n{text}");
        assert_eq!(read(&text, None, &given).sources[0].path, "y");
    }

    #[test]
    fn a_mount_without_a_source_is_the_whole_context() {
        assert_eq!(paths("FROM a\nRUN --mount=target=/src --mount=type=tmpfs,target=/t x\n", None), ["."]);
    }

    #[test]
    fn ports_and_health_come_from_the_target() {
        let text = "FROM a AS base\nEXPOSE 80 53/udp 443/tcp\nHEALTHCHECK CMD x\nFROM a AS other\nEXPOSE 1\nFROM base\nEXPOSE $P\n";
        let facts = read(text, None, &BTreeMap::new());
        assert_eq!((facts.ports, facts.health), (vec![80, 443], true));
        let facts = read(&format!("{text}HEALTHCHECK NONE\n"), None, &BTreeMap::new());
        assert!(!facts.health);
        assert_eq!(facts.references.into_iter().collect::<Vec<_>>(), ["a"]);
    }
}
