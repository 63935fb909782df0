//! What a Dockerfile takes from outside its context: images, and downloads that no digest or lock file pins.

use std::collections::{BTreeMap, BTreeSet};

use model::dockerfile::{instructions, references, syntax};
use model::image_ref::name_of;

/// Commands that download the newest version, each with the subcommand that does so; none if every use does.
const NEWEST: [(&str, &str); 25] = [
    ("apt-get", ""),
    ("apt", ""),
    ("aptitude", ""),
    ("apk", ""),
    ("dnf", ""),
    ("microdnf", ""),
    ("tdnf", ""),
    ("yum", ""),
    ("zypper", ""),
    ("pacman", ""),
    ("curl", ""),
    ("wget", ""),
    ("git", ""),
    ("npx", ""),
    ("pip", "install"),
    ("pip3", "install"),
    ("pipx", "install"),
    ("uv", "install"),
    ("npm", "install"),
    ("npm", "i"),
    ("npm", "update"),
    ("yarn", "add"),
    ("gem", "install"),
    ("go", "install"),
    ("cargo", "install"),
];

/// What a Dockerfile takes from outside its context.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Asks {
    /// Images that FROM, COPY and RUN name, without stages.
    pub images: BTreeSet<String>,
    /// The image of the Dockerfile's frontend, if specified.
    pub frontend: Option<String>,
    /// Whether only BuildKit can resolve the name of an image, or the frontend is not Docker's own and may use any image.
    pub unknown_image: bool,
    /// Whether a step may download something else next week.
    pub unpinned: bool,
}

impl Asks {
    /// Reads a Dockerfile. `args`: the build arguments.
    pub fn of(text: &str, args: &BTreeMap<String, String>) -> Asks {
        let expanded = with_values(text, args);
        let has_variable = image_words(&expanded).any(|word| word.contains('$'));
        let unpinned = instructions(text).iter().any(|(_, line)| is_remote_add(line)) || gets_newest(text);
        // The argument replaces the directive (BuildKit, "Custom Dockerfile syntax").
        let frontend = args.get("BUILDKIT_SYNTAX").map(String::as_str).or_else(|| syntax(text));
        let frontend = frontend.filter(|image| !image.is_empty()).map(str::to_owned);
        let is_dockers = |image: &String| matches!(name_of(image), "dockerfile" | "dockerfile-upstream");
        // Other frontends also read JSON, which may name another frontend.
        let is_read_by_other = !frontend.iter().all(is_dockers) || text.trim_start().starts_with('{');
        let unknown_image = has_variable || is_read_by_other;
        Asks { images: references(&expanded), frontend, unknown_image, unpinned }
    }
}

/// The instructions, a line each, with the values of arguments in FROM (Dockerfile reference, "Understand how ARG and FROM
/// interact").
fn with_values(text: &str, args: &BTreeMap<String, String>) -> String {
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    let mut lines = Vec::new();
    let mut is_global = true;
    for (_, instruction) in instructions(text) {
        let (keyword, rest) =
            instruction.trim().split_once(char::is_whitespace).unwrap_or((&instruction, ""));
        if keyword.eq_ignore_ascii_case("FROM") {
            is_global = false;
            lines.push(expanded(&instruction, &known));
            continue;
        }
        if keyword.eq_ignore_ascii_case("ARG") && is_global {
            for word in rest.split_whitespace() {
                let (name, default) = word.split_once('=').unwrap_or((word, ""));
                let value = args.get(name).map_or(default.trim_matches(['"', '\'']), String::as_str);
                known.insert(name.to_owned(), value.to_owned());
            }
        }
        lines.push(instruction);
    }
    lines.join("\n")
}

/// Replaces `$NAME` and `${NAME}`; everything else that starts with `$` stays.
fn expanded(line: &str, known: &BTreeMap<String, String>) -> String {
    let braced = known
        .iter()
        .fold(line.to_owned(), |line, (name, value)| line.replace(&format!("${{{name}}}"), value));
    let mut parts = braced.split('$');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(part.len());
        let (name, rest) = part.split_at(end);
        match known.get(name) {
            Some(value) => out.push_str(value),
            None => out.extend(["$", name]),
        }
        out.push_str(rest);
    }
    out
}

/// The words that name images.
fn image_words(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| {
        let is_from = line.split_whitespace().next().is_some_and(|word| word.eq_ignore_ascii_case("FROM"));
        line.split_whitespace().filter(move |word| match is_from {
            true => !word.starts_with("--"),
            false => word.starts_with("--") && word.contains("from="),
        })
    })
}

