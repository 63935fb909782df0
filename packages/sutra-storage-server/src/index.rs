//! Full-text search: a tantivy index on disk, derived from the records and rebuilt if it cannot be used.
//!
//! Words are runs of letters and digits of at most 64 bytes, compared without case and accents, independent of language.
//! Each commit stores the store's identity and the sequence number of the last change that it contains.

use std::collections::BTreeSet;
use std::path::Path;

use tantivy::collector::TopDocs;
use tantivy::directory::MmapDirectory;
use tantivy::indexer::{IndexWriterOptions, UserOperation};
use tantivy::query::{BooleanQuery, Occur, Query, TermQuery};
use tantivy::schema::{
    Field, IndexRecordOption, STORED, STRING, Schema, TextFieldIndexing, TextOptions, Value as _,
};
use tantivy::store::Compressor;
use tantivy::tokenizer::{
    AsciiFoldingFilter, LowerCaser, RemoveLongFilter, SimpleTokenizer, TextAnalyzer, TokenStream as _,
};
use tantivy::{
    Index, IndexReader, IndexSettings, IndexWriter, ReloadPolicy, TantivyDocument, TantivyError, Term,
};

const ANALYZER: &str = "words";

/// Maximum length of an indexed word, in bytes.
const LONGEST_WORD: usize = 64;

/// Maximum number of words of a query that are used; more would only slow it down.
const QUERY_WORDS: usize = 256;

/// The smallest memory budget that tantivy accepts for a writer thread, in bytes; held only while it writes.
const WRITER_BYTES: usize = 15_000_000;

/// The index for readers.
pub(crate) struct TextIndex {
    reader: IndexReader,
    analyzer: TextAnalyzer,
    fields: Fields,
}

/// The index for the writer thread.
pub(crate) struct TextEditor {
    writer: IndexWriter,
    reader: IndexReader,
    fields: Fields,
    identity: u64,
}

#[derive(Clone, Copy)]
struct Fields {
    id: Field,
    text: Field,
}

/// Opens or creates the index in `folder`. The third value is the sequence number of the last change that it contains;
/// `None` if it is new or belongs to a store with another `identity`.
pub(crate) fn open(
    folder: &Path,
    identity: u64,
) -> Result<(TextIndex, TextEditor, Option<u64>), TantivyError> {
    let (schema, fields) = schema();
    let analyzer = TextAnalyzer::builder(SimpleTokenizer::default())
        .filter(RemoveLongFilter::limit(LONGEST_WORD))
        .filter(LowerCaser)
        .filter(AsciiFoldingFilter)
        .build();
    let settings = IndexSettings { docstore_compression: Compressor::None, ..IndexSettings::default() };
    let index =
        Index::builder().schema(schema).settings(settings).open_or_create(MmapDirectory::open(folder)?)?;
    index.tokenizers().register(ANALYZER, analyzer.clone());
    let sequence = index.load_metas()?.payload.and_then(|payload| {
        let (owner, sequence) = payload.split_once(':')?;
        (owner == identity.to_string()).then_some(sequence)?.parse().ok()
    });
    let reader = index
        .reader_builder()
        .reload_policy(ReloadPolicy::Manual)
        .doc_store_cache_num_blocks(8)
        .try_into()?;
    let options = IndexWriterOptions::builder()
        .num_worker_threads(1)
        .num_merge_threads(1)
        .memory_budget_per_thread(WRITER_BYTES)
        .build();
    let writer = index.writer_with_options(options)?;
    let editor = TextEditor { writer, reader: reader.clone(), fields, identity };
    Ok((TextIndex { reader, analyzer, fields }, editor, sequence))
}

fn schema() -> (Schema, Fields) {
    // BM25 needs frequencies. Positions are only for phrase queries, which the API does not offer.
    let words =
        TextFieldIndexing::default().set_tokenizer(ANALYZER).set_index_option(IndexRecordOption::WithFreqs);
    let mut schema = Schema::builder();
    let id = schema.add_text_field("id", STRING | STORED);
    let text = schema.add_text_field("text", TextOptions::default().set_indexing_options(words));
    (schema.build(), Fields { id, text })
}

impl TextIndex {
    /// The `limit` best matches by BM25 with their scores, highest first. A match has at least one word of the query.
    pub(crate) fn best(&self, query: &str, limit: usize) -> Result<Vec<(String, f32)>, TantivyError> {
        let words = self.words(query);
        if words.is_empty() {
            return Ok(Vec::new());
        }
        let clauses = words.iter().map(|word| {
            let term = Term::from_field_text(self.fields.text, word);
            let query: Box<dyn Query> = Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs));
            (Occur::Should, query)
        });
        let searcher = self.reader.searcher();
        let query = BooleanQuery::new(clauses.collect());
        let top = searcher.search(&query, &TopDocs::with_limit(limit).order_by_score())?;
        top.into_iter()
            .map(|(score, address)| {
                let document: TantivyDocument = searcher.doc(address)?;
                let id = document.get_first(self.fields.id).and_then(|value| value.as_str());
                Ok((id.unwrap_or_default().to_owned(), score))
            })
            .collect()
    }

    fn words(&self, text: &str) -> BTreeSet<String> {
        let mut analyzer = self.analyzer.clone();
        let mut stream = analyzer.token_stream(text);
        let mut words = BTreeSet::new();
        while words.len() < QUERY_WORDS && stream.advance() {
            words.insert(stream.token().text.clone());
        }
        words
    }
}

impl TextEditor {
    /// Replaces the text of `id`, or removes it if `text` is `None`.
    pub(crate) fn replace(&self, id: &str, text: Option<&str>) -> Result<(), TantivyError> {
        let mut operations = vec![UserOperation::Delete(Term::from_field_text(self.fields.id, id))];
        if let Some(text) = text {
            let mut document = TantivyDocument::default();
            document.add_text(self.fields.id, id);
            document.add_text(self.fields.text, text);
            operations.push(UserOperation::Add(document));
        }
        self.writer.run(operations).map(drop)
    }

    /// Removes everything with the next commit.
    pub(crate) fn clear(&self) -> Result<(), TantivyError> {
        self.writer.delete_all_documents().map(drop)
    }

    /// Makes all replacements durable and visible, together with their sequence number.
    pub(crate) fn commit(&mut self, sequence: u64) -> Result<(), TantivyError> {
        let mut commit = self.writer.prepare_commit()?;
        commit.set_payload(&format!("{}:{sequence}", self.identity));
        commit.commit()?;
        self.reader.reload()
    }
}
