//! Which images one `docker save` takes, and what is learned from it.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context as _, Result};

use crate::Asked;
use crate::reading;
use crate::reading::{Learned, More};
use engine::context::Context;
use engine::images::Image;

/// Images of so many bytes together are saved at once. The engine copies all that it saves onto its disk first: several
/// large images would need room for all of them, and one after another they need it for the largest.
const MOST_AT_ONCE: u64 = 2_000_000_000;

/// Small images together, since layers that they share are saved and read once; a large one by itself. An image under two
/// names is saved once.
pub fn batches<'a>(images: &[&'a Asked]) -> Vec<Vec<&'a Asked>> {
    let mut batches: Vec<(u64, Vec<&Asked>)> = Vec::new();
    for &asked in images {
        let Image { id, size, .. } = &asked.image;
        if batches.iter().flat_map(|(_, batch)| batch).any(|other| other.image.id == *id) {
            continue;
        }
        match batches.iter_mut().find(|(sum, _)| sum.saturating_add(*size) <= MOST_AT_ONCE) {
            Some((sum, batch)) => {
                *sum += size;
                batch.push(asked);
            }
            None => batches.push((*size, vec![asked])),
        }
    }
    batches.into_iter().map(|(_, batch)| batch).collect()
}

/// Reads the layers of a batch that are not known yet.
///
/// # Errors
/// When docker cannot save them, an image is damaged or hostile, or the person interrupts.
pub fn read(
    batch: &[&Asked],
    known: &BTreeMap<String, Learned>,
    more: More<'_>,
    context: &Context,
) -> Result<HashMap<String, Learned>> {
    let names: Vec<&str> = batch.iter().map(|asked| asked.reference.as_str()).collect();
    let does = if more.packed { "reading and packing" } else { "reading" };
    let what = match names.len() {
        1..=3 => names.join(" and "),
        count => format!("{count} images"),
    };
    context.terminal.say(format!(
        "{does} {what}; the next time {} layers are known",
        if names.len() == 1 { "its" } else { "their" }
    ));
    let lines = context.terminal.lines();
    let line = lines.add("docker save", 0);
    // An unpacked blob is named by its own digest, which then is the layer's.
    let skip = |name: &str| {
        name.strip_prefix("blobs/sha256/").is_some_and(|hex| known.contains_key(&format!("sha256:{hex}")))
    };
    let images: Vec<&Image> = batch.iter().map(|asked| &asked.image).collect();
    let interrupt = &context.docker.runner.interrupt;
    let read = context.docker.save(&images, |archive| {
        reading::read(archive, &skip, more, interrupt).with_context(|| {
            format!("cannot read {} (if it is damaged, pull or build it anew)", names.join(" and "))
        })
    })?;
    line.finish("done");
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_image_is_saved_alone_and_small_ones_together() {
        let asked = |name: &str, id: &str, size: u64| Asked {
            reference: name.to_owned(),
            image: serde_json::from_value(serde_json::json!({"Id": id, "Size": size})).unwrap(),
        };
        let images = [
            asked("a", "1", 900_000_000),
            asked("large", "2", 6_260_000_000),
            asked("b", "3", 900_000_000),
            asked("larger", "4", 7_000_000_000),
            asked("a-again", "1", 900_000_000),
            asked("c", "5", 900_000_000),
        ];
        let batches = batches(&images.iter().collect::<Vec<_>>());
        let names: Vec<Vec<&str>> = batches
            .iter()
            .map(|batch| batch.iter().map(|asked| asked.reference.as_str()).collect())
            .collect();
        assert_eq!(names, [vec!["a", "b"], vec!["large"], vec!["larger"], vec!["c"]]);
    }
}
