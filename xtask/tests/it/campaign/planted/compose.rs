//! Faults for the part `compose`. Each is found within 200 projects.

use super::{Fault, OF_EACH_PART};

const FILES: &str = "files 000|files 001|files 002|files 003";
const TEXTS: &str = "texts 000|texts 001|texts 002|texts 003";
const VARIABLES: &str = "variables 000|variables 001|variables 002|variables 003";

pub const FAULTS: [Fault; OF_EACH_PART] = [
    Fault {
        what: "a reference behind a tag is not found",
        only: TEXTS,
        file: "crates/stack/src/switch/document.rs",
        from: "while rest.starts_with(['&', '!']) {",
        to: "while rest.starts_with('&') {",
    },
    Fault {
        what: "a registry's IPv6 address is not quoted",
        only: VARIABLES,
        file: "crates/stack/src/switch/edits.rs",
        from: "let quoted = after.starts_with('[') && ",
        to: "let quoted = false && ",
    },
    Fault {
        what: "the last merge source takes precedence",
        only: TEXTS,
        file: "crates/stack/src/switch/images.rs",
        from: "queue.extend(sources.iter().rev());",
        to: "queue.extend(sources.iter());",
    },
    Fault {
        what: "references that are also used for something else are edited",
        only: TEXTS,
        file: "crates/stack/src/switch/images.rs",
        from: "ancestors.any(|id| self.aliased_elsewhere.contains(&id))",
        to: "ancestors.any(|_| false)",
    },
    Fault {
        what: "an included file's project directory is ignored",
        only: FILES,
        file: "crates/stack/src/switch/images.rs",
        from: "let base = folder.map_or(BaseFolder::Of(first), BaseFolder::Is);",
        to: "let base = BaseFolder::Of(first);",
    },
    Fault {
        what: "the separator of COMPOSE_FILE is ignored",
        only: FILES,
        file: "crates/engine/src/compose/files.rs",
        from: "variables.get(\"COMPOSE_PATH_SEPARATOR\").unwrap_or(\":\")",
        to: "\":\"",
    },
    Fault {
        what: "services that are left are not reported",
        only: FILES,
        file: "crates/stack/src/switch/proof.rs",
        from: "} else if is_own && self.is_missed(old, environment) {",
        to: "} else if is_own && false {",
    },
    Fault {
        what: "a variant in SUTRA_VERSION is not removed",
        only: VARIABLES,
        file: "crates/stack/src/switch/proof.rs",
        from: "let tag = tag.map(|tag| (version, tag.to_string()));",
        to: "let tag = tag.filter(|_| false).map(|tag| (version, tag.to_string()));",
    },
    Fault {
        what: "required variables get no value",
        only: VARIABLES,
        file: "crates/stack/src/switch/proof.rs",
        from: "operator.trim_start_matches(':').starts_with('?').then_some((name, may_be_empty))",
        to: "operator.trim_start_matches(':').starts_with('?').then_some((name, may_be_empty)).filter(|_| false)",
    },
    Fault {
        what: "--undo restores the switched files",
        only: FILES,
        file: "crates/stack/src/switch/last_switch.rs",
        from: "files::replace(target, file.before.as_bytes())",
        to: "files::replace(target, file.after.as_bytes())",
    },
];
