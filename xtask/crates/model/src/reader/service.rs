//! Services: `[service.NAME]`.

use std::collections::{BTreeMap, BTreeSet};

use crate::dockerfile;
use crate::edition::Edition;
use crate::image_ref::{self, MAX_GIVEN_TAG, MAX_TAG};
use crate::manifest::{Build, RunNeeds, Secret, Service, Sizes, TAG};
use crate::placeholders::RUN;
use crate::reader::fields::Fields;
use crate::reader::load::{Reader, Seen, refuse_odd_name};
use crate::reader::{editions, probes};
use crate::variant::OPTIMIZED_SUFFIX;
use host::files;

/// What a service is read with.
pub(super) struct ServiceContext<'a> {
    /// The declared base images.
    pub known: &'a [&'a str],
    /// The declared editions.
    pub editions: &'a [Edition],
}

impl<'a> Reader<'a> {
    pub(super) fn service(
        &self,
        name: &str,
        mut fields: Fields<'a, '_>,
        with: &ServiceContext<'_>,
        seen: &mut Seen,
    ) -> Option<Service> {
        refuse_odd_name(name, &fields);
        let is_needed = |fields: &Fields<'_, '_>, key: &str| self.is_first || fields.has(key);
        let pulled = pulled(&mut fields);
        let image = match (is_needed(&fields, "image"), &pulled) {
            (true, _) => fields.text("image").map(str::to_owned),
            (false, Some(pulled)) => Some(image_ref::repository_of(pulled).to_owned()),
            (false, None) => Some(name.to_owned()),
        };
        if let Some(image) = image.as_deref().filter(|image| !image_ref::is_repository(image)) {
            let text = format!(
                "invalid image name `{image}`: use lower-case letters and digits, separated by `.`, `_`, `__`, `-` or `/`"
            );
            fields.fault("image", text);
        }
        let tag = tag(&mut fields, with.editions);
        let claimed = image.as_deref().map(|image| match (&tag, &pulled) {
            (_, Some(pulled)) => format!("{image} ({pulled}, pulled by {name})"),
            (Some(tag), None) => format!("{image}:{tag}"),
            (None, None) => image.to_owned(),
        });
        seen.claim("image", claimed.as_deref(), name, &fields, "image");
        let compose = match is_needed(&fields, "compose") {
            true => fields.text("compose").map(str::to_owned),
            false => None,
        };
        seen.claim("compose name", compose.as_deref(), name, &fields, "compose");
        let port = match is_needed(&fields, "port") {
            true => fields.number("port", 1..=65535).and_then(|port| u16::try_from(port).ok()),
            false => None,
        };
        if self.is_first {
            seen.claim("port", port.map(|port| port.to_string()).as_deref(), name, &fields, "port");
        }
        let health = fields.optional_text("health").map(str::to_owned);
        let editions_in = only(&mut fields, with.editions);
        let builds = self.builds(&mut fields, pulled.is_some(), with);
        let large_original = fields.flag("large-original");
        let test_stage = fields.optional_text("test-stage").map(str::to_owned);
        if let (Some(stage), Some((original, optimized))) = (&test_stage, &builds)
            && let Some(path) = optimized.as_ref().or(original.as_ref()).and_then(Build::file)
            && !self.has_stage(path, stage)
        {
            fields.fault(
                "test-stage",
                format!("{path} has no stage `{stage}`: add `FROM … AS {stage}` or correct the name"),
            );
        }
        let sizes = sizes(&mut fields, with.editions);
        let editions = editions::read(&mut fields, with.editions);
        let run = run_needs(&mut fields);
        let secrets = secrets(&mut fields);
        let mut available = BTreeSet::from([RUN.to_owned()]);
        available.extend(secrets.iter().map(|secret| secret.plain.clone()));
        let probes = probes::of_service(&mut fields, name, &mut available);
        if let Some(probe) = probes.first().filter(|_| port.is_none()) {
            fields.fault_here(format!("probe `{}` needs the service's `port`: add it", probe.name));
        }
        fields.finish();
        let (original, optimized) = builds?;
        Some(Service {
            name: name.to_owned(),
            image: image?,
            tag,
            compose,
            port,
            health,
            editions_in,
            pulled,
            original,
            optimized,
            test_stage,
            large_original,
            sizes,
            editions,
            run,
            secrets,
            probes,
        })
    }

