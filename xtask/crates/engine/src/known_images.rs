//! Lists the engine's images in one call. `docker image ls` does not print labels, but an ID is a digest of the image's content, so facts
//! recorded by earlier runs stay valid.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::docker::Docker;
use crate::images::{Image, called};
use host::files;

/// Above this number, the record drops images that this run did not use.
const MOST: usize = 2000;

/// The engine's tags.
#[derive(Debug, Default)]
pub struct ListedTags {
    /// IDs by `NAME:TAG` and `NAME@DIGEST`.
    ids: BTreeMap<String, String>,
}

impl ListedTags {
    /// Parses lines of ID, repository, tag and digest, separated by tabs.
    fn parse(text: &str) -> ListedTags {
        const NONE: &str = "<none>";
        let mut ids = BTreeMap::new();
        for line in text.lines() {
            let mut fields = line.split('\t');
            let mut next = || fields.next().filter(|field| *field != NONE);
            let (Some(id), Some(repository)) = (next(), next()) else { continue };
            let (tag, digest) = (next(), next());
            ids.extend(tag.map(|tag| (format!("{repository}:{tag}"), id.to_owned())));
            ids.extend(digest.map(|digest| (format!("{repository}@{digest}"), id.to_owned())));
        }
        ListedTags { ids }
    }

    /// All tags and digests.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.ids.keys().map(String::as_str)
    }

    /// Whether the engine has a reference.
    pub fn has(&self, reference: &str) -> bool {
        self.id(reference).is_some()
    }

    fn id(&self, reference: &str) -> Option<&String> {
        self.ids.get(called(reference).as_ref())
    }
}

/// Image facts recorded by earlier runs, by ID.
#[derive(Debug)]
pub struct KnownImages {
    path: PathBuf,
    images: BTreeMap<String, Image>,
    used: BTreeSet<String>,
    has_new: bool,
}

impl KnownImages {
    /// Reads the record. A damaged or missing record counts as empty.
    pub fn load(path: PathBuf) -> KnownImages {
        let text = files::read_if_there(&path).ok().flatten().unwrap_or_default();
        let images: BTreeMap<String, Image> = serde_json::from_str(&text).unwrap_or_default();
        KnownImages { path, images, used: BTreeSet::new(), has_new: false }
    }

    /// Adds inspected images.
    pub fn add<'i>(&mut self, images: impl IntoIterator<Item = &'i Image>) {
        for image in images {
            self.used.insert(image.id.clone());
            if !self.images.contains_key(&image.id) {
                self.images.insert(image.id.clone(), image.lasting());
                self.has_new = true;
            }
        }
    }

    /// Writes the record if it has new images.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&mut self) -> Result<()> {
        if !self.has_new {
            return Ok(());
        }
        if self.images.len() > MOST {
            self.images.retain(|id, _| self.used.contains(id));
        }
        let json = serde_json::to_vec(&self.images).context("cannot serialize the image record")?;
        files::write_atomically(&self.path, &json)
    }
}

impl Docker {
    /// All tags, in one call.
    ///
    /// # Errors
    /// When docker fails.
    pub fn list_tags(&self) -> Result<ListedTags> {
        let format = "{{.ID}}\t{{.Repository}}\t{{.Tag}}\t{{.Digest}}";
        Ok(ListedTags::parse(&self.cmd(["image", "ls", "--no-trunc", "--format", format]).read()?))
    }

    /// The images of references among the listed tags, as in [`Docker::inspect`] but without names. Inspects only images that are not in
    /// the record.
    ///
    /// # Errors
    /// When docker fails or the record cannot be written.
    pub fn inspect_listed(
        &self,
        references: &[String],
        tags: &ListedTags,
        known: &mut KnownImages,
    ) -> Result<BTreeMap<String, Image>> {
        let ids: BTreeMap<&String, &String> =
            references.iter().filter_map(|reference| Some((reference, tags.id(reference)?))).collect();
        let new: BTreeSet<&String> =
            ids.values().copied().filter(|id| !known.images.contains_key(*id)).collect();
        if !new.is_empty() {
            let images: Vec<Image> = self.inspect_existing("image", new.into_iter().cloned())?;
            known.add(&images);
            known.save()?;
        }
        known.used.extend(ids.values().map(|id| (*id).clone()));
        let image =
            |(reference, id): (&String, &String)| Some((reference.clone(), known.images.get(id)?.clone()));
        Ok(ids.into_iter().filter_map(image).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_and_digests_are_names_of_their_image() {
        let tags = ListedTags::parse(
            "sha256:a\tdebian\tlatest\tsha256:d\nsha256:a\tr.example:5000/x\t1\t<none>\nsha256:b\t<none>\t<none>\t<none>\n\
             sha256:c\tonly\t<none>\tsha256:e\n",
        );
        let id = |reference: &str| tags.id(reference).map(String::as_str);
        for name in
            ["debian", "debian:latest", "docker.io/library/debian", "debian@sha256:d", "r.example:5000/x:1"]
        {
            assert_eq!(id(name), Some("sha256:a"), "{name}");
        }
        assert_eq!(id("only@sha256:e"), Some("sha256:c"));
        assert_eq!(id("debian:13@sha256:d"), Some("sha256:a"), "the digest decides");
        for name in
            ["only", "only:latest", "<none>:<none>", "debian:1", "debian@sha256:e", "r.example:5000/x"]
        {
            assert_eq!(id(name), None, "{name}");
        }
    }

    #[test]
    fn what_was_seen_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("images.json");
        let json = r#"{"Id":"sha256:a","RepoTags":["x:1"],"Size":7,"Config":{"Labels":{"l":"v"},"Env":["SECRET=1"]},"Os":"linux"}"#;
        let image: Image = serde_json::from_str(json).unwrap();
        let mut known = KnownImages::load(path.clone());
        known.add([&image]);
        known.save().unwrap();
        let text = files::read(&path).unwrap();
        assert!(
            !text.contains("SECRET") && !text.contains("x:1"),
            "only the ID's facts and the configuration's labels are recorded: {text}"
        );
        let again = KnownImages::load(path.clone());
        let found = &again.images["sha256:a"];
        assert_eq!((found.label("l"), found.size, found.os.as_str()), (Some("v"), 7, "linux"));
        files::write_atomically(&path, b"{").unwrap();
        assert!(KnownImages::load(path).images.is_empty());
    }
}
