//! Compose's model of a project.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::composer::Answer;
use super::project::Project;
use super::references::{Outcome, Request, is_ours};
use super::text::{Slot, Source};

/// Compose's model: the services' images, and everything else without extensions.
#[derive(Debug)]
pub struct Model {
    pub images: BTreeMap<String, Option<String>>,
    rest: Value,
}

impl Model {
    /// # Errors
    /// Compose's error.
    pub fn of(answer: &Answer) -> Result<Model, String> {
        if answer.code != 0 {
            return Err(answer.stderr.clone());
        }
        let mut rest: Value = serde_json::from_str(&answer.stdout).map_err(|error| error.to_string())?;
        let mut images = BTreeMap::new();
        let Some(all) = rest.as_object_mut() else { return Err("no mapping".to_owned()) };
        all.retain(|key, _| !key.starts_with("x-"));
        for (name, service) in all.get_mut("services").and_then(Value::as_object_mut).into_iter().flatten() {
            let Some(service) = service.as_object_mut() else { continue };
            service.retain(|key, _| !key.starts_with("x-"));
            let image = service.remove("image").and_then(|image| image.as_str().map(str::to_owned));
            images.insert(name.clone(), image);
        }
        Ok(Model { images, rest })
    }

    /// Compares with the model after a switch. `expected` gets an image before and after it.
    pub fn compare(
        &self,
        after: &Model,
        expected: impl Fn(&str, &str) -> Result<String, String>,
    ) -> Result<(), String> {
        if self.rest != after.rest || !self.images.keys().eq(after.images.keys()) {
            return Err(format!("more than images changed: {} to {}", self.rest, after.rest));
        }
        for ((service, old), new) in self.images.iter().zip(after.images.values()) {
            let image = new.as_deref().unwrap_or_default();
            let wanted = old.as_deref().map(|old| expected(old, image)).transpose()?;
            if *new != wanted {
                return Err(format!("{service} ran {old:?}, and runs {new:?}, not {wanted:?}"));
            }
        }
        Ok(())
    }
}

/// Finds the slot of an image by its marker.
pub struct Slots<'p> {
    by_id: BTreeMap<usize, &'p Slot>,
    unmarked: Option<&'p Slot>,
    /// Slots in files that the switch reads.
    read: BTreeSet<usize>,
}

impl<'p> Slots<'p> {
    pub fn new(project: &'p Project) -> Slots<'p> {
        let by_id = project.slots();
        let is_unmarked = |slot: &&&Slot| !markers(&slot.reference.text()).any(|id| id == slot.id);
        let unmarked = by_id.values().find(is_unmarked).copied();
        let read = project.files.values().filter(|file| file.is_read).flat_map(Source::slots);
        Slots { unmarked, read: read.map(|slot| slot.id).collect(), by_id }
    }

    /// `None` if the image is in no slot.
    pub fn of(&self, image: &str) -> Option<&'p Slot> {
        markers(image).find_map(|id| self.by_id.get(&id).copied()).or(self.unmarked)
    }

    /// What an image must become.
    pub fn expected(&self, image: &str, request: &Request) -> Result<String, String> {
        let Some(slot) = self.of(image) else {
            return if is_ours(image) { Err(format!("no slot holds {image}")) } else { Ok(image.to_owned()) };
        };
        let Outcome::New(_) = self.outcome(slot, request) else { return Ok(image.to_owned()) };
        let after = slot.reference.image_after(image, request);
        after.ok_or_else(|| format!("{image} does not fit {}", slot.reference.text()))
    }

    fn outcome(&self, slot: &Slot, request: &Request) -> Outcome {
        if self.read.contains(&slot.id) { slot.outcome(request) } else { Outcome::Same }
    }

    /// Services that must run another image but whose reference is in a file that the switch does not read.
    pub fn missed(&self, model: &Model, request: &Request) -> BTreeSet<String> {
        let is_missed = |image: &str| {
            self.of(image).is_some_and(|slot| {
                let is_as_requested = matches!(slot.outcome(request), Outcome::Same);
                !self.read.contains(&slot.id) && !is_as_requested && is_ours(image)
            })
        };
        let images = model.images.iter();
        let missed = images.filter(|(_, image)| image.as_deref().is_some_and(is_missed));
        missed.map(|(service, _)| service.clone()).collect()
    }
}

/// The numbers after each `k` in a text.
fn markers(text: &str) -> impl Iterator<Item = usize> {
    text.split('k').skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest[..end].parse().ok()
    })
}
