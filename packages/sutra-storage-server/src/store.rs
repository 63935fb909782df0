//! The store: opens records, index and vectors, brings them in sync, and searches them.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use redb::DatabaseError;
use sutra_service::{ApiError, SettingsError, StartError, variable};

use crate::concept::Concept;
use crate::fusion::fuse;
use crate::index::{self, TextEditor, TextIndex};
use crate::listing::Which;
use crate::records::{Operation, OperationOutcome, Records};
use crate::rows::least_bytes;
use crate::search::{Hit, Scores, Search};
use crate::vectors::Vectors;
use crate::view::{Page, StoreStats, View};
use crate::writer::{Failure, Writer, WriterState};
use crate::{parallel, refusal};

/// Minimum number of results taken from each ranking for fusion.
const FUSION_DEPTH: usize = 100;

/// Configuration of a store.
#[derive(Debug, Clone)]
pub(crate) struct StoreConfig {
    /// `DATA_DIR`: the data folder; default `/data`.
    pub folder: PathBuf,
    /// `DIMENSION`: numbers per vector; by default, the first vector sets it.
    pub dimension: Option<u64>,
    /// Memory for vectors, in bytes.
    pub vector_limit: usize,
}

impl StoreConfig {
    /// Reads the environment. The error names the invalid variable.
    pub(crate) fn from_environment(vector_limit: usize) -> Result<Self, SettingsError> {
        let dimension = variable::<std::num::NonZeroU16>("DIMENSION", "a whole number from 1 to 65535")?;
        Ok(Self {
            folder: variable("DATA_DIR", "a folder")?.unwrap_or_else(|| "/data".into()),
            dimension: dimension.map(|dimension| u64::from(dimension.get())),
            vector_limit,
        })
    }

    fn records(&self) -> PathBuf {
        self.folder.join("concepts.redb")
    }

    fn index(&self) -> PathBuf {
        self.folder.join("index")
    }
}

/// How much room a store takes, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoreSize {
    /// All files.
    pub bytes_on_disk: u64,
    /// Vectors in memory.
    pub vector_bytes: usize,
    /// The most that vectors may take in memory.
    pub vector_bytes_limit: usize,
}

/// An open store.
pub(crate) struct Store {
    config: StoreConfig,
    // Before `records`, so that it is dropped first: the thread must end before the file is closed.
    writer: Writer,
    records: Arc<Records>,
    text: Arc<RwLock<TextIndex>>,
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
        let view = records.view().map_err(damaged)?;
        let stats = view.stats().map_err(damaged)?;
        check_memory(config, &stats)?;
        let indexed = stats.sequence;
        let vectors = Arc::new(Vectors::default());
        vectors.load(&view).map_err(damaged)?;
        drop(view);

