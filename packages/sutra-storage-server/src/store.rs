//! The store as the service uses it: records, index and vectors opened together, brought into step, searched.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use redb::DatabaseError;
use sutra_service::{ApiError, SettingsError, StartError, variable};

use crate::concept::Concept;
use crate::fusion::fuse;
use crate::index::{self, TextEditor, TextIndex};
use crate::records::{Numbers, Operation, Outcome, Records};
use crate::search::{Hit, Scores, Search};
use crate::vectors::{Editor as VectorEditor, Vectors};
use crate::writer::{Failure, Hands, Writer, stopped};

/// How deep each ranking is taken for fusion, at least.
const FUSION_DEPTH: usize = 100;

/// Where a store is, and what it must be like.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// `DATA_DIR`: the folder that holds everything; default `/data`.
    pub folder: PathBuf,
    /// `DIMENSION`: numbers in every vector; without it, the first vector decides.
    pub dimension: Option<u64>,
}

impl Place {
    /// Reads the environment; names the variable that cannot be used.
    pub(crate) fn from_environment() -> Result<Self, SettingsError> {
        let dimension = variable::<std::num::NonZeroU16>("DIMENSION", "a whole number from 1 to 65535")?;
        Ok(Self {
            folder: variable("DATA_DIR", "a folder")?.unwrap_or_else(|| "/data".into()),
            dimension: dimension.map(|dimension| u64::from(dimension.get())),
        })
    }

    fn records(&self) -> PathBuf {
        self.folder.join("concepts.redb")
    }

    fn index(&self) -> PathBuf {
        self.folder.join("index")
    }
}

/// All concepts, open.
pub(crate) struct Store {
    place: Place,
    // Before `records`: the thread must have ended when the file is closed.
    writer: Writer,
    records: Arc<Records>,
    text: TextIndex,
    vectors: Arc<Vectors>,
    failure: Failure,
}

impl Store {
    /// Opens the store or makes it, and repairs what a crash left behind.
    pub(crate) fn open(place: &Place) -> Result<Self, StartError> {
        let records = Arc::new(open_records(place)?);
        let damaged = |error: redb::Error| damaged(place, &error);
        let prepared = records.prepare(place.dimension).map_err(damaged)?;
        prepared.map_err(StartError::Configuration)?;

        let (text, editor) = open_index(place, &records)?;
        let indexed = records.numbers().map_err(damaged)?.sequence;
        let (vectors, mut vector_editor) = (Arc::new(Vectors::default()), VectorEditor::default());
        let view = records.view().map_err(damaged)?;
        view.each_vector(|id, vector| vector_editor.put(id, vector)).map_err(damaged)?;
        vector_editor.publish(&vectors);

        let failure = Failure::new(OnceLock::new());
        let hands = Hands {
            records: records.clone(),
            text: editor,
            vectors: vector_editor,
            published: vectors.clone(),
            indexed,
            failure: failure.clone(),
        };
        let writer = Writer::start(hands)
            .map_err(|error| StartError::Environment(format!("cannot start the writer thread: {error}")))?;
        Ok(Self { place: place.clone(), writer, records, text, vectors, failure })
    }

    /// Why nothing can be written any more, if that is so.
    pub(crate) fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    /// Applies a change; the answer comes when it is on disk and can be found.
    pub(crate) async fn apply(&self, operation: Operation) -> Result<Outcome, ApiError> {
        match self.failure() {
            Some(reason) => Err(stopped(reason)),
            None => self.writer.apply(operation).await,
        }
    }

    /// One concept. Blocks.
    pub(crate) fn concept(&self, id: &str) -> Result<Option<Concept>, ApiError> {
        self.records.view().and_then(|view| view.concept(id)).map_err(ApiError::internal)
    }

    /// Counts and numbers, and the bytes of all files. Blocks.
    pub(crate) fn stats(&self) -> Result<(Numbers, u64), ApiError> {
        let numbers = self.records.numbers().map_err(ApiError::internal)?;
        Ok((numbers, bytes_below(&self.place.folder)))
    }

    /// Searches as asked. Blocks.
    pub(crate) fn search(&self, search: &Search) -> Result<Vec<Hit>, ApiError> {
        let both = search.text.is_some() && search.vector.is_some();
        let depth = if both { search.limit.max(FUSION_DEPTH) } else { search.limit };
        let by_vector = match &search.vector {
            Some(vector) => self.nearest(vector, depth)?,
            None => Vec::new(),
        };
        let by_text = match &search.text {
            Some(text) => self.text.best(text, depth).map_err(ApiError::internal)?,
            None => Vec::new(),
        };
        let ids = |found: &[(String, f32)]| found.iter().map(|(id, _)| id.clone()).collect();
        let ranking = match (&search.text, &search.vector) {
            (Some(_), Some(_)) => fuse(&[ids(&by_text), ids(&by_vector)]),
            (Some(_), None) => by_text.clone(),
            _ => by_vector.clone(),
        };
        self.hits(ranking, search.limit, &by_text.into_iter().collect(), &by_vector.into_iter().collect())
    }

