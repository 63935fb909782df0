//! Faults for the part `fuzz`.

use super::{Fault, OF_EACH_PART};

pub const FAULTS: [Fault; OF_EACH_PART] = [
    Fault {
        what: "a fault in the manifest is counted beyond its place",
        only: "manifest",
        file: "crates/model/src/reader/place.rs",
        from: "self.text[counted..*place]",
        to: "self.text[counted..*place + 1]",
    },
    Fault {
        what: "the size lock loses its byte order mark",
        only: "lock",
        file: "crates/check/src/lock.rs",
        from: "if original.starts_with('\\u{feff}') {",
        to: "if original.starts_with(\"\\u{feff}\\u{feff}\") {",
    },
    Fault {
        what: "a Compose file's mapping that is merged into itself is followed forever",
        only: "compose",
        file: "crates/stack/src/switch/images.rs",
        from: "if !seen.insert(document.resolved(id)) {",
        to: "if !seen.insert(document.resolved(id)) && found.len() > usize::MAX / 2 {",
    },
    Fault {
        what: "values of an env file double without a limit",
        only: "env",
        file: "crates/engine/src/interpolation.rs",
        from: "if out.len() > MAX_LENGTH.max(text.len()) {",
        to: "if out.len() > usize::MAX - MAX_LENGTH {",
    },
    Fault {
        what: "defaults of variables are nested without a limit",
        only: "env",
        file: "crates/engine/src/interpolation.rs",
        from: "const MAX_DEPTH: usize = 100;",
        to: "const MAX_DEPTH: usize = usize::MAX;",
    },
    Fault {
        what: "an instruction of a Dockerfile is expected to have arguments",
        only: "dockerfile",
        file: "crates/model/src/dockerfile.rs",
        from: "let (keyword, rest) = instruction.trim().split_once(char::is_whitespace)?;",
        to: "let (keyword, rest) = instruction.trim().split_once(char::is_whitespace).unwrap();",
    },
    Fault {
        what: "the log of a build step is expected to be UTF-8",
        only: "events",
        file: "crates/engine/src/events.rs",
        from: "let text = String::from_utf8_lossy(line);",
        to: "let text = std::str::from_utf8(line).unwrap();",
    },
    Fault {
        what: "memory is allocated for the size that a file claims",
        only: "packed",
        file: "crates/contents/src/reading.rs",
        from: "self.whole.clear();",
        to: "self.whole = Vec::with_capacity(bytes as usize);",
    },
    Fault {
        what: "a whiteout may delete the folder around it",
        only: "layer",
        file: "crates/engine/src/layer_tar.rs",
        from: "if matches!(hidden, \".\" | \"..\") {",
        to: "if hidden == \".\" {",
    },
    Fault {
        what: "an ELF header is trusted to stay within the file",
        only: "elf",
        file: "crates/contents/src/excerpt.rs",
        from: "self.from(offset).find_map(|rest| rest.get(..size)).ok_or(())",
        to: "self.from(offset).map(|rest| &rest[..size]).next().ok_or(())",
    },
];
