//! Conditional requests and ranges (RFC 9110, sections 13 and 14), handled as nginx does.

use std::ops::Range;
use std::time::SystemTime;

use axum::http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

/// The `ETag` and `Last-Modified` of a file. `None` if the file cannot be revalidated.
pub(crate) type Validators<'a> = Option<(&'a HeaderValue, &'a HeaderValue)>;

/// The status if a condition of the request applies: 304 or 412. `None` to send the file.
pub(crate) fn condition(headers: &HeaderMap, validators: Validators<'_>) -> Option<StatusCode> {
    let (tag, date) = validators?;
    let is_the_version = match lists(headers, IF_MATCH, tag, false) {
        Some(listed) => listed,
        None => headers.get(IF_UNMODIFIED_SINCE).is_none_or(|since| time(since) >= time(date)),
    };
    if !is_the_version {
        return Some(StatusCode::PRECONDITION_FAILED);
    }
    let is_unchanged = match lists(headers, IF_NONE_MATCH, tag, true) {
        Some(listed) => listed,
        None => headers.get(IF_MODIFIED_SINCE) == Some(date),
    };
    is_unchanged.then_some(StatusCode::NOT_MODIFIED)
}

/// `None` if this is not a date. It compares as earlier than every time.
fn time(date: &HeaderValue) -> Option<SystemTime> {
    httpdate::parse_http_date(date.to_str().ok()?).ok()
}

/// Whether a header lists the tag, or all tags; `None` without the header. A weak tag can only match if `weak`.
fn lists(headers: &HeaderMap, name: HeaderName, tag: &HeaderValue, weak: bool) -> Option<bool> {
    let mut values = headers.get_all(name).iter().peekable();
    values.peek()?;
    let is_it = |listed: &str| {
        let listed = listed.trim();
        let strong = listed.strip_prefix("W/").filter(|_| weak).unwrap_or(listed);
        listed == "*" || strong.as_bytes() == tag.as_bytes()
    };
    Some(values.any(|value| value.to_str().is_ok_and(|list| list.split(',').any(is_it))))
}

/// The requested range of bytes; `None` for the whole file, also if several ranges are requested.
///
/// # Errors
/// When the range is outside the file or malformed.
pub(crate) fn range(
    headers: &HeaderMap,
    validators: Validators<'_>,
    length: usize,
) -> Result<Option<Range<usize>>, ()> {
    let Some(range) = headers.get(RANGE).and_then(|value| value.to_str().ok()?.strip_prefix("bytes=")) else {
        return Ok(None);
    };
    if let Some(version) = headers.get(IF_RANGE)
        && validators.is_none_or(|(tag, date)| version != tag && version != date)
    {
        return Ok(None);
    }
    if range.contains(',') {
        return Ok(None);
    }
    let (first, last) = range.trim().split_once('-').ok_or(())?;
    let range = match (number(first)?, number(last)?) {
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(length),
        (Some(first), None) => first..length,
        (None, Some(count)) => length.saturating_sub(count)..length,
        _ => return Err(()),
    };
    if range.start < range.end { Ok(Some(range)) } else { Err(()) }
}

/// `None` if empty. A number that is too large becomes one beyond the end of every file.
fn number(text: &str) -> Result<Option<usize>, ()> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(());
    }
    Ok(Some(text.parse().unwrap_or(usize::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: HeaderValue = HeaderValue::from_static("\"a-1\"");
    const DATE: HeaderValue = HeaderValue::from_static("Thu, 01 Jan 2026 00:00:00 GMT");

    fn with(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn unchanged_files_are_not_sent_again() {
        let unchanged = Some(StatusCode::NOT_MODIFIED);
        let failed = Some(StatusCode::PRECONDITION_FAILED);
        for (name, value, expected) in [
            (IF_NONE_MATCH, "\"a-1\"", unchanged),
            (IF_NONE_MATCH, "W/\"a-1\"", unchanged),
            (IF_NONE_MATCH, "\"b\", \"a-1\"", unchanged),
            (IF_NONE_MATCH, "*", unchanged),
            (IF_NONE_MATCH, "\"a-2\"", None),
            (IF_MODIFIED_SINCE, "Thu, 01 Jan 2026 00:00:00 GMT", unchanged),
            (IF_MODIFIED_SINCE, "Thu, 01 Jan 2060 00:00:00 GMT", None),
            (IF_MATCH, "\"a-1\"", None),
            (IF_MATCH, "*", None),
            (IF_MATCH, "\"b\"", failed),
            (IF_MATCH, "W/\"a-1\"", failed),
            (IF_UNMODIFIED_SINCE, "Thu, 01 Jan 2026 00:00:00 GMT", None),
            (IF_UNMODIFIED_SINCE, "Thu, 01 Jan 2060 00:00:00 GMT", None),
            (IF_UNMODIFIED_SINCE, "Thursday, 01-Jan-26 00:00:01 GMT", None),
            (IF_UNMODIFIED_SINCE, "Wed, 01 Jan 2020 00:00:00 GMT", failed),
            (IF_UNMODIFIED_SINCE, "yesterday", failed),
        ] {
            let headers = with(name.clone(), value);
            assert_eq!(condition(&headers, Some((&TAG, &DATE))), expected, "{name} {value}");
            assert_eq!(condition(&headers, None), None, "{name} {value}");
        }
        let mut both = with(IF_NONE_MATCH, "\"b\"");
        both.insert(IF_MODIFIED_SINCE, DATE);
        assert_eq!(condition(&both, Some((&TAG, &DATE))), None);
    }

    #[test]
    fn one_range_is_cut_out() {
        for (text, expected) in [
            ("bytes=0-3", Ok(Some(0..4))),
            ("bytes=2-", Ok(Some(2..10))),
            ("bytes=-3", Ok(Some(7..10))),
            ("bytes=-30", Ok(Some(0..10))),
            ("bytes=9-99999999999999999999999", Ok(Some(9..10))),
            ("bytes=0-1,3-4", Ok(None)),
            ("lines=0-1", Ok(None)),
            ("bytes=10-", Err(())),
            ("bytes=-0", Err(())),
            ("bytes=3-2", Err(())),
            ("bytes=-", Err(())),
            ("bytes=x", Err(())),
            ("bytes=+1-2", Err(())),
        ] {
            assert_eq!(range(&with(RANGE, text), Some((&TAG, &DATE)), 10), expected, "{text}");
        }
        assert_eq!(range(&HeaderMap::new(), None, 10), Ok(None));
        assert_eq!(range(&with(RANGE, "bytes=0-"), None, 0), Err(()));
    }

    #[test]
    fn a_range_of_another_version_is_the_whole_file() {
        for (version, expected) in [
            ("\"a-1\"", Some(0..4)),
            ("Thu, 01 Jan 2026 00:00:00 GMT", Some(0..4)),
            ("\"a-2\"", None),
            ("W/\"a-1\"", None),
        ] {
            let mut headers = with(RANGE, "bytes=0-3");
            headers.insert(IF_RANGE, HeaderValue::from_static(version));
            assert_eq!(range(&headers, Some((&TAG, &DATE)), 10), Ok(expected), "{version}");
            assert_eq!(range(&headers, None, 10), Ok(None), "{version}");
        }
    }
}
