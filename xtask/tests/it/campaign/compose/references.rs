//! Image references and their expected result after a switch.

/// The names of our images in the manifest.
pub const OURS: [&str; 2] = ["fx-alpha", "fx-beta"];

/// The options of one run of `compose-switch`.
#[derive(Debug, Clone, Default)]
pub struct Request {
    pub optimized: bool,
    pub edition: Option<&'static str>,
    pub tag: Option<&'static str>,
    pub registry: Option<&'static str>,
}

impl Request {
    /// The same variant or the other, without options.
    pub fn plain(optimized: bool) -> Request {
        Request { optimized, ..Request::default() }
    }

    pub fn args(&self) -> Vec<&'static str> {
        let mut args = vec!["compose-switch", if self.optimized { "optimized" } else { "original" }];
        let options = [("--edition", self.edition), ("--tag", self.tag), ("--registry", self.registry)];
        for (option, value) in options {
            args.extend(value.into_iter().flat_map(|value| [option, value]));
        }
        args
    }
}

const IN_VALUE: &str = "a variable's value contains an edition, a variant or a digest";

/// Kinds of references.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Ours,
    /// Someone else's image.
    Foreign,
    /// A variable holds the name of one of our images.
    Hidden,
    /// Contains `$$`, which is invalid in a reference.
    Malformed,
    /// The tag ends with a variable whose value ends with a variant.
    VariantInValue,
    /// The same with an edition.
    EditionInValue,
    /// The tag is a variable whose default ends with a variant.
    VariantInDefault,
    /// The same with an edition.
    EditionInDefault,
}

/// The result of a switch for one reference.
#[derive(Debug, Clone)]
pub enum Outcome {
    Same,
    New(Reference),
    /// Reported with its line and a reason that contains this.
    Left(&'static str),
}

#[derive(Debug, Clone)]
pub struct Reference {
    pub kind: Kind,
    /// Registry and path, with a slash.
    pub prefix: String,
    pub name: String,
    /// The tag without edition and variant.
    pub base: Option<String>,
    pub edition: Option<&'static str>,
    pub optimized: bool,
    pub digest: Option<String>,
}

impl Reference {
    pub fn text(&self) -> String {
        let digest = self.digest.as_ref().map(|digest| format!("@{digest}")).unwrap_or_default();
        format!("{}{}{}{digest}", self.prefix, self.name, self.tag())
    }

    fn tag(&self) -> String {
        let Some(base) = &self.base else { return String::new() };
        format!(":{base}{}", self.ending())
    }

    /// Edition and variant.
    fn ending(&self) -> String {
        let edition = self.edition.map(|edition| format!("-{edition}")).unwrap_or_default();
        format!("{edition}{}", if self.optimized { "-optimized" } else { "" })
    }

    pub fn outcome(&self, request: &Request) -> Outcome {
        let keeps_tag = request.tag.is_none();
        match self.kind {
            Kind::Foreign => return Outcome::Same,
            Kind::Hidden => return Outcome::Left("depending on a variable|named by a variable"),
            Kind::Malformed => return Outcome::Left("not an image reference"),
            Kind::VariantInDefault if keeps_tag => {
                return Outcome::Left("the variant is inside a variable's default");
            }
            // The edition would stay in front of a requested one, or disappear with the tag.
            Kind::EditionInDefault if keeps_tag == request.edition.is_some() => {
                return Outcome::Left("the edition is inside a variable's default");
            }
            Kind::VariantInValue if keeps_tag => return Outcome::Left(IN_VALUE),
            Kind::EditionInValue if keeps_tag == request.edition.is_some() => {
                return Outcome::Left(IN_VALUE);
            }
            _ => {}
        }
        let moved = request.optimized || request.edition.is_some() || self.digest.is_some();
        if self.base.is_none() && keeps_tag && moved {
            return Outcome::Left("no tag");
        }
        let new = self.switched(request);
        if new.text() == self.text() {
            Outcome::Same
        } else if self.digest.is_some() {
            Outcome::Left("pinned to one variant by its digest")
        } else {
            Outcome::New(new)
        }
    }

    fn switched(&self, request: &Request) -> Reference {
        let kind = if request.tag.is_some() { Kind::Ours } else { self.kind };
        let prefix = request.registry.map_or_else(|| self.prefix.clone(), |registry| format!("{registry}/"));
        let base = request.tag.map(str::to_owned).or_else(|| self.base.clone());
        let has_tag = base.is_some();
        // A requested tag replaces the default, which may contain an edition.
        let edition = request.edition.or(self.edition).filter(|_| has_tag);
        let optimized = request.optimized && has_tag;
        Reference { kind, prefix, base, edition, optimized, ..self.clone() }
    }

    /// The image that a service must run after the switch, given what it ran before, variables replaced.
    pub fn image_after(&self, before: &str, request: &Request) -> Option<String> {
        let new = match self.outcome(request) {
            Outcome::New(new) => new,
            Outcome::Same | Outcome::Left(_) => return Some(before.to_owned()),
        };
        let bare = before.strip_suffix(&self.ending())?;
        let (prefix, base) = match &self.base {
            None => (bare.strip_suffix(&self.name)?, None),
            Some(_) => {
                let (prefix, base) = bare.rsplit_once(&format!("{}:", self.name))?;
                (prefix, Some(base))
            }
        };
        let prefix = request.registry.map_or_else(|| prefix.to_owned(), |registry| format!("{registry}/"));
        let tag = request.tag.or(base).map(|base| format!(":{base}{}", new.ending())).unwrap_or_default();
        Some(format!("{prefix}{}{tag}", self.name))
    }
}

/// Registries of the manifest.
pub const REGISTRIES: &str =
    r#"["hub.example", "hub.example:5000/team", "localhost:5000", "docker.io/team"]"#;

/// Registries of other people with images that have our names.
pub const ELSEWHERE: [&str; 3] = ["other.example/", "hub.example/someone/", "someone/"];

/// Whether an image, variables replaced, is one of ours.
pub fn is_ours(image: &str) -> bool {
    if ELSEWHERE.iter().any(|registry| image.starts_with(registry)) {
        return false;
    }
    let plain = image.split('@').next().unwrap_or_default();
    let last = plain.rsplit('/').next().unwrap_or_default();
    OURS.contains(&last.split(':').next().unwrap_or_default())
}
