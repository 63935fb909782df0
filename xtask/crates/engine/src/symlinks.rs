//! Symbolic links of an image, followed as Linux follows them, but never out of the image.

/// The limit in Linux (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// Resolves the links in a path; `link` returns the target of a link. The last component is not followed, unless the path ends with `/.`.
/// `None` if there are too many links, as in a loop.
pub fn real<'t>(path: &str, link: impl Fn(&str) -> Option<&'t str>) -> Option<String> {
    let mut todo: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
    let mut done: Vec<String> = Vec::new();
    let mut links = 0;
    while let Some(part) = todo.pop() {
        match part.as_str() {
            "" | "." => continue,
            ".." => {
                done.pop();
                continue;
            }
            _ => done.push(part),
        }
        if todo.is_empty() {
            break;
        }
        if let Some(target) = link(&done.join("/")) {
            links += 1;
            if links > MOST_LINKS {
                return None;
            }
            done.pop();
            if target.starts_with('/') {
                done.clear();
            }
            todo.extend(target.split('/').rev().map(str::to_owned));
        }
    }
    Some(done.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_files_of_the_image_and_loops_end() {
        let link = |path: &str| match path {
            "lib" => Some("usr/lib"),
            "usr/lib/a" => Some("../../../../etc/a"),
            "etc/a" => Some("/b"),
            "loop" => Some("loop"),
            _ => None,
        };
        for (path, expected) in [
            ("lib/x", Some("usr/lib/x")),
            ("lib", Some("lib")),
            ("lib/.", Some("usr/lib")),
            ("lib/a", Some("usr/lib/a")),
            ("lib/a/.", Some("b")),
            ("../lib//./x", Some("usr/lib/x")),
            ("loop/.", None),
        ] {
            assert_eq!(real(path, link).as_deref(), expected, "{path}");
        }
    }
}
