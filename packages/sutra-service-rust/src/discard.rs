//! Rejected requests whose client is still sending.

use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt as _;

/// How much of a rejected body is read at most, in bytes.
const DISCARD_BYTES: usize = 64 << 20;

/// How long a rejected body is read at most.
const DISCARD_TIME: Duration = Duration::from_secs(5);

/// Reads the rest of a rejected body in the background, within limits, and drops it. Without this, a client that is still
/// sending would get a reset connection instead of the answer.
pub fn discard(mut body: Body) {
    tokio::spawn(async move {
        let mut bytes = 0;
        let rest = async {
            while let Some(Ok(frame)) = body.frame().await
                && bytes < DISCARD_BYTES
            {
                bytes += frame.data_ref().map_or(0, |data| data.len());
            }
        };
        let _ = tokio::time::timeout(DISCARD_TIME, rest).await;
    });
}
