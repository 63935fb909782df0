//! Request ids: one for each request, in the answer, in every line logged meanwhile, and in calls to other services.

use std::future::Future;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;

/// The header with the id.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id that is accepted, in characters.
const MAX_CHARACTERS: usize = 64;

tokio::task_local! {
    /// The id of the request that the task handles.
    static CURRENT: Arc<str>;
}

/// Middleware. Gives a request an id: the valid one that it came with, or a new one of 32 hex digits.
pub async fn identify(request: Request, next: Next) -> Response {
    let id = given(request.headers()).map_or_else(new, Arc::from);
    let mut response = CURRENT.scope(id.clone(), next.run(request)).await;
    // Always a valid value: letters, digits and three signs.
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// The id of the request that is being answered here; `None` outside of one.
pub fn current_id() -> Option<Arc<str>> {
    CURRENT.try_with(Arc::clone).ok()
}

/// Lets another task log with this request's id: `spawn(carried(future))`.
pub(crate) fn carried<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let id = current_id();
    async move {
        match id {
            Some(id) => CURRENT.scope(id, future).await,
            None => future.await,
        }
    }
}

/// Lets another thread log with this request's id: `spawn_blocking(in_request(work))`.
pub fn in_request<T>(work: impl FnOnce() -> T) -> impl FnOnce() -> T {
    let id = current_id();
    move || match id {
        Some(id) => CURRENT.sync_scope(id, work),
        None => work(),
    }
}

/// The valid id in the header.
fn given(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(REQUEST_ID).iter();
    let (first, None) = (values.next()?, values.next()) else { return None };
    first.to_str().ok().filter(|id| is_valid(id))
}

fn is_valid(id: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=MAX_CHARACTERS).contains(&id.len()) && id.bytes().all(is_allowed)
}

fn new() -> Arc<str> {
    // The standard library seeds `RandomState` from the operating system.
    let bits = || RandomState::new().hash_one(());
    format!("{:016x}{:016x}", bits(), bits()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_in_headers_are_checked() {
        for (values, expected) in [
            (&["a.B_c-1"][..], Some("a.B_c-1")),
            (&[&"a".repeat(64)], Some("a".repeat(64).as_str())),
            (&[&"a".repeat(65)], None),
            (&[""], None),
            (&["a b"], None),
            (&["a/b"], None),
            (&["\u{fc}"], None),
            (&["a", "b"], None),
            (&[], None),
        ] {
            let values =
                values.iter().map(|value| HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
            let headers: HeaderMap = values.map(|value| (REQUEST_ID, value)).fold(
                HeaderMap::new(),
                |mut headers, (name, value)| {
                    headers.append(name, value);
                    headers
                },
            );
            assert_eq!(given(&headers), expected);
        }
    }

    #[test]
    fn new_ids_are_valid_and_differ() {
        let (first, second) = (new(), new());
        assert!(is_valid(&first) && first.len() == 32 && first != second, "{first} {second}");
    }

    #[tokio::test]
    async fn a_thread_inherits_the_id() {
        let id = || current_id().map(|id| id.to_string());
        assert_eq!(id(), None);
        assert_eq!(tokio::task::spawn_blocking(in_request(id)).await.expect("no panic"), None);
        CURRENT
            .scope("a".into(), async move {
                assert_eq!(tokio::task::spawn_blocking(id).await.expect("no panic"), None);
                let inherited = tokio::task::spawn_blocking(in_request(id)).await.expect("no panic");
                assert_eq!(inherited.as_deref(), Some("a"));
            })
            .await;
    }
}
