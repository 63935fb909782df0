//! Faults for the part `registry`.

use super::{Fault, OF_EACH_PART};

const REJECTED: &str = "400 Bad Request\") at the first tag once";
const FORBIDDEN: &str = "403 Forbidden\") at the first tag once";
const CUT: &str = "Cut at the first tag once";

pub const FAULTS: [Fault; OF_EACH_PART] = [
    Fault {
        what: "a registry's rate limit is not recognized",
        only: "429 Too Many Requests\") at the first tag once",
        file: "crates/engine/src/signs/chain.rs",
        from: "\"toomanyrequests\" | \"too many requests\" => Cause::RateLimit,",
        to: "\"too many requests\" => Cause::RateLimit,",
    },
    Fault {
        what: "one forbidden image stops the others",
        only: FORBIDDEN,
        file: "crates/engine/src/push.rs",
        from: "                | Cause::SignIn\n                | Cause::Certificate",
        to: "                | Cause::SignIn\n                | Cause::Denied\n                | Cause::Certificate",
    },
    Fault {
        what: "the remedies of failed pushes are not printed",
        only: FORBIDDEN,
        file: "crates/build/src/push/report.rs",
        from: "format!(\"cannot push {reference}: {}\\nhelp: {}\", failure.message, failure.remedy)",
        to: "format!(\"cannot push {reference}: {}\", failure.message)",
    },
    Fault {
        what: "all tags of an image are recorded once the first is pushed",
        only: "403 Forbidden\") at the second tag once",
        file: "crates/build/src/push/execute.rs",
        from: "if !shared.digests.add(&reference, &image.service_image, &image.image.id, &digest)",
        to: "if !image.tags.iter().fold(true, |known, tag| {\n            \
             shared.digests.add(&tag.reference.to_string(), &image.service_image, &image.image.id, &digest) && known\n        })",
    },
    Fault {
        what: "a failed push exits 0 if another image was pushed",
        only: REJECTED,
        file: "crates/build/src/push/report.rs",
        from: "if failures.is_empty() {",
        to: "if failures.is_empty() || self.images.iter().any(|row| row.digest.is_some()) {",
    },
    Fault {
        what: "the local tag of a failed push is not restored",
        only: REJECTED,
        file: "crates/build/src/push/execute.rs",
        from: "self.restore(image, tag);\n            if self.interrupted() {",
        to: "if self.interrupted() {",
    },
    Fault {
        what: "the local tag of a failed push is removed instead of restored",
        only: REJECTED,
        file: "crates/build/src/push/local_tags.rs",
        from: "            Some(from) if docker.look(from)?.is_some() => docker.tag(from, tag)?,\n",
        to: "",
    },
    Fault {
        what: "a broken connection is not retried",
        only: CUT,
        file: "crates/engine/src/push.rs",
        from: "Cause::RateLimit | Cause::ServerError | Cause::Unreachable)",
        to: "Cause::RateLimit | Cause::ServerError)",
    },
    Fault {
        what: "a retry mistakes the tag's old image for the pushed image",
        only: CUT,
        file: "crates/build/src/push/attempt.rs",
        from: "Before::Same(manifest) if was_pushed =>",
        to: "Before::Same(manifest) | Before::Other(manifest) if was_pushed =>",
    },
    Fault {
        what: "a retry forgets that an earlier attempt pushed the tag",
        only: "Lost at the first tag once",
        file: "crates/build/src/push/attempt.rs",
        from: "was_pushed = true;\n",
        to: "\n",
    },
];
