//! JSON request and response bodies.

use axum::RequestExt as _;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bodies;
use crate::error::ApiError;

/// A JSON request or response body, like [`axum::Json`] but with errors as [`ApiError`]. A request body that does not
/// match the type is a 400 whose message starts with the path in the document (`concepts[3].text: ...`).
#[derive(Debug, Clone, Copy)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let bodies = bodies::of(&request);
        let (parts, body) = request.with_limited_body().into_parts();
        let body = bodies::read(&bodies, body).await?;
        match axum::Json::from_request(Request::from_parts(parts, body.into()), state).await {
            Ok(axum::Json(value)) => Ok(Self(value)),
            Err(rejection) => Err(rejection.into()),
        }
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        match rejection {
            JsonRejection::JsonDataError(error) => Self::invalid(parser_error(&error)),
            JsonRejection::JsonSyntaxError(error) => Self::new(
                StatusCode::BAD_REQUEST,
                "invalid_json",
                format!("invalid JSON body: {}", parser_error(&error)),
            ),
            JsonRejection::MissingJsonContentType(_) => Self::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "unsupported media type; send JSON with the header Content-Type: application/json",
            ),
            other => Self::new(other.status(), "unreadable_body", other.body_text()),
        }
    }
}

/// The parser's message, which has the path and the position. The outer errors only repeat the status.
fn parser_error(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        // The innermost error has the position but not the path.
        if source.source().is_none() {
            break;
        }
        error = source;
    }
    error.to_string()
}