/// `ADD` of a URL or a git repository, without a checksum (Dockerfile reference, "ADD").
fn is_remote_add(instruction: &str) -> bool {
    let mut words = instruction.split_whitespace();
    let is_add = words.next().is_some_and(|keyword| keyword.eq_ignore_ascii_case("ADD"));
    let is_remote = |word: &str| word.contains("://") || word.starts_with("git@");
    is_add && !instruction.contains("--checksum=") && words.any(is_remote)
}

/// Looks at every word of the file, here-documents included.
fn gets_newest(text: &str) -> bool {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let words: BTreeSet<&str> = lines.flat_map(|line| line.split(|c: char| !is_part(c))).collect();
    let is_hashed = ["--require-hashes", "--no-index"].iter().any(|word| words.contains(word));
    NEWEST.iter().any(|(command, word)| {
        let is_pinned = is_hashed && command.starts_with("pip");
        words.contains(command) && (word.is_empty() || words.contains(word)) && !is_pinned
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(text: &str) -> Asks {
        Asks::of(text, &BTreeMap::from([("GIVEN".to_owned(), "alpine:3.20".to_owned())]))
    }

    #[test]
    fn images_with_arguments_are_completed_or_unknown() {
        for (text, image) in [
            ("FROM debian:12", "debian:12"),
            ("ARG V=12\nFROM debian:$V AS a", "debian:12"),
            ("ARG V=\"12\"\nFROM debian:${V}-slim", "debian:12-slim"),
            ("ARG GIVEN=busybox\nFROM $GIVEN", "alpine:3.20"),
            ("FROM scratch\nCOPY --from=golang:1 /a /b", "golang:1"),
            ("FROM --platform=$BUILDPLATFORM golang:1", "golang:1"),
        ] {
            let found = asks(text);
            assert_eq!(found.images, BTreeSet::from([image.to_owned()]), "{text}");
            assert!(!found.unknown_image, "{text}");
        }
        for text in [
            "FROM $GIVEN",
            "ARG V\nFROM debian:${V:-12}",
            "FROM a\nARG V=1\nFROM b:$V",
            "FROM a\nRUN --mount=type=bind,from=$X,target=/x true",
        ] {
            assert!(asks(text).unknown_image, "{text}");
        }
    }

    #[test]
    fn the_frontend_is_an_image_too() {
        let args = BTreeMap::from([("BUILDKIT_SYNTAX".to_owned(), "own/frontend".to_owned())]);
        for (text, args, frontend) in [
            ("# syntax=docker/dockerfile:1\nFROM a", BTreeMap::new(), Some("docker/dockerfile:1")),
            (
                "#!/x\n#escape=`\n# SYNTAX = docker/dockerfile:1 \nFROM a",
                BTreeMap::new(),
                Some("docker/dockerfile:1"),
            ),
            (
                "// syntax=r.example/docker/dockerfile@sha256:00\nFROM a",
                BTreeMap::new(),
                Some("r.example/docker/dockerfile@sha256:00"),
            ),
            ("# a comment\n# syntax=docker/dockerfile:1\nFROM a", BTreeMap::new(), None),
            ("FROM a\n# syntax=docker/dockerfile:1\n", BTreeMap::new(), None),
            ("# syntax=docker/dockerfile:1\nFROM a", args, Some("own/frontend")),
        ] {
            let asks = Asks::of(text, &args);
            assert_eq!(asks.frontend.as_deref(), frontend, "{text}");
            assert_eq!(asks.unknown_image, frontend == Some("own/frontend"), "{text}");
        }
        assert!(asks("{\"syntax\": \"own/frontend\"}").unknown_image);
    }

    #[test]
    fn what_no_lock_file_pins_may_change_next_week() {
        for text in [
            "RUN apt-get update && apt-get install -y curl",
            "RUN <<E\n  apk add x\nE",
            "ADD https://example.org/x /x",
            "RUN set -e; \\\n  (pip install flask)",
            "RUN npm install",
        ] {
            assert!(asks(&format!("FROM a\n{text}\n")).unpinned, "{text}");
        }
        for text in [
            "RUN npm ci",
            "RUN pip install --require-hashes -r requirements.txt",
            "RUN cargo build --locked --release",
            "# apt-get\nRUN true",
            "ADD --checksum=sha256:00 https://example.org/x /x",
            "COPY apt.conf /etc/apt-get.d/",
        ] {
            assert!(!asks(&format!("FROM a\n{text}\n")).unpinned, "{text}");
        }
    }
}
