//! Receives uploads: checks the headers and writes the body to disk.

use std::io;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use sutra_service::ApiError;

use crate::records::Format;
use crate::spool::Incoming;

/// Size of a write.
const CHUNK: usize = 256 << 10;

/// Default name of the CSV column with the texts.
const DEFAULT_COLUMN: &str = "text";

/// The format of an upload, from its headers and query.
pub(crate) fn format(headers: &HeaderMap, column: Option<String>) -> Result<Format, ApiError> {
    let unsupported = |problem: String| {
        Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            format!("{problem}; send JSON lines as application/x-ndjson or CSV as text/csv, in UTF-8"),
        ))
    };
    if let Some(encoding) = headers.get(CONTENT_ENCODING)
        && encoding != "identity"
    {
        return unsupported(format!("unsupported Content-Encoding: {encoding:?}"));
    }
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let mut parts = kind.split(';').map(|part| part.trim().to_ascii_lowercase());
    let essence = parts.next().unwrap_or_default();
    let charset =
        parts.find_map(|part| part.strip_prefix("charset=").map(|name| name.trim_matches('"').to_owned()));
    if let Some(charset) = charset
        && !["utf-8", "utf8", "us-ascii"].contains(&charset.as_str())
    {
        return unsupported(format!("unsupported charset: {charset:?}"));
    }
    match (essence.as_str(), column) {
        ("application/x-ndjson" | "application/jsonl" | "application/ndjson", None) => Ok(Format::JsonL),
        ("application/x-ndjson" | "application/jsonl" | "application/ndjson", Some(_)) => {
            Err(invalid("column is for CSV only; omit it (JSON lines have the field \"text\")"))
        }
        ("text/csv", Some(column)) if column.is_empty() => {
            Err(invalid("column is empty; name the column with the texts, or omit it"))
        }
        ("text/csv", column) => {
            Ok(Format::Csv { column: column.unwrap_or_else(|| DEFAULT_COLUMN.to_owned()) })
        }
        ("", _) => unsupported("missing header: Content-Type".to_owned()),
        _ => unsupported(format!("unsupported Content-Type: {essence:?}")),
    }
}

/// Rejects an upload whose Content-Length is too large, before reading it.
pub(crate) fn check_length(headers: &HeaderMap, max: u64) -> Result<(), ApiError> {
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > max) { Err(too_large(max)) } else { Ok(()) }
}

/// Streams a body to disk, with at most a few chunks in memory.
pub(crate) async fn receive(
    mut incoming: Incoming,
    mut body: Body,
    max: u64,
    idle: Duration,
) -> Result<Incoming, ApiError> {
    let mut chunk = Vec::with_capacity(CHUNK);
    loop {
        let frame = tokio::time::timeout(idle, body.frame()).await.map_err(|_| stalled(idle))?;
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|error| {
            ApiError::new(
                StatusCode::BAD_REQUEST,
                "upload_incomplete",
                format!("incomplete upload: {error}; no job was created; send it again"),
            )
        })?;
        let Ok(bytes) = frame.into_data() else { continue };
        if incoming.bytes + chunk.len() as u64 + bytes.len() as u64 > max {
            return Err(too_large(max));
        }
        chunk.extend_from_slice(&bytes);
        if chunk.len() >= CHUNK {
            (incoming, chunk) = write(incoming, chunk).await?;
        }
    }
    let (incoming, _) = write(incoming, chunk).await?;
    if incoming.bytes == 0 {
        return Err(invalid("the body is empty; send JSON lines or a CSV file"));
    }
    Ok(incoming)
}

async fn write(mut incoming: Incoming, mut chunk: Vec<u8>) -> Result<(Incoming, Vec<u8>), ApiError> {
    tokio::task::spawn_blocking(move || {
        incoming.write(&chunk).map_err(disk_error)?;
        chunk.clear();
        Ok((incoming, chunk))
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

fn too_large(max: u64) -> ApiError {
    ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "payload_too_large",
        format!("the upload is larger than {max} bytes (MAX_UPLOAD_BYTES); split it"),
    )
}

fn stalled(idle: Duration) -> ApiError {
    ApiError::new(
        StatusCode::REQUEST_TIMEOUT,
        "upload_stalled",
        format!(
            "no data received for {} s (UPLOAD_IDLE_SECONDS); no job was created; send it again",
            idle.as_secs()
        ),
    )
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

    #[test]
    fn the_content_type_selects_the_format() {
        let csv = |column: &str| Format::Csv { column: column.to_owned() };
        for (kind, column, expected) in [
            ("application/x-ndjson", None, Format::JsonL),
            ("Application/JSONL; charset=UTF-8", None, Format::JsonL),
            ("text/csv", None, csv("text")),
            ("text/csv; header=present; charset=\"utf-8\"", Some("body"), csv("body")),
        ] {
            let found = format(&headers(&[("content-type", kind)]), column.map(str::to_owned));
            assert_eq!(found, Ok(expected), "{kind}");
        }
    }

    #[test]
    fn unsupported_uploads_are_rejected_before_reading_the_body() {
        for (pairs, column, status, expected) in [
            (&[][..], None, 415, "missing header: Content-Type"),
            (&[("content-type", "application/json")], None, 415, "application/json"),
            (&[("content-type", "text/csv; charset=latin1")], None, 415, "latin1"),
            (&[("content-type", "text/csv"), ("content-encoding", "gzip")], None, 415, "Content-Encoding"),
            (&[("content-type", "application/jsonl")], Some("a"), 422, "column is for CSV"),
            (&[("content-type", "text/csv")], Some(""), 422, "column is empty"),
        ] {
            let error = format(&headers(pairs), column.map(str::to_owned)).expect_err(expected);
            assert_eq!(error.status, status, "{pairs:?}");
            assert!(error.message.contains(expected), "{}", error.message);
        }
        let length = headers(&[("content-length", "11")]);
        assert_eq!(check_length(&length, 10).expect_err("too large").status, 413);
        assert_eq!(check_length(&length, 11), Ok(()));
        assert_eq!(check_length(&headers(&[]), 1), Ok(()));
    }
}
