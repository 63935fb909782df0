//! Receiving an upload: what its headers say, and its bytes on their way to the disk.

use std::io;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use sutra_service::ApiError;

use crate::records::Format;
use crate::spool::Incoming;

/// What is gathered before it is written.
const CHUNK: usize = 256 << 10;

/// The column of CSV that holds the texts, unless the request names another.
const COLUMN: &str = "text";

/// How the headers and the query say that the upload is to be read.
pub(crate) fn format(headers: &HeaderMap, column: Option<String>) -> Result<Format, ApiError> {
    let refused = |what: String| {
        Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            format!("{what}; send JSON lines as application/x-ndjson or CSV as text/csv, in UTF-8"),
        ))
    };
    if let Some(encoding) = headers.get(CONTENT_ENCODING)
        && encoding != "identity"
    {
        return refused(
            "the header Content-Encoding asks for something this service does not read".to_owned(),
        );
    }
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let mut parts = kind.split(';').map(|part| part.trim().to_ascii_lowercase());
    let essence = parts.next().unwrap_or_default();
    let charset =
        parts.find_map(|part| part.strip_prefix("charset=").map(|name| name.trim_matches('"').to_owned()));
    if let Some(charset) = charset
        && !["utf-8", "utf8", "us-ascii"].contains(&charset.as_str())
    {
        return refused(format!("the charset {charset:?} is not read"));
    }
    match (essence.as_str(), column) {
        ("application/x-ndjson" | "application/jsonl" | "application/ndjson", None) => Ok(Format::JsonL),
        ("application/x-ndjson" | "application/jsonl" | "application/ndjson", Some(_)) => Err(invalid(
            "column is for CSV; a line of JSON holds its text in the field \"text\"; leave column out",
        )),
        ("text/csv", Some(column)) if column.is_empty() => {
            Err(invalid("column is empty; name the column of the texts, or leave it out"))
        }
        ("text/csv", column) => Ok(Format::Csv { column: column.unwrap_or_else(|| COLUMN.to_owned()) }),
        ("", _) => refused("the header Content-Type is missing".to_owned()),
        _ => refused(format!("the Content-Type {essence:?} is not read")),
    }
}

/// Refuses an upload that says itself that it is too large, before it is sent.
pub(crate) fn check_length(headers: &HeaderMap, most: u64) -> Result<(), ApiError> {
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > most) { Err(too_large(most)) } else { Ok(()) }
}

/// Writes a body to disk as it comes in, never more than a few pieces of it in memory.
pub(crate) async fn receive(
    mut incoming: Incoming,
    mut body: Body,
    most: u64,
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
                format!("the upload broke off, so there is no job: {error}; send it again"),
            )
        })?;
        let Ok(bytes) = frame.into_data() else { continue };
        if incoming.bytes + chunk.len() as u64 + bytes.len() as u64 > most {
            return Err(too_large(most));
        }
        chunk.extend_from_slice(&bytes);
        if chunk.len() >= CHUNK {
            (incoming, chunk) = write(incoming, chunk).await?;
        }
    }
    let (incoming, _) = write(incoming, chunk).await?;
    if incoming.bytes == 0 {
        return Err(invalid("the body is empty; send lines of JSON or a CSV file"));
    }
    Ok(incoming)
}

async fn write(mut incoming: Incoming, mut chunk: Vec<u8>) -> Result<(Incoming, Vec<u8>), ApiError> {
    tokio::task::spawn_blocking(move || {
        incoming.write(&chunk).map_err(unwritable)?;
        chunk.clear();
        Ok((incoming, chunk))
    })
    .await?
}

/// The answer where an upload cannot be kept.
pub(crate) fn unwritable(error: io::Error) -> ApiError {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    log::error!("an upload cannot be kept: {error}");
    if matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge) {
        return ApiError::new(
            StatusCode::INSUFFICIENT_STORAGE,
            "disk_full",
            format!(
                "the upload does not fit into DATA_DIR, so there is no job: {error}; make room there or send less"
            ),
        );
    }
    ApiError::unavailable(format!("DATA_DIR cannot be written, so there is no job: {error}; repair it"))
}

/// 422: the request can be read and makes no sense.
pub(crate) fn invalid(what: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_request", what)
}

fn too_large(most: u64) -> ApiError {
    ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "payload_too_large",
        format!(
            "the upload has more than {most} bytes, which is the most (MAX_UPLOAD_BYTES); send it in parts"
        ),
    )
}

fn stalled(idle: Duration) -> ApiError {
    ApiError::new(
        StatusCode::REQUEST_TIMEOUT,
        "upload_stalled",
        format!(
            "no byte came for {} s (UPLOAD_IDLE_SECONDS), so there is no job; send it again",
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
    fn a_content_type_names_the_format() {
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
    fn what_cannot_be_read_is_refused_before_it_is_sent() {
        for (pairs, column, status, says) in [
            (&[][..], None, 415, "Content-Type is missing"),
            (&[("content-type", "application/json")], None, 415, "application/json"),
            (&[("content-type", "text/csv; charset=latin1")], None, 415, "latin1"),
            (&[("content-type", "text/csv"), ("content-encoding", "gzip")], None, 415, "Content-Encoding"),
            (&[("content-type", "application/jsonl")], Some("a"), 422, "column is for CSV"),
            (&[("content-type", "text/csv")], Some(""), 422, "column is empty"),
        ] {
            let error = format(&headers(pairs), column.map(str::to_owned)).expect_err(says);
            assert_eq!(error.status, status, "{pairs:?}");
            assert!(error.message.contains(says), "{}", error.message);
        }
        let length = headers(&[("content-length", "11")]);
        assert_eq!(check_length(&length, 10).expect_err("too large").status, 413);
        assert_eq!(check_length(&length, 11), Ok(()));
        assert_eq!(check_length(&headers(&[]), 1), Ok(()));
    }
}
