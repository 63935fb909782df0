//! Receives uploads: checks the headers and writes the body to disk.

use std::io;

use axum::body::Body;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use serde::Deserialize;
use sutra_service::ApiError;

use crate::jobs::Reservation;
use crate::pace::{Pace, TooSlow};
use crate::records::Format;
use crate::spool::Incoming;

/// Size of a write.
const CHUNK: usize = 256 << 10;

/// Default name of the CSV column with the texts.
const DEFAULT_COLUMN: &str = "text";

/// An upload in progress. Its place in the queue is released before its file is removed (fields are dropped in order), so a
/// client that sees no upload can start one.
pub(crate) struct Upload {
    pub reservation: Reservation,
    pub incoming: Incoming,
}

/// The query of an upload.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UploadQuery {
    /// The format, for clients that cannot choose the Content-Type.
    pub format: Option<FormatName>,
    /// The CSV column with the texts.
    pub column: Option<String>,
    /// The source of texts without one.
    pub source: Option<String>,
}

/// The name of a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FormatName {
    /// JSON lines.
    JsonL,
    /// CSV.
    Csv,
}

/// Whether a query is percent-encoded UTF-8. The parser would replace other bytes.
pub(crate) fn is_utf_8(query: &str) -> bool {
    let (mut bytes, mut rest) = (Vec::new(), query.as_bytes());
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| first == b'%').and_then(|digits| str::from_utf8(digits).ok());
        let decoded = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(decoded.unwrap_or(first));
        rest = if decoded.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).is_ok()
}

/// The format of an upload, from its headers and query.
pub(crate) fn format(headers: &HeaderMap, query: &UploadQuery) -> Result<Format, ApiError> {
    if let Some(encoding) = headers.get(CONTENT_ENCODING)
        && encoding != "identity"
    {
        return Err(unsupported(format!("unsupported Content-Encoding: {encoding:?}")));
    }
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let mut parts = kind.split(';').map(|part| part.trim().to_ascii_lowercase());
    let essence = parts.next().unwrap_or_default();
    let charset =
        parts.find_map(|part| part.strip_prefix("charset=").map(|name| name.trim_matches('"').to_owned()));
    if let Some(charset) = charset
        && !["utf-8", "utf8", "us-ascii"].contains(&charset.as_str())
    {
        return Err(unsupported(format!("unsupported charset: {charset:?}")));
    }
    let declared = match essence.as_str() {
        "application/x-ndjson" | "application/jsonl" | "application/ndjson" => Some(FormatName::JsonL),
        "text/csv" => Some(FormatName::Csv),
        // What browsers and tools send for a file that they do not know.
        "" | "application/octet-stream" | "text/plain" if query.format.is_some() => query.format,
        "" => return Err(unsupported("missing header: Content-Type".to_owned())),
        _ => return Err(unsupported(format!("unsupported Content-Type: {essence:?}"))),
    };
    if query.format.is_some() && query.format != declared {
        return Err(invalid(format!(
            "the query's format differs from the Content-Type {essence:?}; omit one"
        )));
    }
    match (declared, query.column.as_deref()) {
        (Some(FormatName::Csv), Some("")) => {
            Err(invalid("column is empty; name the column with the texts, or omit it"))
        }
        (Some(FormatName::Csv), column) => {
            Ok(Format::Csv { column: column.unwrap_or(DEFAULT_COLUMN).to_owned() })
        }
        (_, Some(_)) => Err(invalid("column is for CSV only; omit it (JSON lines have the field \"text\")")),
        (_, None) => Ok(Format::JsonL),
    }
}

/// Rejects an upload whose Content-Length is too large, before reading it.
pub(crate) fn check_length(headers: &HeaderMap, max: u64) -> Result<(), ApiError> {
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > max) { Err(too_large(max)) } else { Ok(()) }
}

/// Streams a body to disk, with at most a few chunks in memory.
pub(crate) async fn receive(
    mut upload: Upload,
    body: &mut Body,
    max: u64,
    mut pace: Pace,
) -> Result<Upload, ApiError> {
    let mut chunk = Vec::with_capacity(CHUNK);
    loop {
        let frame = pace.next(body.frame()).await.map_err(|problem| too_slow(&problem))?;
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|error| {
            ApiError::new(
                StatusCode::BAD_REQUEST,
                "upload_incomplete",
                format!("incomplete upload: {error}; no job was created; send it again"),
            )
        })?;
        let Ok(bytes) = frame.into_data() else { continue };
        pace.add(bytes.len());
        if upload.incoming.bytes + chunk.len() as u64 + bytes.len() as u64 > max {
            return Err(too_large(max));
        }
        chunk.extend_from_slice(&bytes);
        if chunk.len() >= CHUNK {
            (upload, chunk) = write(upload, chunk).await?;
        }
    }
    let (upload, _) = write(upload, chunk).await?;
    if upload.incoming.bytes == 0 {
        return Err(invalid("the body is empty; send JSON lines or a CSV file"));
    }
    Ok(upload)
}

