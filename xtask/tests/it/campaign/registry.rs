//! Registry: injects each kind of failure at several requests of a push. A failed push must exit with the right code, print help
//! and report the truth; local tags and the record of digests must match the registry, and the next push must complete it once
//! the registry works again.

use std::collections::BTreeMap;
use std::process::Output;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::world::World;
use super::{Case, run, sites};
use crate::support::Site;
use crate::support::registry::{Answer, Proxy, Registry};

/// How the registry fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Status(&'static str),
    /// A proxy's error page. Docker hides the status of some empty answers.
    Page(&'static str),
    Cut,
    /// The registry gets the request, but its answer is lost.
    Lost,
    Killed,
}

/// A fault and the expected result of the push.
struct Kind {
    fault: Fault,
    /// Exit code of a push that fails.
    code: i32,
    /// Part of the remedy.
    help: &'static str,
    /// Whether docker or xtask tries again, so that a single failed request does not fail the push.
    is_retried: bool,
}

const fn kind(fault: Fault, code: i32, help: &'static str, is_retried: bool) -> Kind {
    Kind { fault, code, help, is_retried }
}

const FAULTS: [Kind; 11] = [
    kind(Fault::Status("400 Bad Request"), 1, "fix what the registry reports", false),
    kind(Fault::Status("401 Unauthorized"), 3, "docker login", true),
    kind(Fault::Status("403 Forbidden"), 3, "lacks the permission", false),
    kind(Fault::Status("409 Conflict"), 1, "fix what the registry reports", false),
    kind(Fault::Page("413 Request Entity Too Large"), 3, "raise the request size limit", false),
    kind(Fault::Status("429 Too Many Requests"), 3, "limits requests", true),
    kind(Fault::Status("500 Internal Server Error"), 3, "check its log", true),
    kind(Fault::Status("503 Service Unavailable"), 3, "check its log", true),
    kind(Fault::Cut, 3, "make sure that", true),
    kind(Fault::Lost, 3, "make sure that", true),
    kind(Fault::Killed, 3, "make sure that", false),
];

/// The first request that a fault affects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A comparison with the registry.
    First,
    Upload,
    /// The first image's first tag.
    FirstTag,
    /// The same image's second tag.
    SecondTag,
}

impl Place {
    const ALL: [Place; 4] = [Place::First, Place::Upload, Place::FirstTag, Place::SecondTag];

    fn name(self) -> &'static str {
        match self {
            Place::First => "the first request",
            Place::Upload => "the first upload",
            Place::FirstTag => "the first tag",
            Place::SecondTag => "the second tag",
        }
    }

    /// Whether it is this request; `tags` is the number of tags written so far, including this request.
    fn is(self, line: &str, tags: usize) -> bool {
        match self {
            Place::First => true,
            Place::Upload => line.starts_with("PATCH "),
            Place::FirstTag => is_tag(line) && tags == 1,
            Place::SecondTag => is_tag(line) && tags == 2,
        }
    }
}

/// Whether a request writes a tag.
fn is_tag(line: &str) -> bool {
    line.starts_with("PUT ") && line.contains("/manifests/")
}

/// A pending fault.
struct Plan {
    fault: Fault,
    place: Place,
    tags: usize,
    is_reached: bool,
    /// Number of requests to affect.
    left: usize,
}

impl Plan {
    /// The fault, if it affects this request.
    fn hits(&mut self, line: &str) -> Option<Fault> {
        self.tags += usize::from(is_tag(line));
        self.is_reached |= self.place.is(line, self.tags);
        if self.is_reached && self.left > 0 {
            self.left -= 1;
            return Some(self.fault);
        }
        None
    }
}

#[test]
#[ignore = "takes many minutes: cargo xtask ci --campaign registry"]
fn campaign() {
    let trial = Trial::new();
    let mut cases = Vec::new();
    for kind in &FAULTS {
        for place in Place::ALL {
            for (word, lasts) in [("once", 1), ("from then on", usize::MAX)] {
                // A killed registry stays down until restarted. If every answer were lost, the result could not be checked.
                if !matches!(kind.fault, Fault::Killed | Fault::Lost) || lasts == 1 {
                    let trial = &trial;
                    let name = format!("{:?} at {} {word}", kind.fault, place.name());
                    cases.push(Case::new(name, move || trial.case(kind, place, lasts)));
                }
            }
        }
    }
    run("registry", cases);
}