    fn nearest(&self, vector: &[f32], depth: usize) -> Result<Vec<(String, f32)>, ApiError> {
        let dimension = self.records.numbers().map_err(ApiError::internal)?.dimension;
        match dimension {
            Some(dimension) if dimension != vector.len() as u64 => Err(ApiError::invalid(format!(
                "vector has {} numbers; this store keeps vectors of {dimension}",
                vector.len()
            ))),
            _ => Ok(self.vectors.nearest(vector, depth)),
        }
    }

    /// Fetches what was found. A concept that was deleted since is left out.
    fn hits(
        &self,
        ranking: Vec<(String, f32)>,
        limit: usize,
        by_text: &Scores,
        by_vector: &Scores,
    ) -> Result<Vec<Hit>, ApiError> {
        let view = self.records.view().map_err(ApiError::internal)?;
        let mut hits = Vec::with_capacity(limit);
        for (id, score) in ranking {
            if hits.len() == limit {
                break;
            }
            let Some(concept) = view.concept(&id).map_err(ApiError::internal)? else {
                continue;
            };
            hits.push(Hit {
                text_score: by_text.get(&id).copied(),
                vector_score: by_vector.get(&id).copied(),
                id,
                text: concept.text,
                metadata: concept.metadata,
                score,
            });
        }
        Ok(hits)
    }
}

fn open_records(place: &Place) -> Result<Records, StartError> {
    let folder = place.folder.display();
    fs::create_dir_all(place.index()).map_err(|error| {
        StartError::Environment(format!(
            "DATA_DIR {folder} cannot be written: {error}; mount a volume there that uid 65532 may write"
        ))
    })?;
    let path = place.records();
    let is_empty = fs::metadata(&path).map_or(true, |metadata| metadata.len() == 0);
    if is_empty && place.index().join("meta.json").exists() {
        return Err(StartError::Environment(format!(
            "{} is missing or empty although {} exists; restore it from a backup, or remove that folder to start empty",
            path.display(),
            place.index().display()
        )));
    }
    // The store's own checks may panic on what is no store at all.
    match catch_unwind(AssertUnwindSafe(|| Records::open(&path))) {
        Ok(Ok(records)) => Ok(records),
        Ok(Err(DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch)) => {
            Err(StartError::Environment(format!(
                "DATA_DIR {folder} is in use by another process; stop that one or choose another folder"
            )))
        }
        Ok(Err(error)) => Err(damaged(place, &error)),
        Err(_) => Err(damaged(place, &"it is not a readable store")),
    }
}

fn damaged(place: &Place, error: &dyn std::fmt::Display) -> StartError {
    let path = place.records();
    StartError::Environment(format!(
        "{} cannot be used: {error}; restore it from a backup, or move it and the folder {} away to start empty",
        path.display(),
        place.index().display()
    ))
}

/// Opens the index and brings it into step with the records. An index that cannot be used is made anew: everything
/// in it comes from the records.
fn open_index(place: &Place, records: &Records) -> Result<(TextIndex, TextEditor), StartError> {
    let folder = place.index();
    let attempt = || {
        catch_unwind(AssertUnwindSafe(|| indexed(&folder, records)))
            .unwrap_or_else(|_| Err("a fault inside the index".into()))
    };
    attempt().or_else(|error| {
        log::warn!("the index is made anew, since it cannot be used: {error}");
        let failed = |error: &dyn std::fmt::Display| {
            StartError::Environment(format!("{} cannot be made: {error}", folder.display()))
        };
        fs::remove_dir_all(&folder).and_then(|()| fs::create_dir(&folder)).map_err(|error| failed(&error))?;
        attempt().map_err(|error| failed(&error))
    })
}

type AnyError = Box<dyn std::error::Error>;

fn indexed(folder: &Path, records: &Records) -> Result<(TextIndex, TextEditor), AnyError> {
    let (text, mut editor, known) = index::open(folder, records.identity()?)?;
    let sequence = records.numbers()?.sequence;
    if known == Some(sequence) {
        return Ok((text, editor));
    }
    let view = records.view()?;
    let missed = match known {
        Some(known) if known < sequence => view.changed_since(known)?,
        _ => None,
    };
    match missed {
        Some(ids) => {
            log::warn!(concepts = ids.len(); "the index is behind the records and catches up");
            for id in &ids {
                let concept = view.concept(id)?;
                editor.replace(id, concept.as_ref().map(|concept| concept.text.as_str()))?;
            }
        }
        None => {
            log::info!("the index is built from the records");
            editor.clear()?;
            view.each_text::<AnyError>(|id, text| Ok(editor.replace(id, Some(text))?))?;
        }
    }
    editor.commit(sequence)?;
    Ok((text, editor))
}

/// What vanishes while it is counted counts nothing.
fn bytes_below(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes_below(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}
