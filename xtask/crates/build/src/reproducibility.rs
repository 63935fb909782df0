//! Builds images a second time without the cache, under temporary tags, and compares them with the first images.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Error, Result};

use crate::bake::{BuildOptions, bake};
use crate::bases::BasesMode;
use crate::environment::BuildEnvironment;
use crate::package_date::PackageDateChoice;
use crate::plan::{BuildPlan, PlannedImage};
use crate::planner::Planner;
use crate::publish::moves::MissingImage;
use crate::request::{BuildRequest, TaggedImage};
use crate::upstreams;
use contents::analysis::analyze;
use contents::image::ImageToAnalyze;
use contents::layer_difference::{Aspect, FileDifference, LayerDifference, first_difference};
use contents::record::Layer;
use engine::bake::BakeOptions;
use engine::context::Context;
use engine::images::Image;
use host::failure::{Failure, FailureClass};
use host::files::Lock;
use host::plural::count;
use model::manifest::Manifest;

/// The result of building images twice.
#[derive(Debug)]
pub struct Reproducibility {
    /// The images, in the order of the request.
    pub images: Vec<RebuiltImage>,
}

/// An image that was built twice.
#[derive(Debug)]
pub struct RebuiltImage {
    /// A tag of the first image.
    pub reference: String,
    /// How the second image differs; `None` if it is the same image.
    pub difference: Option<ImageDifference>,
}

/// How two images differ.
#[derive(Debug)]
pub enum ImageDifference {
    /// In a layer.
    Layer {
        /// The layer, and the file in it.
        difference: LayerDifference,
        /// The number of layers of the first image.
        of: usize,
        /// The layer in the first image: instruction and Dockerfile line.
        made_by: Option<Box<Layer>>,
    },
    /// Only in these settings of the configuration.
    Settings(Vec<String>),
}

/// Builds images again without the cache, and compares each with the image that its tag refers to. Tags do not change, and the new
/// images are removed.
///
/// # Errors
/// When a build fails, an image is missing, or docker cannot save an image.
pub fn build_again(
    manifest: &Manifest,
    request: &BuildRequest<'_>,
    built: &[TaggedImage],
    mode: BasesMode,
    options: &BuildOptions,
    context: &Context,
) -> Result<Reproducibility> {
    let _lock = Lock::take(&context.repository.lock())?;
    let upstreams = upstreams::of_request(manifest, request, &context.repository);
    // The first build recorded the time of `--refresh`.
    let packages = match &options.packages {
        PackageDateChoice::Refresh => PackageDateChoice::default(),
        choice => choice.clone(),
    };
    let environment = BuildEnvironment::prepare(manifest, &upstreams, mode, &packages, context)?;
    let mut plan = Planner::new(manifest, &environment, &context.repository).images(request);
    let images = std::mem::take(&mut plan.images);
    let is_built = |image: &PlannedImage| built.iter().any(|other| other.image == image.tagged.image);
    plan.keep(images.into_iter().filter(is_built).collect());
    let tags: Vec<String> =
        plan.images.iter().filter_map(|image| image.tagged.tags.first()).map(ToString::to_string).collect();
    let first = context.docker.inspect(&tags)?;
    take_over_labels(&mut plan, &first, &manifest.project);
    context.terminal.say(format!("Building {} again without the cache.", count(plan.images.len(), "image")));
    let again = BuildOptions {
        bake: BakeOptions::default(),
        no_cache: true,
        jobs: options.jobs,
        ..BuildOptions::default()
    };
    let result = bake(&plan, &again, context)
        .and_then(|outcome| outcome.check(false))
        .and_then(|_| compare(&plan, &first, manifest, context));
    let temporary: Vec<String> = plan.images.iter().map(|image| image.run_tag.to_string()).collect();
    let removed = context.docker.remove_unused(&temporary);
    // The first error is the useful one.
    result.and_then(|images| removed.map(|_| Reproducibility { images }))
}

