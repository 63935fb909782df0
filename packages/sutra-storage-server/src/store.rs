//! The store: opens records, index and vectors, brings them in sync, and searches them.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use redb::DatabaseError;
use sutra_service::{ApiError, SettingsError, StartError, variable};

use crate::concept::Concept;
use crate::fusion::fuse;
use crate::index::{self, TextEditor, TextIndex};
use crate::records::{Operation, OperationOutcome, Records, StoreStats};
use crate::search::{Hit, Scores, Search};
use crate::vectors::{Editor as VectorEditor, Vectors};
use crate::writer::{Failure, Writer, WriterState, stopped};

/// Minimum number of results taken from each ranking for fusion.
const FUSION_DEPTH: usize = 100;

/// Configuration of a store.
#[derive(Debug, Clone)]
pub(crate) struct StoreConfig {
    /// `DATA_DIR`: the data folder; default `/data`.
    pub folder: PathBuf,
    /// `DIMENSION`: numbers per vector; by default, the first vector sets it.
    pub dimension: Option<u64>,
}

impl StoreConfig {
    /// Reads the environment. The error names the invalid variable.
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

/// An open store.
pub(crate) struct Store {
    config: StoreConfig,
    // Before `records`, so that it is dropped first: the thread must end before the file is closed.
    writer: Writer,
    records: Arc<Records>,
    text: TextIndex,
    vectors: Arc<Vectors>,
    failure: Failure,
}

impl Store {
    /// Opens or creates the store; repairs it after a crash.
    pub(crate) fn open(config: &StoreConfig) -> Result<Self, StartError> {
        let records = Arc::new(open_records(config)?);
        let damaged = |error: redb::Error| damaged(config, &error);
        let prepared = records.prepare(config.dimension).map_err(damaged)?;
        prepared.map_err(StartError::Configuration)?;

        let (text, editor) = open_index(config, &records)?;
        let indexed = records.stats().map_err(damaged)?.sequence;
        let (vectors, mut vector_editor) = (Arc::new(Vectors::default()), VectorEditor::default());
        let view = records.view().map_err(damaged)?;
        view.each_vector(|id, vector| vector_editor.put(id, vector)).map_err(damaged)?;
        vector_editor.publish(&vectors);

        let failure = Failure::new(OnceLock::new());
        let state = WriterState {
            records: records.clone(),
            text: editor,
            vectors: vector_editor,
            published: vectors.clone(),
            indexed,
            failure: failure.clone(),
        };
        let writer = Writer::start(state)
            .map_err(|error| StartError::Environment(format!("cannot start the writer thread: {error}")))?;
        Ok(Self { config: config.clone(), writer, records, text, vectors, failure })
    }

    /// Why writing has stopped, if it has.
    pub(crate) fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    /// Applies a change. Returns once it is on disk and searchable.
    pub(crate) async fn apply(&self, operation: Operation) -> Result<OperationOutcome, ApiError> {
        match self.failure() {
            Some(reason) => Err(stopped(reason)),
            None => self.writer.apply(operation).await,
        }
    }

    /// A concept; `None` if the id is unknown. Blocks.
    pub(crate) fn concept(&self, id: &str) -> Result<Option<Concept>, ApiError> {
        self.records.view().and_then(|view| view.concept(id)).map_err(ApiError::internal)
    }

    /// Statistics, and the total size of all files in bytes. Blocks.
    pub(crate) fn stats(&self) -> Result<(StoreStats, u64), ApiError> {
        let stats = self.records.stats().map_err(ApiError::internal)?;
        Ok((stats, folder_bytes(&self.config.folder)))
    }

    /// Runs a search. Blocks.
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
        let dimension = self.records.stats().map_err(ApiError::internal)?.dimension;
        match dimension {
            Some(dimension) if dimension != vector.len() as u64 => Err(ApiError::invalid(format!(
                "vector has {} numbers; the dimension of this store is {dimension}",
                vector.len()
            ))),
            _ => Ok(self.vectors.nearest(vector, depth)),
        }
    }

    /// Loads the concepts of a ranking, without those deleted in the meantime.
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

fn open_records(config: &StoreConfig) -> Result<Records, StartError> {
    let folder = config.folder.display();
    fs::create_dir_all(config.index()).map_err(|error| {
        StartError::Environment(format!(
            "cannot write to DATA_DIR {folder}: {error}; mount a volume that uid 65532 can write to"
        ))
    })?;
    let path = config.records();
    let is_empty = fs::metadata(&path).map_or(true, |metadata| metadata.len() == 0);
    if is_empty && config.index().join("meta.json").exists() {
        return Err(StartError::Environment(format!(
            "{} is missing or empty but {} exists; restore the file from a backup, or remove the folder to start empty",
            path.display(),
            config.index().display()
        )));
    }
    // redb may panic on a file that is not a redb database.
    match catch_unwind(AssertUnwindSafe(|| Records::open(&path))) {
        Ok(Ok(records)) => Ok(records),
        Ok(Err(DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch)) => {
            Err(StartError::Environment(format!(
                "DATA_DIR {folder} is in use by another process; stop that process or choose another folder"
            )))
        }
        Ok(Err(error)) => Err(damaged(config, &error)),
        Err(_) => Err(damaged(config, &"not a readable database")),
    }
}

fn damaged(config: &StoreConfig, error: &dyn std::fmt::Display) -> StartError {
    let path = config.records();
    StartError::Environment(format!(
        "cannot open {}: {error}; restore it from a backup, or move it and the folder {} away to start empty",
        path.display(),
        config.index().display()
    ))
}

/// Opens the index and syncs it with the records. An index that cannot be used is rebuilt from the records.
fn open_index(config: &StoreConfig, records: &Records) -> Result<(TextIndex, TextEditor), StartError> {
    let folder = config.index();
    let attempt = || {
        catch_unwind(AssertUnwindSafe(|| open_synced(&folder, records)))
            .unwrap_or_else(|_| Err("panic in the index".into()))
    };
    attempt().or_else(|error| {
        log::warn!("rebuilding the index because it cannot be opened: {error}");
        let failed = |error: &dyn std::fmt::Display| {
            StartError::Environment(format!("cannot create the index {}: {error}", folder.display()))
        };
        fs::remove_dir_all(&folder).and_then(|()| fs::create_dir(&folder)).map_err(|error| failed(&error))?;
        attempt().map_err(|error| failed(&error))
    })
}

type AnyError = Box<dyn std::error::Error>;

fn open_synced(folder: &Path, records: &Records) -> Result<(TextIndex, TextEditor), AnyError> {
    let (text, mut editor, indexed) = index::open(folder, records.identity()?)?;
    let sequence = records.stats()?.sequence;
    if indexed == Some(sequence) {
        return Ok((text, editor));
    }
    let view = records.view()?;
    let missed = match indexed {
        Some(indexed) if indexed < sequence => view.changed_since(indexed)?,
        _ => None,
    };
    match missed {
        Some(ids) => {
            log::warn!(concepts = ids.len(); "updating the index, which is behind the records");
            for id in &ids {
                let concept = view.concept(id)?;
                editor.replace(id, concept.as_ref().map(|concept| concept.text.as_str()))?;
            }
        }
        None => {
            log::info!("building the index from the records");
            editor.clear()?;
            view.each_text::<AnyError>(|id, text| Ok(editor.replace(id, Some(text))?))?;
        }
    }
    editor.commit(sequence)?;
    Ok((text, editor))
}

/// The total size of all files; files that disappear meanwhile count as 0.
fn folder_bytes(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => folder_bytes(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}
