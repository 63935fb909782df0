//! Paths of requests: normalization and routes.

/// The path with percent-encodings decoded, slashes merged, and `.` and `..` resolved. `None` if it is malformed or leaves
/// the root.
pub(crate) fn normalize(raw: &str) -> Option<String> {
    let decoded = decode(raw.strip_prefix('/')?)?;
    let mut parts: Vec<&[u8]> = Vec::new();
    // An empty last part stands for a slash at the end.
    let mut has_slash = true;
    for part in decoded.split(|&byte| byte == b'/') {
        has_slash = matches!(part, b"" | b"." | b"..");
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    let mut path = String::new();
    for part in &parts {
        path.push('/');
        path.push_str(&String::from_utf8_lossy(part));
    }
    if has_slash {
        path.push('/');
    }
    Some(path)
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        let byte = if byte == b'%' {
            let mut digit = || char::from(bytes.next()?).to_digit(16);
            u8::try_from(digit()? * 16 + digit()?).ok().filter(|&byte| byte != 0)?
        } else {
            byte
        };
        decoded.push(byte);
    }
    Some(decoded)
}

/// The route of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// The health check of this server.
    Health,
    /// The api service.
    Api,
    /// The api service, for files of any size.
    Files,
    /// The health check of the api service.
    ApiHealth,
    /// A file; 404 if it does not exist.
    File,
    /// A file, or else the page, which has its own routes.
    Page,
    /// Not found.
    None,
}

/// The route of a normalized path.
pub(crate) fn route(path: &str) -> Route {
    match path {
        "/health" => Route::Health,
        "/api/jobs" => Route::Files,
        "/api/health" => Route::ApiHealth,
        "/api" => Route::None,
        _ if path.starts_with("/api/") => Route::Api,
        _ if path.starts_with("/assets/") || has_extension(path) => Route::File,
        _ => Route::Page,
    }
}

fn has_extension(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.find('.').is_some_and(|dot| dot + 1 < name.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_one_normal_form() {
        for (raw, expected) in [
            ("/", Some("/")),
            ("/a//b", Some("/a/b")),
            ("//a/./b/", Some("/a/b/")),
            ("/a/../b", Some("/b")),
            ("/a/b/..", Some("/a/")),
            ("/a/.", Some("/a/")),
            ("/%61pi/%2e%2E/x", Some("/x")),
            ("/a%2fb", Some("/a/b")),
            ("/a%2f%2e%2e%2fb", Some("/b")),
            ("/a%3Fb%23%25", Some("/a?b#%")),
            ("/%C3%BC", Some("/\u{fc}")),
            ("/%ff", Some("/\u{fffd}")),
            ("/...", Some("/...")),
            ("/..", None),
            ("/a/../..", None),
            ("/%2e%2e/etc/passwd", None),
            ("/..%2fetc", None),
            ("/%00", None),
            ("/%", None),
            ("/%4", None),
            ("/%4g", None),
            ("/%+1", None),
            ("*", None),
            ("", None),
        ] {
            assert_eq!(normalize(raw).as_deref(), expected, "{raw}");
        }
    }

    #[test]
    fn paths_lead_where_nginx_leads_them() {
        for (path, expected) in [
            ("/", Route::Page),
            ("/topics", Route::Page),
            ("/a.b/c", Route::Page),
            ("/foo.", Route::Page),
            ("/apix", Route::Page),
            ("/healthy", Route::Page),
            ("/assets", Route::Page),
            ("/index.html", Route::File),
            ("/.x", Route::File),
            ("/api.js", Route::File),
            ("/assets/x", Route::File),
            ("/assets/", Route::File),
            ("/health", Route::Health),
            ("/api", Route::None),
            ("/api/", Route::Api),
            ("/api/concepts/a.b", Route::Api),
            ("/api/jobs", Route::Files),
            ("/api/jobs/", Route::Api),
            ("/api/health", Route::ApiHealth),
        ] {
            assert_eq!(route(path), expected, "{path}");
        }
    }
}