/// Copies the labels that this program sets from the first images: an image that was up to date names an earlier commit.
fn take_over_labels(plan: &mut BuildPlan, first: &BTreeMap<String, Image>, project: &str) {
    let prefix = format!("{project}.images.");
    for image in &plan.images {
        let known = image.tagged.tags.first().and_then(|tag| first.get(&tag.to_string()));
        let labels = known.and_then(|image| image.config.as_ref()?.labels.as_ref());
        let target = plan.definition.target.get_mut(&image.target);
        for (labels, target) in labels.into_iter().zip(target) {
            let own = labels
                .iter()
                .filter(|(name, _)| target.labels.contains_key(*name) || name.starts_with(&prefix));
            let own: Vec<_> = own.map(|(name, value)| (name.clone(), value.clone())).collect();
            target.labels.extend(own);
        }
    }
}

fn compare(
    plan: &BuildPlan,
    first: &BTreeMap<String, Image>,
    manifest: &Manifest,
    context: &Context,
) -> Result<Vec<RebuiltImage>> {
    let run_tags: Vec<String> = plan.images.iter().map(|image| image.run_tag.to_string()).collect();
    let second = context.docker.inspect(&run_tags)?;
    let one = |image: &PlannedImage| {
        let missing = || Error::from(MissingImage(image.target.clone()));
        let reference = image.tagged.tags.first().map(ToString::to_string).unwrap_or_default();
        let one = first.get(&reference).ok_or_else(missing)?;
        let other = second.get(&image.run_tag.to_string()).ok_or_else(missing)?;
        let difference = match one.id == other.id {
            true => None,
            false => Some(difference(&reference, [one, other], manifest, context)?),
        };
        Ok(RebuiltImage { reference, difference })
    };
    plan.images.iter().map(one).collect()
}

fn difference(
    reference: &str,
    images: [&Image; 2],
    manifest: &Manifest,
    context: &Context,
) -> Result<ImageDifference> {
    let Some(difference) = first_difference(images, context)? else {
        let settings = context.docker.differing_settings(images.map(|image| image.id.as_str()))?;
        return Ok(ImageDifference::Settings(settings));
    };
    let image = ImageToAnalyze { reference: reference.to_owned(), image: images[0].clone() };
    let contents = analyze(std::slice::from_ref(&image), manifest, context)?.pop();
    let made_by =
        contents.and_then(|contents| contents.layers.into_iter().nth(difference.layer)).map(Box::new);
    Ok(ImageDifference::Layer { difference, of: images[0].layers().len(), made_by })
}

impl Reproducibility {
    /// Fails if an image differs.
    ///
    /// # Errors
    /// The images that differ.
    pub fn check(&self) -> Result<()> {
        let differing = self.images.iter().filter(|image| image.difference.is_some());
        let names: Vec<&str> = differing.map(|image| image.reference.as_str()).collect();
        if names.is_empty() {
            return Ok(());
        }
        let what = format!(
            "not reproducible: {} of {}: {}",
            names.len(),
            count(self.images.len(), "image"),
            names.join(", ")
        );
        let help = "fix the steps named above, then run again";
        Err(Failure::new(FailureClass::Failed, what, help).into())
    }
}

impl fmt::Display for Reproducibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.images.iter().try_for_each(|image| writeln!(f, "{image}"))
    }
}

impl fmt::Display for RebuiltImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(difference) = &self.difference else {
            return write!(f, "{}: reproducible", self.reference);
        };
        write!(f, "{}: not reproducible\n{difference}", self.reference)
    }
}

impl fmt::Display for ImageDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ImageDifference::Layer { difference, of, made_by } => {
                write!(f, "  layer:  {} of {of}", difference.layer + 1)?;
                if let Some(layer) = made_by {
                    write!(f, ", {}", layer.place())?;
                    if let (Some(_), Some(instruction)) = (&layer.origin, &layer.instruction) {
                        write!(f, ": {instruction}")?;
                    }
                }
                match &difference.file {
                    Some(file) => write!(f, "\n{}", Described(file))?,
                    None => {
                        f.write_str("\n  file:   none; the layers' tar entries differ in order or headers")?
                    }
                }
                match difference.layers - 1 {
                    0 => Ok(()),
                    later => {
                        write!(f, "\n  later:  {}, possibly because of this one", count(later, "more layer"))
                    }
                }
            }
            ImageDifference::Settings(settings) if settings.as_slice() == ["Created"] => f.write_str(
                "  layers: equal\n  config: build time\n  help:   set source-date-epoch in the manifest",
            ),
            ImageDifference::Settings(settings) if settings.is_empty() => {
                f.write_str("  layers: equal\n  config: history")
            }
            ImageDifference::Settings(settings) => {
                write!(f, "  layers: equal\n  config: {}", settings.join(", "))
            }
        }
    }
}

