//! `.dockerignore` ("docker build", ".dockerignore files").

use std::path::Path;

use crate::pattern::matches;

/// The patterns of a `.dockerignore`, in order.
#[derive(Debug, Clone, Default)]
pub struct Ignored {
    rules: Vec<(bool, String)>,
}

impl Ignored {
    /// The file beside the Dockerfile, else the one of the context; no patterns if neither can be read.
    pub fn of(context: &Path, dockerfile: &Path) -> Ignored {
        let mut beside = dockerfile.as_os_str().to_owned();
        beside.push(".dockerignore");
        let text = std::fs::read_to_string(&beside)
            .or_else(|_| std::fs::read_to_string(context.join(".dockerignore")));
        Ignored::parse(&text.unwrap_or_default())
    }

    fn parse(text: &str) -> Ignored {
        let rule = |line: &str| {
            let line = line.trim();
            let (keeps, pattern) = line.strip_prefix('!').map_or((false, line), |rest| (true, rest));
            let pattern = pattern.trim().trim_start_matches("./").trim_matches('/');
            (!line.starts_with('#') && !pattern.is_empty()).then(|| (keeps, pattern.to_owned()))
        };
        Ignored { rules: text.trim_start_matches('\u{feff}').lines().filter_map(rule).collect() }
    }

    /// Whether a path of the context never reaches the build. A folder counts as long as an exception may keep something in it.
    pub fn hides(&self, path: &str) -> bool {
        let mut hidden = false;
        for (keeps, pattern) in &self.rules {
            let is_meant = prefixes(path).any(|prefix| matches(pattern, prefix));
            let keeps_inside =
                *keeps && (pattern.starts_with(&format!("{path}/")) || pattern.starts_with("**"));
            if is_meant || keeps_inside {
                hidden = !keeps;
            }
        }
        hidden
    }
}

/// `a`, `a/b`, `a/b/c`.
fn prefixes(path: &str) -> impl Iterator<Item = &str> {
    let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
    ends.map(|end| &path[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_pattern_decides() {
        let ignored = Ignored::parse("\u{feff}# note\r\n*\r\n!src/app\r\n**/*.pyc\r\n!keep.pyc\r\n");
        for hidden in ["a", "src/other", "src/app/x.pyc", "b/c"] {
            assert!(ignored.hides(hidden), "{hidden}");
        }
        for kept in ["src", "src/app", "src/app/x", "keep.pyc"] {
            assert!(!ignored.hides(kept), "{kept}");
        }
    }
}
