//! Registry: injects each kind of failure at up to four requests of a push. A failed push must exit with the right code and print
//! help, local tags must match the registry, and the next push must complete it once the registry works again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::world::World;
use super::{Case, run, sites};
use crate::support::Site;
use crate::support::registry::{Answer, Proxy, Registry};

/// How the registry fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Status(&'static str),
    Cut,
    Killed,
}

/// Faults with the exit codes that a push may have. 0: docker or xtask retried and succeeded.
const FAULTS: [(Fault, &[i32]); 10] = [
    (Fault::Status("400 Bad Request"), &[0, 1]),
    (Fault::Status("401 Unauthorized"), &[0, 3]),
    (Fault::Status("403 Forbidden"), &[0, 3]),
    (Fault::Status("409 Conflict"), &[0, 1]),
    (Fault::Status("413 Request Entity Too Large"), &[0, 3]),
    (Fault::Status("429 Too Many Requests"), &[0, 3]),
    (Fault::Status("500 Internal Server Error"), &[0, 3]),
    (Fault::Status("503 Service Unavailable"), &[0, 3]),
    (Fault::Cut, &[0, 3]),
    (Fault::Killed, &[3]),
];

/// A fault, the first request that it affects, and the number of affected requests.
type Plan = Mutex<Option<(Fault, usize, usize)>>;

#[test]
#[ignore = "takes many minutes: cargo xtask ci --campaign registry"]
fn campaign() {
    let trial = Trial::new();
    let requests = trial.requests();
    assert!(requests > 10, "a push makes {requests} requests");
    let mut cases = Vec::new();
    for (fault, codes) in FAULTS {
        for at in (0..requests).step_by(requests.div_ceil(4)) {
            for (word, lasts) in [("once", 1), ("from then on", usize::MAX)] {
                // A killed registry stays down anyway.
                if fault != Fault::Killed || lasts == 1 {
                    let trial = &trial;
                    let name = format!("{fault:?} at request {at} {word}");
                    cases.push(Case::new(name, move || trial.case((fault, at, lasts), codes)));
                }
            }
        }
    }
    run("registry", cases);
}

struct Trial {
    registry: Arc<Registry>,
    proxy: Proxy,
    plan: Arc<Plan>,
    count: Arc<AtomicUsize>,
    site: Site,
}

impl Trial {
    fn new() -> Trial {
        let registry = Arc::new(Registry::start("registry-part"));
        let (plan, count) = (Arc::<Plan>::default(), Arc::<AtomicUsize>::default());
        let rule = {
            let (plan, count) = (Arc::clone(&plan), Arc::clone(&count));
            move |_: &str, registry: &Registry| {
                let number = count.fetch_add(1, Ordering::SeqCst);
                let Some((fault, at, lasts)) = *plan.lock().unwrap() else { return Answer::Forward };
                if number < at || number - at >= lasts {
                    return Answer::Forward;
                }
                match fault {
                    Fault::Status(status) => Answer::Status(status),
                    Fault::Cut => Answer::Cut,
                    Fault::Killed => {
                        registry.kill();
                        Answer::Cut
                    }
                }
            }
        };
        let proxy = Proxy::start(&registry, rule);
        Trial { registry, proxy, plan, count, site: sites::site("registry") }
    }

    /// Number of requests of an undisturbed push of new images.
    fn requests(&self) -> usize {
        self.build();
        self.count.store(0, Ordering::SeqCst);
        let output = self.push();
        assert!(output.status.success(), "{}", self.site.told(&output));
        self.count.load(Ordering::SeqCst)
    }

    /// Builds new images each time, because a push skips images that the registry has.
    fn build(&self) {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        sites::generation(&self.site, &format!("{} of {}", number, std::process::id()));
        sites::all(&self.site, &[&["build-images"]]);
    }

    fn push(&self) -> std::process::Output {
        self.site.run(&["push", "--registry", &self.proxy.address.to_string()])
    }

    fn case(&self, plan: (Fault, usize, usize), codes: &[i32]) -> Result<(), String> {
        self.build();
        self.count.store(0, Ordering::SeqCst);
        *self.plan.lock().unwrap() = Some(plan);
        let output = self.push();
        *self.plan.lock().unwrap() = None;
        let told = self.site.told(&output);
        if plan.0 == Fault::Killed {
            self.registry.restart();
        }
        let code = output.status.code();
        if !code.is_some_and(|code| codes.contains(&code)) {
            return Err(format!("exit code {code:?}, not one of {codes:?}\n{told}"));
        }
        if code != Some(0) && !told.contains("help:") {
            return Err(format!("no help\n{told}"));
        }
        self.no_local_tag_lies(&told)?;
        if code == Some(0) {
            return self.all_is_there(&told);
        }
        let next = self.push();
        if !next.status.success() {
            return Err(format!("{told}\nthe next push failed: {}", self.site.told(&next)));
        }
        self.all_is_there(&format!("{told}\nnext: {}", self.site.told(&next)))
    }

    fn tags(&self, is_remote: bool) -> BTreeMap<String, String> {
        let tags = World::of(&self.site.folder, &self.site.prefix).tags;
        let start = format!("{}/", self.proxy.address);
        let of_remote = |(tag, id): (String, String)| Some((tag.strip_prefix(&start)?.to_owned(), id));
        match is_remote {
            true => tags.into_iter().filter_map(of_remote).collect(),
            false => tags.into_iter().filter(|(tag, _)| !tag.contains('/')).collect(),
        }
    }

    /// Fails if a local tag under the registry's name differs from the tag in the registry.
    fn no_local_tag_lies(&self, told: &str) -> Result<(), String> {
        for (tag, id) in self.tags(true) {
            if self.image(&tag).as_ref() != Some(&id) {
                return Err(format!("{tag} is {id} locally, {:?} in the registry\n{told}", self.image(&tag)));
            }
        }
        Ok(())
    }

    fn all_is_there(&self, told: &str) -> Result<(), String> {
        for (tag, id) in self.tags(false) {
            if self.image(&tag).as_ref() != Some(&id) {
                return Err(format!("the registry has {:?} under {tag}, not {id}\n{told}", self.image(&tag)));
            }
        }
        super::same("local tags under the registry's name", &self.tags(true), &self.tags(false))
            .map_err(|what| format!("{what}\n{told}"))
    }

    /// Image ID of a tag in the registry.
    fn image(&self, tag: &str) -> Option<String> {
        let (name, version) = tag.split_once(':').unwrap();
        let tags = self.registry.says(&format!("/v2/{name}/tags/list"));
        tags["tags"].as_array()?.iter().find(|tag| *tag == version)?;
        let manifest = self.registry.says(&format!("/v2/{name}/manifests/{version}"));
        manifest["config"]["digest"].as_str().map(str::to_owned)
    }
}
