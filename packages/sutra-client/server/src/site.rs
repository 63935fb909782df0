//! The files of the page, in memory.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::UNIX_EPOCH;

use axum::body::Bytes;
use axum::http::HeaderValue;

/// The page, served if no file has the requested path.
pub(crate) const INDEX: &str = "/index.html";

/// All files.
#[derive(Debug)]
pub(crate) struct Site {
    files: HashMap<String, File>,
    health: File,
}

/// A file and its compressed form.
#[derive(Debug)]
pub(crate) struct File {
    pub plain: Variant,
    pub gzip: Option<Variant>,
    pub media_type: HeaderValue,
    /// Whether clients may revalidate it. All builds of the page have the same modification time and length.
    pub is_validated: bool,
}

/// The bytes of a file and their validators.
#[derive(Debug)]
pub(crate) struct Variant {
    pub bytes: Bytes,
    pub tag: HeaderValue,
    /// Its modification time, as an HTTP date.
    pub modified: HeaderValue,
}

impl Site {
    /// Reads `health.json` and all files below `html`. Errors name the path.
    pub(crate) fn read(folder: &Path) -> Result<Self, String> {
        let health = File {
            plain: Variant::read(&folder.join("health.json"))?,
            gzip: None,
            media_type: HeaderValue::from_static("application/json"),
            is_validated: false,
        };
        let mut all = HashMap::new();
        let root = folder.join("html");
        collect(&root, "", &mut all)?;
        let mut compressed: HashMap<String, Variant> = HashMap::new();
        let names: Vec<String> = all.keys().filter(|name| name.ends_with(".gz")).cloned().collect();
        for name in names {
            if let (Some(plain), Some(variant)) = (name.strip_suffix(".gz"), all.remove(&name)) {
                compressed.insert(plain.to_owned(), variant);
            }
        }
        let files: HashMap<String, File> = all
            .into_iter()
            .map(|(path, plain)| {
                let gzip = compressed.remove(&path);
                let media_type = HeaderValue::from_static(media_type(&path));
                let is_validated = path != INDEX;
                (path, File { plain, gzip, media_type, is_validated })
            })
            .collect();
        if !files.contains_key(INDEX) {
            return Err(format!("no index.html in {}; build the page first", root.display()));
        }
        Ok(Self { files, health })
    }

    /// The file at a normalized path.
    pub(crate) fn file(&self, path: &str) -> Option<&File> {
        self.files.get(path)
    }

    /// The response of `/health`.
    pub(crate) fn health(&self) -> &File {
        &self.health
    }
}

fn collect(folder: &Path, prefix: &str, into: &mut HashMap<String, Variant>) -> Result<(), String> {
    let unreadable = |error| format!("cannot read {}: {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let path = format!("{prefix}/{}", entry.file_name().to_string_lossy());
        if entry.file_type().map_err(unreadable)?.is_dir() {
            collect(&entry.path(), &path, into)?;
        } else {
            into.insert(path, Variant::read(&entry.path())?);
        }
    }
    Ok(())
}

impl Variant {
    fn read(path: &Path) -> Result<Self, String> {
        let unreadable = |error| format!("cannot read {}: {error}", path.display());
        let bytes = fs::read(path).map_err(unreadable)?;
        let modified = fs::metadata(path).and_then(|data| data.modified()).map_err(unreadable)?;
        let seconds = modified.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        // As in nginx: time and length, hexadecimal.
        let tag = format!("\"{seconds:x}-{:x}\"", bytes.len());
        let value = |text: String| {
            HeaderValue::try_from(text).map_err(|error| format!("{}: {error}", path.display()))
        };
        Ok(Self {
            bytes: bytes.into(),
            tag: value(tag)?,
            modified: value(httpdate::fmt_http_date(modified))?,
        })
    }
}

/// The same types as in nginx, with a charset for the same text types.
fn media_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "application/javascript; charset=utf-8",
        "txt" => "text/plain; charset=utf-8",
        "css" => "text/css",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    }
}
