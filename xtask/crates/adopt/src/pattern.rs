//! Patterns of COPY sources and `.dockerignore` (Go's `path.Match`, with `**` for any number of folders).

/// Whether a path matches a pattern, both with `/` between their parts.
pub(crate) fn matches(pattern: &str, path: &str) -> bool {
    let pattern: Vec<&str> = pattern.split('/').collect();
    let path: Vec<&str> = path.split('/').collect();
    parts(&pattern, &path)
}

fn parts(pattern: &[&str], path: &[&str]) -> bool {
    match (pattern.split_first(), path.split_first()) {
        (None, None) => true,
        (Some((&"**", rest)), _) => (0..=path.len()).any(|skip| parts(rest, &path[skip..])),
        (Some((first, rest)), Some((part, more))) => {
            let (first, part): (Vec<char>, Vec<char>) = (first.chars().collect(), part.chars().collect());
            part_matches(&first, &part) && parts(rest, more)
        }
        _ => false,
    }
}

/// Whether a file name matches; `*`, `?`, `[a-z]`, `[^a]` and `\x`.
fn part_matches(pattern: &[char], name: &[char]) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some(('*', rest)) => (0..=name.len()).any(|skip| part_matches(rest, &name[skip..])),
        Some(('?', rest)) => !name.is_empty() && part_matches(rest, &name[1..]),
        Some(('[', rest)) => match (class(rest), name.split_first()) {
            (Some((accepts, rest)), Some((first, more))) => accepts(*first) && part_matches(rest, more),
            _ => false,
        },
        Some(('\\', rest)) if !rest.is_empty() => literal(rest, name),
        Some(_) => literal(pattern, name),
    }
}

fn literal(pattern: &[char], name: &[char]) -> bool {
    name.first() == pattern.first() && part_matches(&pattern[1..], &name[1..])
}

/// The characters of `a-z]…`, and what follows the bracket.
fn class(pattern: &[char]) -> Option<(impl Fn(char) -> bool, &[char])> {
    let end = pattern.iter().skip(1).position(|c| *c == ']')? + 1;
    let (inside, rest) = (&pattern[..end], &pattern[end + 1..]);
    let (inverted, inside) = match inside.split_first() {
        Some(('^', inside)) => (true, inside),
        _ => (false, inside),
    };
    let is_inside = move |c: char| {
        let ranges = inside.windows(3).any(|window| window[1] == '-' && (window[0]..=window[2]).contains(&c));
        (ranges || inside.contains(&c)) != inverted
    };
    Some((is_inside, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_like_docker_s() {
        for (pattern, path) in [
            ("a/b", "a/b"),
            ("*.txt", "a.txt"),
            ("package*.json", "package-lock.json"),
            ("a?c", "abc"),
            ("**/x", "x"),
            ("**/x", "a/b/x"),
            ("a/**", "a/b/c"),
            ("[a-c]x", "bx"),
            ("[^a]x", "bx"),
            ("\\*x", "*x"),
        ] {
            assert!(matches(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in
            [("*.txt", "a/b.txt"), ("a", "ab"), ("[^a]x", "ax"), ("a/*", "a"), ("[", "["), ("\\*x", "ax")]
        {
            assert!(!matches(pattern, path), "{pattern} {path}");
        }
    }
}