    /// The original and the optimized build.
    fn builds(
        &self,
        fields: &mut Fields<'a, '_>,
        is_pulled: bool,
        with: &ServiceContext<'_>,
    ) -> Option<(Option<Build>, Option<Build>)> {
        if self.is_first {
            let original = self.dockerfile(fields, "original", with.known);
            let optimized = self.dockerfile(fields, "optimized", with.known);
            return Some((original.map(Build::of_dockerfile), optimized.map(Build::of_dockerfile)));
        }
        if is_pulled {
            let keys = ["context", "dockerfile", "target", "args", "platforms", "contexts", "optimized"];
            for key in keys.into_iter().filter(|key| fields.has(key)) {
                fields.fault(key, "a pulled image is not built: remove this or `pulled`");
            }
            return Some((None, None));
        }
        if !["context", "dockerfile"].iter().any(|key| fields.has(key)) {
            // Compose or bake files define the build.
            let optimized = match fields.has("optimized") {
                true => Some(Build::of_dockerfile(self.file(fields, "optimized")?)),
                false => None,
            };
            return Some((None, optimized));
        }
        let context = fields.optional_text("context").map(|path| path.trim_end_matches('/').to_owned());
        let dockerfile = match fields.has("dockerfile") {
            true => self.file(fields, "dockerfile")?,
            false => match context.as_deref() {
                None | Some("." | "") => "Dockerfile".to_owned(),
                Some(context) => format!("{context}/Dockerfile"),
            },
        };
        if !self.repository.file(&dockerfile).is_some_and(|file| file.is_file()) {
            fields
                .fault("context", format!("no file `{dockerfile}`: create it, or name another `dockerfile`"));
        }
        let texts = |table: Option<Fields<'_, '_>>| {
            table.map(Fields::named_texts).unwrap_or_default().into_iter().collect::<BTreeMap<_, _>>()
        };
        let build = Build {
            context: context.filter(|context| !context.is_empty()).unwrap_or_else(|| ".".to_owned()),
            dockerfile,
            target: fields.optional_text("target").map(str::to_owned),
            args: texts(fields.table("args")),
            platforms: fields.texts("platforms"),
            contexts: texts(fields.table("contexts")),
            inline: None,
        };
        let optimized = match fields.has("optimized") {
            true => Some(self.file(fields, "optimized")?),
            false => None,
        };
        // The stage is one of the original's Dockerfile.
        let optimized = optimized.map(|dockerfile| Build { dockerfile, target: None, ..build.clone() });
        Some((Some(build), optimized))
    }

    fn has_stage(&self, path: &str, stage: &str) -> bool {
        let text = self.repository.file(path).and_then(|file| files::read(&file).ok()).unwrap_or_default();
        dockerfile::stages(&text).contains(&stage.to_lowercase())
    }
}

fn pulled(fields: &mut Fields<'_, '_>) -> Option<String> {
    let pulled = fields.optional_text("pulled").map(str::to_owned);
    if let Some(text) = pulled.as_deref().filter(|text| !image_ref::is_reference(text)) {
        fields
            .fault("pulled", format!("invalid reference `{text}`: use NAME[:TAG][@DIGEST], such as redis:7"));
    }
    pulled
}