async fn write(mut upload: Upload, mut chunk: Vec<u8>) -> Result<(Upload, Vec<u8>), ApiError> {
    tokio::task::spawn_blocking(move || {
        upload.incoming.write(&chunk).map_err(disk_error)?;
        chunk.clear();
        Ok((upload, chunk))
    })
    .await?
}

/// The API error for an upload that cannot be stored.
pub(crate) fn disk_error(error: io::Error) -> ApiError {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    log::error!("cannot store an upload: {error}");
    if matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge) {
        return ApiError::new(
            StatusCode::INSUFFICIENT_STORAGE,
            "disk_full",
            format!(
                "DATA_DIR is full: {error}; no job was created; free disk space or send a smaller upload"
            ),
        );
    }
    ApiError::unavailable(format!("cannot write to DATA_DIR: {error}; no job was created; repair the volume"))
}

/// 422 `invalid_request`.
pub(crate) fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_request", message)
}

fn unsupported(problem: String) -> ApiError {
    ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        format!("{problem}; send JSON lines as application/x-ndjson or CSV as text/csv, in UTF-8"),
    )
}

fn too_large(max: u64) -> ApiError {
    ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "payload_too_large",
        format!("the upload is larger than {max} bytes (MAX_UPLOAD_BYTES); split it"),
    )
}

fn too_slow(problem: &TooSlow) -> ApiError {
    let (code, message) = match problem {
        TooSlow::Stalled(idle) => (
            "upload_stalled",
            format!(
                "no data received for {} s (UPLOAD_IDLE_SECONDS); no job was created; send it again",
                idle.as_secs()
            ),
        ),
        TooSlow::Slow(rate) => (
            "upload_too_slow",
            format!(
                "received less than {rate} bytes a second (MIN_UPLOAD_BYTES_PER_SECOND); no job was created; split the \
                 upload, or use a faster connection"
            ),
        ),
    };
    ApiError::new(StatusCode::REQUEST_TIMEOUT, code, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value")))
            .collect::<Vec<(axum::http::HeaderName, axum::http::HeaderValue)>>()
            .into_iter()
            .collect()
    }

    fn query(text: &str) -> UploadQuery {
        let uri = format!("/?{text}").parse().expect("a URI");
        axum::extract::Query::try_from_uri(&uri).expect("a query").0
    }

    #[test]
    fn the_content_type_or_the_query_selects_the_format() {
        let csv = |column: &str| Format::Csv { column: column.to_owned() };
        for (kind, text, expected) in [
            ("application/x-ndjson", "", Format::JsonL),
            ("Application/JSONL; charset=UTF-8", "format=jsonl", Format::JsonL),
            ("text/csv", "", csv("text")),
            ("text/csv; header=present; charset=\"utf-8\"", "column=body", csv("body")),
            ("", "format=jsonl", Format::JsonL),
            ("application/octet-stream", "format=csv&column=a%20b", csv("a b")),
            ("text/plain;charset=utf-8", "format=csv", csv("text")),
        ] {
            let headers = if kind.is_empty() { headers(&[]) } else { headers(&[("content-type", kind)]) };
            assert_eq!(format(&headers, &query(text)), Ok(expected), "{kind} {text}");
        }
    }

    #[test]
    fn a_query_must_be_utf_8() {
        for (query, expected) in [
            ("", true),
            ("source=a%20b%2F%c3%BC&column=+", true),
            ("a=%", true),
            ("a=%zz%4", true),
            ("a=%ff", false),
            ("a=%C3", false),
            ("a=%ed%a0%80", false),
        ] {
            assert_eq!(is_utf_8(query), expected, "{query}");
        }
    }

    #[test]
    fn unsupported_uploads_are_rejected_before_reading_the_body() {
        for (pairs, text, status, expected) in [
            (&[][..], "", 415, "missing header: Content-Type"),
            (&[("content-type", "application/json")], "", 415, "application/json"),
            (&[("content-type", "application/octet-stream")], "", 415, "application/octet-stream"),
            (&[("content-type", "multipart/form-data")], "format=csv", 415, "multipart/form-data"),
            (&[("content-type", "text/csv")], "format=jsonl", 422, "differs from the Content-Type"),
            (&[("content-type", "text/csv; charset=latin1")], "", 415, "latin1"),
            (&[("content-type", "text/csv"), ("content-encoding", "gzip")], "", 415, "Content-Encoding"),
            (&[("content-type", "application/jsonl")], "column=a", 422, "column is for CSV"),
            (&[("content-type", "text/csv")], "column=", 422, "column is empty"),
        ] {
            let error = format(&headers(pairs), &query(text)).expect_err(expected);
            assert_eq!(error.status, status, "{pairs:?}");
            assert!(error.message.contains(expected), "{}", error.message);
        }
        let length = headers(&[("content-length", "11")]);
        assert_eq!(check_length(&length, 10).expect_err("too large").status, 413);
        assert_eq!(check_length(&length, 11), Ok(()));
        assert_eq!(check_length(&headers(&[]), 1), Ok(()));
    }
}