        let failure = Failure::default();
        let text = Arc::new(RwLock::new(text));
        let state = WriterState {
            config: config.clone(),
            records: records.clone(),
            editor: Some(editor),
            text: text.clone(),
            vectors: vectors.clone(),
            indexed,
            failure: failure.clone(),
        };
        let writer = Writer::start(state)
            .map_err(|error| StartError::Environment(format!("cannot start the writer thread: {error}")))?;
        Ok(Self { config: config.clone(), writer, records, text, vectors, failure })
    }

    /// Why writing has stopped, if it has.
    pub(crate) fn failure(&self) -> Option<String> {
        self.failure.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Applies a change. Returns once it is on disk and searchable.
    pub(crate) async fn apply(&self, operation: Operation) -> Result<OperationOutcome, ApiError> {
        match self.writer.apply(operation).await? {
            OperationOutcome::Refused(refusal) => Err(refusal),
            outcome => Ok(outcome),
        }
    }

    /// A snapshot, for reading more than one concept.
    pub(crate) fn view(&self) -> Result<View, ApiError> {
        self.records.view().map_err(unreadable)
    }

    /// A concept; `None` if the id is unknown. Blocks.
    pub(crate) fn concept(&self, id: &str) -> Result<Option<Concept>, ApiError> {
        self.view()?.concept(id).map_err(unreadable)
    }

    /// A page of concepts. Blocks.
    pub(crate) fn page(&self, which: &Which, after: Option<&str>, limit: usize) -> Result<Page, ApiError> {
        let view = self.view()?;
        match which {
            Which::All => view.page(after, limit),
            Which::Source(source) => view.page_of(source, after, limit),
            Which::Prefix(prefix) => view.page_with(prefix, after, limit),
        }
        .map_err(unreadable)
    }

    /// See [`View::sources`]. Blocks.
    pub(crate) fn sources(&self, after: Option<&str>, limit: usize) -> Result<Vec<(String, u64)>, ApiError> {
        self.view()?.sources(after, limit).map_err(unreadable)
    }

    /// Statistics. Blocks.
    pub(crate) fn stats(&self) -> Result<(StoreStats, StoreSize), ApiError> {
        let stats = self.view()?.stats().map_err(unreadable)?;
        let size = StoreSize {
            bytes_on_disk: folder_bytes(&self.config.folder),
            vector_bytes: self.vectors.bytes_with(std::iter::empty(), 0).0,
            vector_bytes_limit: self.config.vector_limit,
        };
        Ok((stats, size))
    }

    /// Runs a search. Blocks.
    pub(crate) fn search(&self, search: &Search) -> Result<Vec<Hit>, ApiError> {
        let both = search.text.is_some() && search.vector.is_some();
        let depth = if both { search.limit.max(FUSION_DEPTH) } else { search.limit };
        let by_vector = match &search.vector {
            Some(vector) => self.nearest(vector, search.model.as_deref(), depth)?,
            None => Vec::new(),
        };
        let by_text = match &search.text {
            Some(text) => {
                let index = self.text.read().unwrap_or_else(PoisonError::into_inner);
                index.best(text, depth).map_err(ApiError::internal)?
            }
            None => Vec::new(),
        };
        let ids = |found: &[(String, f32)]| found.iter().map(|(id, _)| id.clone()).collect();
        let ranking = match (&search.text, &search.vector) {
            (Some(_), Some(_)) => fuse(&[ids(&by_text), ids(&by_vector)]),
            (Some(_), None) => by_text.clone(),
            _ => by_vector.clone(),
        };
        self.hits(&ranking, search.limit, &by_text.into_iter().collect(), &by_vector.into_iter().collect())
    }

    fn nearest(
        &self,
        vector: &[f32],
        model: Option<&str>,
        depth: usize,
    ) -> Result<Vec<(String, f32)>, ApiError> {
        let stats = self.view()?.stats().map_err(unreadable)?;
        if let Some(refusal) = refusal::of_model(model, stats.model.as_deref()) {
            return Err(refusal);
        }
        if let Some(dimension) = stats.dimension.filter(|&dimension| dimension != vector.len() as u64) {
            return Err(ApiError::invalid(format!(
                "vector has {} numbers; the dimension of this store is {dimension}",
                vector.len()
            )));
        }
        let candidates = self.vectors.candidates(vector, depth);
        let view = self.view()?;
        let similarity = |id: &String| view.similarity(vector, id);
        let similarities = parallel::map(&candidates, similarity).map_err(unreadable)?;
        let found = candidates.into_iter().zip(similarities);
        let mut nearest: Vec<_> = found.filter_map(|(id, found)| Some((id, found?))).collect();
        nearest.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        nearest.truncate(depth);
        Ok(nearest)
    }

    /// Loads the concepts of a ranking, without those deleted in the meantime.
    fn hits(
        &self,
        ranking: &[(String, f32)],
        limit: usize,
        by_text: &Scores,
        by_vector: &Scores,
    ) -> Result<Vec<Hit>, ApiError> {
        let view = self.view()?;
        let mut hits = Vec::with_capacity(limit);
        let mut rest = ranking;
        while hits.len() < limit && !rest.is_empty() {
            let next = rest.split_off(..rest.len().min(limit - hits.len())).unwrap_or_default();
            let concepts = parallel::map(next, |(id, _)| view.without_vector(id)).map_err(unreadable)?;
            hits.extend(concepts.into_iter().zip(next).filter_map(|(concept, (id, score))| {
                let Concept { id: _, text, metadata, .. } = concept?;
                let (text_score, vector_score) = (by_text.get(id).copied(), by_vector.get(id).copied());
                Some(Hit { id: id.clone(), text, metadata, score: *score, text_score, vector_score })
            }));
        }
        Ok(hits)
    }
}

/// Checks that the vectors fit into memory, because the system would kill the service again and again.
fn check_memory(config: &StoreConfig, stats: &StoreStats) -> Result<(), StartError> {
    let (count, dimension) = (stats.vectors, stats.dimension.unwrap_or_default());
    let row = usize::try_from(dimension).unwrap_or(usize::MAX);
    let (needed, limit) = (least_bytes(count, row), config.vector_limit);
    if needed <= limit as u64 {
        return Ok(());
    }
    Err(StartError::Configuration(format!(
        "the store has {count} vectors of {dimension} numbers, which need at least {needed} bytes of memory, and the limit for \
         vectors is {limit}; give the service more memory (MAX_MEMORY_BYTES, or the container's limit)"
    )))
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
        Ok(Ok(records)) => {
            // A new file survives a power failure only once its folder is on disk.
            let synced = fs::File::open(&config.folder).and_then(|folder| folder.sync_all());
            synced.map_err(|error| damaged(config, &error))?;
            Ok(records)
        }
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
pub(crate) fn open_index(
    config: &StoreConfig,
    records: &Records,
) -> Result<(TextIndex, TextEditor), StartError> {
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

/// The error when the store cannot be read. After an I/O error it is reopened, so a retry may succeed.
fn unreadable(error: redb::Error) -> ApiError {
    match error {
        redb::Error::PreviousIo => {
            ApiError::unavailable("the store is being reopened after a disk error; retry in a second")
        }
        error => ApiError::internal(error),
    }
}

type AnyError = Box<dyn std::error::Error>;

fn open_synced(folder: &Path, records: &Records) -> Result<(TextIndex, TextEditor), AnyError> {
    let (text, mut editor, indexed) = index::open(folder, records.identity()?)?;
    let view = records.view()?;
    let sequence = view.stats()?.sequence;
    if indexed == Some(sequence) {
        return Ok((text, editor));
    }
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
