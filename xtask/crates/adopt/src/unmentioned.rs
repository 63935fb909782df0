//! Dockerfiles that no other file mentions.

use std::collections::{BTreeMap, BTreeSet};

use crate::candidates::{context_of, missing};
use crate::development::development;
use crate::names::service_names;
use crate::plan::Plan;
use crate::{Origin, dockerfile};
use engine::builds::plain_name;
use host::files;
use model::manifest::Build;

impl Plan<'_> {
    /// Adopts these Dockerfiles, except development Dockerfiles. Needs the names of all services.
    pub(crate) fn read_dockerfiles(&mut self) {
        let mut shared = BTreeSet::new();
        let mut seen = BTreeSet::new();
        for dockerfile in &self.files.dockerfiles {
            let name = plain_name(&service_names(dockerfile, self.root).0[0]);
            if !seen.insert(name.clone()) {
                shared.insert(name);
            }
        }
        for dockerfile in &self.files.dockerfiles {
            let is_built = self.adoption.services.iter().any(|one| one.build.dockerfile == *dockerfile);
            if is_built || self.is_left_out(dockerfile) {
                continue;
            }
            if let Some(reason) = development(dockerfile) {
                self.guess(dockerfile, "left out", reason);
                continue;
            }
            let text = match files::read(&self.root.join(dockerfile)) {
                Ok(text) => text,
                Err(error) => {
                    self.problem(dockerfile, format!("{error:#}"), "save it as UTF-8, or remove it");
                    continue;
                }
            };
            if !dockerfile::is_dockerfile(&text) {
                self.guess(dockerfile, "left out", "its first instruction is neither FROM nor ARG");
                continue;
            }
            let (names, why) = service_names(dockerfile, self.root);
            let is_free = |name: &&String| {
                let name = plain_name(name);
                !shared.contains(&name) && !self.taken.contains(&name)
            };
            let name = names.iter().find(is_free).unwrap_or(&names[0]).clone();
            let (context, reason) = self.context(dockerfile, &text);
            let build = Build { context, dockerfile: dockerfile.clone(), ..Build::default() };
            let name = self.add(&name, Origin::Dockerfile, build, None);
            self.guess(&name, "name and context chosen", format!("{why}, and {reason}"));
        }
    }

    /// The context from a Compose file that Docker has not read, unless the folders suggest a different context.
    fn context(&self, dockerfile: &str, text: &str) -> (String, String) {
        let guess = context_of(self.root, dockerfile, text, |paths| self.git.ignored(paths));
        let facts = dockerfile::read(text, None, &BTreeMap::new());
        let lacking = |context: &str| missing(self.root, context, dockerfile, &facts).len();
        let builds = self.plain.iter().flat_map(|(file, all)| all.iter().map(move |one| (file, &one.build)));
        let mut named = builds.filter(|(_, build)| build.inline.is_none() && build.dockerfile == dockerfile);
        let fits = named.find(|(_, build)| lacking(&build.context) <= lacking(&guess.context));
        match fits {
            Some((file, build)) if build.context != guess.context => {
                (build.context.clone(), format!("{file} builds it there"))
            }
            _ => (guess.context, guess.reason),
        }
    }
}