struct Trial {
    registry: Arc<Registry>,
    proxy: Proxy,
    plan: Arc<Mutex<Option<Plan>>>,
    site: Site,
}

impl Trial {
    fn new() -> Trial {
        let registry = Arc::new(Registry::start("registry-part"));
        let plan = Arc::<Mutex<Option<Plan>>>::default();
        let current = Arc::clone(&plan);
        let proxy = Proxy::start(&registry, move |head: &str, registry: &Registry| {
            let line = head.lines().next().unwrap_or_default();
            let fault = current.lock().unwrap().as_mut().and_then(|plan| plan.hits(line));
            match fault {
                None => Answer::Forward,
                Some(Fault::Status(status)) => Answer::Status(status),
                Some(Fault::Page(status)) => Answer::Page(status),
                Some(Fault::Cut) => Answer::Cut,
                Some(Fault::Lost) => Answer::Lose,
                Some(Fault::Killed) => {
                    registry.kill();
                    Answer::Cut
                }
            }
        });
        let trial = Trial { registry, proxy, plan, site: sites::site("registry") };
        // Later pushes then replace tags and upload only new layers.
        trial.build();
        let output = trial.push();
        assert!(output.status.success(), "{}", trial.site.told(&output));
        trial
    }

    /// Builds new images each time, because a push skips images that the registry has.
    fn build(&self) {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        sites::generation(&self.site, &format!("{} of {}", number, std::process::id()));
        sites::all(&self.site, &[&["build-images"]]);
    }

    fn push(&self) -> Output {
        self.site.run(&["push", "--registry", &self.proxy.address.to_string(), "--format", "json"])
    }

    fn case(&self, kind: &Kind, place: Place, lasts: usize) -> Result<(), String> {
        self.build();
        let plan = Plan { fault: kind.fault, place, tags: 0, is_reached: false, left: lasts };
        *self.plan.lock().unwrap() = Some(plan);
        let output = self.push();
        let plan = self.plan.lock().unwrap().take();
        let is_reached = plan.is_some_and(|plan| plan.is_reached);
        if kind.fault == Fault::Killed && is_reached {
            self.registry.restart();
        }
        let told = self.site.told(&output);
        let held = self.holds(kind, place, lasts, &output);
        let next = (output.status.code() != Some(0)).then(|| self.push());
        let next_told =
            next.as_ref().map_or(String::new(), |next| format!("\nnext: {}", self.site.told(next)));
        let all = || format!("{told}{next_told}");
        if !is_reached {
            return Err(format!("the push ended before {}\n{}", place.name(), all()));
        }
        held.map_err(|what| format!("{what}\n{}", all()))?;
        if let Some(next) = next
            && !next.status.success()
        {
            return Err(format!("the next push failed\n{}", all()));
        }
        self.all_is_there().map_err(|what| format!("{what}\n{}", all()))
    }

    /// Checks a disturbed push.
    fn holds(&self, kind: &Kind, place: Place, lasts: usize, output: &Output) -> Result<(), String> {
        let codes: &[i32] = match lasts {
            // The comparison is optional.
            1 if kind.fault != Fault::Killed && (kind.is_retried || place == Place::First) => &[0],
            1 if kind.fault != Fault::Killed => &[0, kind.code],
            _ => &[kind.code],
        };
        let code = output.status.code();
        if !code.is_some_and(|code| codes.contains(&code)) {
            return Err(format!("exit code {code:?}, not one of {codes:?}"));
        }
        let report: Value = serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
        let rows = report["images"].as_array().ok_or("no rows")?;
        rows.iter()
            .try_for_each(|row| self.row_is_true(row, kind, &String::from_utf8_lossy(&output.stderr)))?;
        let failed = |row: &&Value| row["state"] == "failed";
        if lasts == 1 && kind.fault != Fault::Killed && rows.iter().filter(failed).count() > 1 {
            return Err("one rejected request failed several tags".into());
        }
        let is_not_tried = |row: &Value| row["state"] == "not-tried";
        let images: Vec<&Value> = rows.iter().filter(failed).map(|row| &row["service"]).collect();
        let skipped = rows.iter().find(|row| is_not_tried(row) && !images.contains(&&row["service"]));
        if let Some(row) = skipped.filter(|_| lasts == 1 && kind.fault != Fault::Killed) {
            return Err(format!(
                "{} was not tried, because one request of another image failed",
                row["reference"]
            ));
        }
        self.no_local_tag_lies()?;
        self.no_record_lies()
    }

