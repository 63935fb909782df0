//! Random image references, each with a marker `k<ID>` that survives into Compose's model.

use super::project::Generator;
use super::references::{Kind, OURS, Reference};

/// Registries and paths under which an image is ours.
const OWN_PREFIXES: [&str; 9] = [
    "hub.example/",
    "hub.example:5000/team/",
    "localhost:5000/",
    "${HUB:-hub.example}/",
    "${HUB:-hub.example:5000}/a/b/",
    "${HUB-h}/t/",
    "$HUB/",
    "team/",
    "registry-1.example/${TEAM:-t}/",
];

/// References to other people's images.
const FOREIGN: [&str; 19] = [
    "other.example/fx-alpha:#-optimized",
    "hub.example/someone/fx-alpha:${V:-1}-#",
    "someone/fx-beta:#",
    "postgres:17-#",
    "fx-alpha-x:#",
    "my-fx-alpha:#",
    "fx-alpha/other:#",
    "hub.example/fx-alpha/db:#",
    "fx_alpha:#",
    "fx-alphabet:#",
    "hub.example:5000/fx-beta-docs:#",
    "${HUB:-h}/fx-alpha-docs:${V:-1}-#",
    "${I#:-postgres:#}",
    "fx-alpha.example/db:#-optimized",
    "redis:#@sha256:fa00000000000000000000000000000000000000000000000000000000000000",
    "localhost:5000/x:#-optimized",
    "fx:#",
    "x/fx-alpha.fx-beta:#",
    "${HUB:-fx-alpha:5000}/x:#",
];

/// Tags that hold variables.
const VARIABLE_TAGS: [&str; 15] = [
    "$V-#",
    "${V}-#",
    "${V:-latest}-#",
    "${W-2.0}.#",
    "${V:+x}#",
    "${V+x}#",
    "${V:?set V}-#",
    "${W?needs $$5}-#",
    "${W:-${V:-2.0}}-#",
    "#.${V:-}",
    "#_$V",
    "#_${SUTRA_VERSION:-2}",
    "${SUTRA_VERSION:?which}-#",
    "${K#:-#}",
    "${K#-#}",
];

/// Tags without a marker: only one image of a project may have one.
const UNMARKED_TAGS: [&str; 5] =
    ["${SUTRA_VERSION:-latest}", "$V", "${V:-latest}", "${V:-${W:-2.0}}", "${V}"];

impl Generator<'_> {
    pub fn reference(&mut self, id: usize) -> Reference {
        let marked = |text: &str| text.replace('#', &format!("k{id}"));
        let name = self.pick(&OURS);
        let kind = self.rng.u32(..100);
        if kind < 16 {
            return other(Kind::Foreign, marked(self.pick(&FOREIGN)));
        }
        if kind < 20 {
            return self.hidden(id, name);
        }
        let prefix = if self.rng.u32(..100) < 45 { "" } else { self.pick(&OWN_PREFIXES) };
        let mut reference = Reference {
            kind: Kind::Ours,
            prefix: prefix.to_owned(),
            name: name.to_owned(),
            base: Some(format!("k{id}")),
            edition: None,
            optimized: self.rng.u32(..100) < 20,
            digest: None,
        };
        let mut set = |kind, base: &str| {
            reference.kind = kind;
            reference.base = Some(marked(base));
            reference.optimized = false;
        };
        match kind {
            20..25 if !self.has_unmarked => {
                self.has_unmarked = true;
                let base = self.pick(&UNMARKED_TAGS).to_owned();
                (reference.base, reference.optimized) = (self.rng.bool().then_some(base), false);
                if reference.base.is_none() && self.rng.u32(..4) == 0 {
                    reference.digest = Some(digest());
                }
                return reference;
            }
            25..27 => set(Kind::VariantInDefault, "${K#:-#-optimized}"),
            27..30 => set(Kind::EditionInDefault, "${K#:-#-community}"),
            30..31 => set(Kind::Malformed, "$$#"),
            31..36 if self.environment.ending.is_some() => {
                set(self.environment.ending.unwrap_or(Kind::Ours), "#-$P");
            }
            36..70 => {
                let base = self.pick(&VARIABLE_TAGS);
                for name in ["V:?", "W?", "SUTRA_VERSION:?"] {
                    if base.contains(name) {
                        self.environment.required.insert(name.trim_end_matches(['?', ':']).to_owned());
                    }
                }
                reference.base = Some(marked(base));
                reference.edition = self.maybe_edition();
            }
            _ => {
                let base = self.pick(&["#", "1.2-#", "#-rc.1", "nightly_#", "community-#", "optimized.#"]);
                reference.base = Some(marked(base));
                reference.edition = self.maybe_edition();
                reference.digest = (self.rng.u32(..12) == 0).then(digest);
            }
        }
        reference
    }

    fn maybe_edition(&mut self) -> Option<&'static str> {
        let editions = ["simple", "community", "enterprise"];
        (self.rng.u32(..5) == 0).then(|| editions[self.rng.usize(..3)])
    }

    /// A reference with its name in a variable.
    fn hidden(&mut self, id: usize, name: &str) -> Reference {
        let text = match self.rng.u32(..5) {
            0 => format!("${{Ik{id}:-{name}:k{id}}}"),
            1 => format!("fx-${{Nk{id}:-alpha}}:k{id}"),
            2 => {
                let value = format!("hub.example/{name}:k{id}");
                self.environment.add(self.rng, &format!("Ik{id}"), value);
                format!("${{Ik{id}}}")
            }
            3 => {
                self.environment.add(self.rng, &format!("Ik{id}"), name.to_owned());
                format!("team/$Ik{id}:k{id}-optimized")
            }
            _ => {
                self.environment.required.insert(format!("Rk{id}"));
                format!("${{Rk{id}:?name it}}{name}:k{id}")
            }
        };
        other(Kind::Hidden, text)
    }
}

fn other(kind: Kind, text: String) -> Reference {
    let (prefix, base) = (String::new(), None);
    Reference { kind, prefix, name: text, base, edition: None, optimized: false, digest: None }
}

fn digest() -> String {
    format!("sha256:{}", "0".repeat(64))
}
