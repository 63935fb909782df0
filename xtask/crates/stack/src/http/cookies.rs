//! The cookies of one host (RFC 6265). `Domain` and `Secure` are ignored: requests go to loopback addresses over plain HTTP,
//! where browsers send secure cookies too.

use std::time::{Duration, SystemTime};

#[derive(Debug, Default)]
pub(super) struct CookieJar(Vec<Cookie>);

/// A cookie. Its value is bytes because some services do not send UTF-8.
#[derive(Debug)]
pub(super) struct Cookie {
    pub(super) name: String,
    pub(super) value: Vec<u8>,
    path: String,
    /// `None` for a session cookie.
    expires: Option<SystemTime>,
}

impl Cookie {
    /// Parses the `Set-Cookie` header of a response to a request for `path`; `None` if it is invalid.
    pub(super) fn parse(header: &[u8], path: &str) -> Option<Cookie> {
        let mut parts = header.split(|byte| *byte == b';');
        let pair = parts.next()?.trim_ascii();
        let end = pair.iter().position(|byte| *byte == b'=')?;
        let name = String::from_utf8_lossy(pair[..end].trim_ascii()).into_owned();
        let value = pair[end + 1..].trim_ascii().to_owned();
        let default =
            path.split(['?', '#']).next().and_then(|path| path.rsplit_once('/')).map(|(folder, _)| folder);
        let default = default.filter(|folder| !folder.is_empty()).unwrap_or("/").to_owned();
        let mut cookie = Cookie { name, value, path: default, expires: None };
        let mut age = None;
        for part in parts {
            let part = String::from_utf8_lossy(part);
            let (name, value) = part.split_once('=').unwrap_or((&part, ""));
            let value = value.trim();
            match name.trim().to_ascii_lowercase().as_str() {
                "max-age" => age = expiry(value).or(age),
                "expires" => cookie.expires = date(value).or(cookie.expires),
                "path" if value.starts_with('/') => cookie.path = value.to_owned(),
                _ => {}
            }
        }
        cookie.expires = age.or(cookie.expires);
        (!cookie.name.is_empty()).then_some(cookie)
    }

    /// Servers delete a cookie by sending an expired one.
    pub(super) fn is_expired(&self) -> bool {
        self.expires.is_some_and(|expires| expires <= SystemTime::now())
    }

    fn is_for(&self, path: &str) -> bool {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let rest = path.strip_prefix(&self.path);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || self.path.ends_with('/'))
    }
}

impl CookieJar {
    /// Stores a cookie and replaces the one with the same name and path. An expired cookie only deletes that one.
    pub(super) fn keep(&mut self, cookie: Cookie) {
        self.0.retain(|old| (&old.name, &old.path) != (&cookie.name, &cookie.path));
        if !cookie.is_expired() {
            self.0.push(cookie);
        }
    }

    /// The `Cookie` header for a request, most specific cookie paths first; `None` without matching cookies.
    pub(super) fn header(&self, path: &str) -> Option<Vec<u8>> {
        let mut cookies: Vec<&Cookie> =
            self.0.iter().filter(|cookie| !cookie.is_expired() && cookie.is_for(path)).collect();
        cookies.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        let pairs: Vec<Vec<u8>> =
            cookies.iter().map(|cookie| [cookie.name.as_bytes(), b"=", &cookie.value].concat()).collect();
        (!pairs.is_empty()).then(|| pairs.join(b"; ".as_slice()))
    }
}

/// The expiry time for a `Max-Age`; in the past for zero and negative numbers.
fn expiry(seconds: &str) -> Option<SystemTime> {
    let seconds: i64 = seconds.parse().ok()?;
    let after = |seconds| SystemTime::now().checked_add(Duration::from_secs(seconds));
    u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map_or(Some(SystemTime::UNIX_EPOCH), after)
}

/// Parses an `Expires` date, including Netscape's format with dashes, which many frameworks still use.
fn date(text: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(text).or_else(|_| httpdate::parse_http_date(&text.replace('-', " "))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(headers: &[&str], path: &str) -> String {
        let mut jar = CookieJar::default();
        for header in headers {
            jar.keep(Cookie::parse(header.as_bytes(), "/api/sign-in?next=/x").unwrap());
        }
        String::from_utf8(jar.header(path).unwrap_or_default()).unwrap()
    }

    #[test]
    fn cookies_live_until_they_expire() {
        for (end, lives) in [
            ("", true),
            ("; Max-Age=3600", true),
            ("; max-age=0", false),
            ("; Max-Age=-1", false),
            ("; Expires=Fri, 31 Dec 9999 23:59:59 GMT", true),
            ("; Expires=Thu, 01 Jan 1970 00:00:00 GMT", false),
            ("; expires=Thu, 01-Jan-1970 00:00:00 GMT", false),
            ("; Expires=Thursday, 01-Jan-70 00:00:00 GMT", false),
            ("; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=60", true),
            ("; Max-Age=0; Expires=Fri, 31 Dec 9999 23:59:59 GMT", false),
            ("; Expires=soon; Max-Age=long", true),
        ] {
            let expected = if lives { "s=b" } else { "" };
            assert_eq!(sent(&["s=a; Path=/", &format!("s=b; Path=/{end}")], "/"), expected, "{end}");
        }
        // An empty value does not delete the cookie.
        assert_eq!(sent(&["s=a", "s="], "/api/"), "s=");
        assert_eq!(
            sent(&["s=\"a b\"; Secure; HttpOnly; Domain=example.com; SameSite=Strict"], "/api"),
            "s=\"a b\""
        );
    }

    #[test]
    fn cookies_are_sent_to_their_paths() {
        let headers = ["a=1; Path=/", "b=2; Path=/api", "c=3"];
        assert_eq!(sent(&headers, "/api/things?x=1"), "b=2; c=3; a=1");
        assert_eq!(sent(&headers, "/apix"), "a=1");
        assert_eq!(sent(&["a=1; Path=/x/", "a=2; Path=/"], "/x/y"), "a=1; a=2");
    }

    #[test]
    fn a_cookie_may_be_of_any_bytes_but_needs_a_name() {
        let cookie = Cookie::parse(b"s=caf\xe9", "/").unwrap();
        assert_eq!(cookie.value, b"caf\xe9");
        assert!(Cookie::parse(b"=x", "/").is_none() && Cookie::parse(b"x; Path=/", "/").is_none());
    }
}
