//! The plan of a build as data: one bake definition for all images, bases and stand-ins.

use std::collections::{BTreeMap, BTreeSet};

use crate::request::TaggedImage;
use engine::bake::{Definition, Group};
use model::image_ref::ImageRef;

/// Maximum number of targets in one bake, including bases. BuildKit fails the whole bake with "no such job" if any target does
/// not start within six seconds. On two loaded cores, 100 targets start in time, 200 do not.
const LARGEST_BAKE: usize = 64;

/// What will be built, and how.
#[derive(Debug, Clone)]
pub struct BuildPlan {
    /// The images, in the manifest's order.
    pub images: Vec<PlannedImage>,
    /// The bake definition.
    pub definition: Definition,
    /// Targets that are built without the cache.
    pub fresh: BTreeSet<String>,
    /// Each target's Dockerfile, relative to the repository; inline Dockerfiles have none.
    pub dockerfiles: BTreeMap<String, String>,
}

/// One image to build.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedImage {
    /// Its target in the definition.
    pub target: String,
    /// Its Dockerfile, relative to the repository; `None` if it is inline.
    pub dockerfile: Option<String>,
    /// The tag it is built under, removed once its own tags are set.
    pub run_tag: ImageRef,
    /// The image and the tags that are set when everything is built.
    pub tagged: TaggedImage,
}

impl BuildPlan {
    /// The requested targets, without the targets they depend on.
    pub fn requested(&self) -> &[String] {
        self.definition.group.get("default").map_or(&[], |group| &group.targets)
    }

    fn request(&mut self, targets: Vec<String>) {
        self.definition.group.insert("default".to_owned(), Group { targets });
    }

    /// Requests only these images.
    pub(crate) fn keep(&mut self, images: Vec<PlannedImage>) {
        self.request(images.iter().map(|image| image.target.clone()).collect());
        self.images = images;
    }

    /// These targets and their dependencies.
    pub fn with_dependencies(&self, targets: &[String]) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut queue: Vec<&str> = targets.iter().map(String::as_str).collect();
        while let Some(name) = queue.pop() {
            if found.insert(name.to_owned()) {
                let contexts =
                    self.definition.target.get(name).into_iter().flat_map(|found| found.contexts.values());
                queue.extend(contexts.filter_map(|context| context.strip_prefix("target:")));
            }
        }
        found
    }

    /// Whether `target` is `other` or depends on it.
    pub fn depends_on(&self, target: &str, other: &str) -> bool {
        self.with_dependencies(&[target.to_owned()]).contains(other)
    }

    /// Splits the requested targets into bakes of at most `jobs` requested targets, each small enough for BuildKit. A target
    /// with too many dependencies is baked alone.
    pub fn bakes(&self, jobs: Option<usize>) -> Vec<Vec<String>> {
        let mut bakes: Vec<Vec<String>> = Vec::new();
        let mut solved = BTreeSet::new();
        for target in self.requested() {
            let more = self.with_dependencies(std::slice::from_ref(target));
            let size = solved.union(&more).count();
            match bakes.last_mut() {
                Some(bake) if bake.len() < jobs.unwrap_or(usize::MAX) && size <= LARGEST_BAKE => {
                    bake.push(target.clone());
                    solved.extend(more);
                }
                _ => {
                    bakes.push(vec![target.clone()]);
                    solved = more;
                }
            }
        }
        bakes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::bake::Target;

    /// A plan of targets and their dependencies, requesting the first `requested` of them.
    fn plan(requested: usize, targets: &[(String, Vec<String>)]) -> BuildPlan {
        let group = Group { targets: targets.iter().take(requested).map(|(name, _)| name.clone()).collect() };
        let context = |name: &String| (name.clone(), format!("target:{name}"));
        let target =
            |of: &[String]| Target { contexts: of.iter().map(context).collect(), ..Target::default() };
        BuildPlan {
            images: Vec::new(),
            definition: Definition {
                group: BTreeMap::from([("default".to_owned(), group)]),
                target: targets.iter().map(|(name, of)| (name.clone(), target(of))).collect(),
                variable: BTreeMap::new(),
            },
            fresh: BTreeSet::new(),
            dockerfiles: BTreeMap::new(),
        }
    }

    #[test]
    fn a_cycle_ends() {
        let name = |name: &str| name.to_owned();
        let plan =
            plan(1, &[(name("a"), vec![name("b")]), (name("b"), vec![name("a")]), (name("c"), vec![])]);
        assert!(plan.depends_on("a", "b") && plan.depends_on("a", "a") && !plan.depends_on("a", "c"));
    }

    #[test]
    fn no_bake_is_too_large() {
        let bases: Vec<String> = (0..10).map(|i| format!("base-{i}")).collect();
        let mut targets: Vec<_> = (0..300).map(|i| (format!("s{i:03}"), bases.clone())).collect();
        targets.extend(bases.iter().map(|base| (base.clone(), Vec::new())));
        let plan = plan(300, &targets);
        let bakes = plan.bakes(None);
        assert_eq!(bakes.concat(), plan.requested(), "each target once, in order");
        assert!(bakes.iter().all(|bake| plan.with_dependencies(bake).len() <= LARGEST_BAKE));
        // Shared bases count once.
        assert_eq!(bakes[0].len(), LARGEST_BAKE - bases.len());
        assert!(plan.bakes(Some(7)).iter().all(|bake| bake.len() <= 7));
        assert_eq!(plan.bakes(Some(7)).len(), 43);
    }

    #[test]
    fn a_target_with_more_bases_than_fit_is_baked_alone() {
        let bases: Vec<String> = (0..LARGEST_BAKE).map(|i| format!("base-{i}")).collect();
        let targets = [("a".to_owned(), vec![]), ("b".to_owned(), bases), ("c".to_owned(), vec![])];
        assert_eq!(plan(3, &targets).bakes(None), [["a"], ["b"], ["c"]]);
    }
}