/// Displays a file that differs.
struct Described<'a>(&'a FileDifference);

impl fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FileDifference { path, aspects, others } = self.0;
        let aspects: Vec<String> = aspects.iter().map(ToString::to_string).collect();
        write!(f, "  file:   /{path}: {}", aspects.join(", "))?;
        if *others > 0 {
            write!(f, "\n  others: {} of this layer", count(*others, "file"))?;
        }
        if let [Aspect::Time(_)] = self.0.aspects.as_slice() {
            let touch = "touch -hd \"@$SOURCE_DATE_EPOCH\"";
            write!(
                f,
                "\n  help:   set its time with `{touch}`, in this step or in the stage that it is copied from"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contents::record::Origin;
    use model::bytes::Bytes;

    fn image(reference: &str, difference: Option<ImageDifference>) -> RebuiltImage {
        RebuiltImage { reference: reference.to_owned(), difference }
    }

    fn in_layer(file: Option<FileDifference>, layers: usize) -> Option<ImageDifference> {
        let origin =
            Origin { file: "a/Dockerfile".into(), line: 3, image: "a".into(), base: false, from: None };
        let made_by = Layer {
            diff_id: "sha256:1".into(),
            bytes: Bytes(9),
            wasted: Bytes(0),
            files: 1,
            instruction: Some("RUN date > /made".into()),
            origin: Some(origin),
        };
        let difference = LayerDifference { layer: 1, layers, file };
        Some(ImageDifference::Layer { difference, of: 3, made_by: Some(Box::new(made_by)) })
    }

    #[test]
    fn every_difference_is_described() {
        let content = Aspect::Content { offset: Some(4), bytes: [9, 9] };
        let file = |aspects, others| Some(FileDifference { path: "made".into(), aspects, others });
        let images = vec![
            image("same:1", None),
            image("content:1", in_layer(file(vec![content, Aspect::Time([1, 2])], 2), 2)),
            image("time:1", in_layer(file(vec![Aspect::Time([1, 2])], 0), 1)),
            image("order:1", in_layer(None, 1)),
            image("created:1", Some(ImageDifference::Settings(vec!["Created".into()]))),
            image("env:1", Some(ImageDifference::Settings(vec!["Config.Env".into(), "Created".into()]))),
        ];
        let all = Reproducibility { images };
        let error = all.check().unwrap_err().to_string();
        let expected = "same:1: reproducible
content:1: not reproducible
  layer:  2 of 3, a/Dockerfile:3: RUN date > /made
  file:   /made: content from byte 4 of 9, modification time (1, 2)
  others: 2 files of this layer
  later:  1 more layer, possibly because of this one
time:1: not reproducible
  layer:  2 of 3, a/Dockerfile:3: RUN date > /made
  file:   /made: modification time (1, 2)
  help:   set its time with `touch -hd \"@$SOURCE_DATE_EPOCH\"`, in this step or in the stage that it is copied from
order:1: not reproducible
  layer:  2 of 3, a/Dockerfile:3: RUN date > /made
  file:   none; the layers' tar entries differ in order or headers
created:1: not reproducible
  layers: equal
  config: build time
  help:   set source-date-epoch in the manifest
env:1: not reproducible
  layers: equal
  config: Config.Env, Created
";
        assert_eq!(all.to_string(), expected);
        assert!(error.starts_with("not reproducible: 5 of 6 images: content:1, time:1"), "{error}");
        assert!(Reproducibility { images: vec![image("same:1", None)] }.check().is_ok());
    }
}