    /// Fails if a row of the report differs from the registry, or a failure lacks its remedy.
    fn row_is_true(&self, row: &Value, kind: &Kind, stderr: &str) -> Result<(), String> {
        let reference = row["reference"].as_str().ok_or("no reference")?;
        let tag = reference.rsplit('/').next().unwrap_or_default();
        let is_there = self.image(tag).is_some_and(|id| row["image"] == id.as_str());
        let state = row["state"].as_str().unwrap_or_default();
        // The image is new. It must not be reported as unchanged just because an earlier attempt of this push sent it.
        let expected: &[&str] = if is_there { &["pushed", "replaced"] } else { &["failed", "not-tried"] };
        if !expected.contains(&state) {
            return Err(format!("{reference} is reported as {state}, not as one of {expected:?}"));
        }
        if !kind.is_retried && kind.fault != Fault::Killed && row["tries"].as_u64() > Some(1) {
            return Err(format!("{reference} was tried again, although the registry rejected it"));
        }
        if state != "failed" {
            return Ok(());
        }
        let remedy = row["failure"]["remedy"].as_str().unwrap_or_default();
        if !remedy.contains(kind.help) || !stderr.contains(&format!("\nhelp: {remedy}")) {
            return Err(format!("{reference} has no help with `{}`", kind.help));
        }
        Ok(())
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

    /// Fails if a local tag under the registry's name is missing or differs from the tag in the registry.
    fn no_local_tag_lies(&self) -> Result<(), String> {
        let remote = self.tags(true);
        for tag in self.tags(false).keys() {
            let (local, there) = (remote.get(tag), self.image(tag));
            if local != there.as_ref() {
                return Err(format!(
                    "{tag} is {local:?} under the registry's name, {there:?} in the registry"
                ));
            }
        }
        Ok(())
    }

    /// Fails if the record of digests differs from the registry.
    fn no_record_lies(&self) -> Result<(), String> {
        let text = self.site.folder.read("target/xtask/digests.json");
        let record: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        for (reference, pushed) in record["images"].as_object().ok_or("no record of digests")? {
            let tag = reference.rsplit('/').next().unwrap_or_default();
            let (name, digest) = (tag.split(':').next().unwrap_or_default(), pushed["digest"].as_str());
            let there = self.image(tag);
            if there.as_deref() != pushed["image"].as_str() {
                return Err(format!("{tag} is {there:?} in the registry, but the record has {pushed}"));
            }
            let of_digest = self.manifest(name, digest.unwrap_or_default());
            if of_digest != there {
                return Err(format!(
                    "{tag} is {there:?} in the registry, but the recorded digest is of {of_digest:?}"
                ));
            }
        }
        Ok(())
    }

    fn all_is_there(&self) -> Result<(), String> {
        for (tag, id) in self.tags(false) {
            if self.image(&tag).as_ref() != Some(&id) {
                return Err(format!("the registry has {:?} under {tag}, not {id}", self.image(&tag)));
            }
        }
        self.no_record_lies()?;
        super::same("local tags under the registry's name", &self.tags(true), &self.tags(false))
    }

    /// Image ID of a tag in the registry.
    fn image(&self, tag: &str) -> Option<String> {
        let (name, version) = tag.split_once(':').unwrap();
        let tags = self.registry.says(&format!("/v2/{name}/tags/list"));
        tags["tags"].as_array()?.iter().find(|tag| *tag == version)?;
        self.manifest(name, version)
    }

    /// Image ID in a manifest that the registry has under a tag or digest.
    fn manifest(&self, name: &str, version: &str) -> Option<String> {
        let manifest = self.registry.says(&format!("/v2/{name}/manifests/{version}"));
        manifest["config"]["digest"].as_str().map(str::to_owned)
    }
}
