//! Faults for the part `updates`.

use super::{Fault, OF_EACH_PART};

const NEW_IMAGES: &str =
    "update 6: new images|update 12: new images|update 18: new images|update 24: new images";
const NOTHING_NEW: &str = "update 1: nothing new|update 7: nothing new";

pub const FAULTS: [Fault; OF_EACH_PART] = [
    Fault {
        what: "an update ends when Compose does, before the services are healthy",
        only: NOTHING_NEW,
        file: "crates/stack/src/deploy/watch.rs",
        from: "success && services.iter().all(ServiceHealth::is_fine)",
        to: "success && !any(&ServiceCondition::has_failed)",
    },
    Fault {
        what: "a completed one-shot task counts as failed",
        only: NOTHING_NEW,
        file: "crates/engine/src/compose/config.rs",
        from: "needs.contains(&\"service_completed_successfully\")",
        to: "needs.contains(&\"service_completed\")",
    },
    Fault {
        what: "a service is healthy as soon as one of its replicas is",
        only: NEW_IMAGES,
        file: "crates/stack/src/deploy/health.rs",
        from: "own.iter().copied().max_by_key(condition)",
        to: "own.iter().copied().min_by_key(condition)",
    },
    Fault {
        what: "a container that ended before the update counts as a failure of the update",
        only: "update 2: a stopped replica|update 8: a stopped replica",
        file: "crates/stack/src/deploy/watch.rs",
        from: "!is_old(found) || !ServiceCondition::of(found, Lifetime::Stays, now).has_failed()",
        to: "found.state.status != \"removing\"",
    },
    Fault {
        what: "Compose is not run again after a container vanished",
        only: "update 3: a container vanishes|update 9: a container vanishes|update 15: a container vanishes",
        file: "crates/stack/src/deploy/up.rs",
        from: "const ROUNDS: usize = 3;",
        to: "const ROUNDS: usize = 1;",
    },
    Fault {
        what: "containers of `docker compose run` count as the service's",
        only: "update 4: a one-off container",
        file: "crates/engine/src/containers.rs",
        from: "labels::filter(labels::COMPOSE_ONE_OFF, \"False\")",
        to: "labels::filter(labels::COMPOSE_PROJECT, project)",
    },
    Fault {
        what: "a service that the engine restarted once counts as a crash loop",
        only: NOTHING_NEW,
        file: "crates/stack/src/deploy/condition.rs",
        from: "const LOOP: u32 = 3;",
        to: "const LOOP: u32 = 1;",
    },
    Fault {
        what: "an update of one service updates all of them",
        only: "update 5: alpha first",
        file: "src/deploy/mod.rs",
        from: "self.project().variable(&variable, version).only(only);",
        to: "self.project().variable(&variable, version);",
    },
    Fault {
        what: "an update that replaces nothing overwrites the image kept for a rollback",
        only: NOTHING_NEW,
        file: "crates/stack/src/deploy/rollback.rs",
        from: "images.running.iter().find(|image| Some(*image) != images.configured.as_ref())?",
        to: "images.running.first()?",
    },
    Fault {
        what: "a build moves new tags only, and updates deploy the old images",
        only: NEW_IMAGES,
        file: "crates/build/src/publish/moves.rs",
        from: "if from.as_ref() != Some(&built.id) {",
        to: "if from.is_none() {",
    },
];