/// The template of tags; with edition and variant, every tag must fit.
fn tag(fields: &mut Fields<'_, '_>, editions: &[Edition]) -> Option<String> {
    let tag = fields.optional_text("tag").map(str::to_owned);
    let longest = editions.iter().map(|edition| edition.suffix().len()).max().unwrap_or_default();
    let room = MAX_TAG - MAX_GIVEN_TAG - OPTIMIZED_SUFFIX.len() - longest;
    if let Some(tag) = &tag {
        let is_valid = tag.matches(TAG).count() == 1 && image_ref::is_tag(&tag.replace(TAG, "x"));
        if !is_valid {
            fields.fault("tag", format!("invalid template `{tag}`: use {TAG} once, such as \"{TAG}-ad\""));
        } else if tag.len() - TAG.len() > room {
            fields.fault("tag", format!("`{tag}` adds more than {room} characters: use a shorter template"));
        }
    }
    tag
}

/// The editions that a service exists in.
fn only(fields: &mut Fields<'_, '_>, editions: &[Edition]) -> Vec<Edition> {
    if !fields.has("only") {
        return editions.to_vec();
    }
    let names = fields.texts("only");
    if names.is_empty() {
        fields.fault("only", "names no edition: name one, or remove the key");
    }
    let mut found = Vec::new();
    for name in &names {
        match editions::find(name, editions) {
            Ok(edition) => found.push(edition),
            Err(unknown) => fields.fault("only", unknown),
        }
    }
    editions.iter().copied().filter(|edition| found.contains(edition)).collect()
}

fn sizes(fields: &mut Fields<'_, '_>, editions: &[Edition]) -> BTreeMap<Edition, Sizes> {
    let mut sizes = BTreeMap::new();
    let Some(table) = fields.table("sizes") else {
        return sizes;
    };
    if editions == [Edition::NONE] {
        sizes.insert(Edition::NONE, size_limits(table));
        return sizes;
    }
    for (key, row) in table.named_tables() {
        let entry = size_limits(row);
        match editions::find(&key, editions) {
            Ok(edition) => drop(sizes.insert(edition, entry)),
            Err(unknown) => fields.fault("sizes", unknown),
        }
    }
    sizes
}

fn size_limits(mut row: Fields<'_, '_>) -> Sizes {
    let entry =
        Sizes { guide_original: row.size("original"), target: row.size("target"), goal: row.size("goal") };
    if let (Some(goal), Some(target)) = (entry.goal, entry.target)
        && goal > target
    {
        row.fault("goal", format!("{goal} is above the target of {target}: a goal is the smaller size"));
    }
    row.finish();
    entry
}

/// `secret = { variable, plain, command }`.
fn secrets(fields: &mut Fields<'_, '_>) -> Vec<Secret> {
    let Some(mut table) = fields.table("secret") else {
        return Vec::new();
    };
    let variable = table.text("variable").map(str::to_owned);
    let plain = table.text("plain").map(str::to_owned);
    let command = table.texts("command");
    if command.is_empty() {
        table.fault("command", "must name the command in the service's image that generates the secret");
    }
    table.finish();
    variable.zip(plain).map(|(variable, plain)| Secret { variable, plain, command }).into_iter().collect()
}

fn run_needs(fields: &mut Fields<'_, '_>) -> RunNeeds {
    let Some(mut table) = fields.table("run") else {
        return RunNeeds::default();
    };
    let env = table.table("env").map(Fields::named_texts).unwrap_or_default();
    let needs = RunNeeds {
        env: env.into_iter().collect(),
        tmpfs: table.texts("tmpfs"),
        volumes: table.texts("volumes"),
    };
    let unique: BTreeSet<&String> = needs.tmpfs.iter().chain(&needs.volumes).collect();
    if unique.len() < needs.tmpfs.len() + needs.volumes.len() {
        table.fault("tmpfs", "a folder is listed twice");
    }
    for path in unique {
        if !path.starts_with('/') {
            table.fault("tmpfs", format!("invalid folder `{path}`: start it with `/`"));
        }
    }
    table.finish();
    needs
}
