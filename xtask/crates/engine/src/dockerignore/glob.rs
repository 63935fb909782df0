//! The wildcards of a pattern, as moby/patternmatcher interprets them: it translates a pattern to a Go regular expression, which affects
//! edge cases.

/// A compiled pattern.
#[derive(Debug, Clone)]
pub struct Glob {
    tokens: Vec<Token>,
    /// The text before the first and after the last wildcard: nearly every path fails here, at no cost.
    head: String,
    tail: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Literal(char),
    /// `?`: a character other than `/`.
    One,
    /// `*`: any number of characters other than `/`.
    Many,
    /// `**/`: nothing, or any number of folders. [`Token::InFolders`] always follows.
    Folders,
    InFolders,
    /// `**` at the end: any characters.
    Rest,
    /// `^` outside brackets: the start of the path.
    Start,
    Class(Class),
}

/// `[a-z]`, `[^a]`. It may match `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Class {
    is_negated: bool,
    ranges: Vec<(char, char)>,
}

impl Class {
    fn contains(&self, c: char) -> bool {
        self.ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != self.is_negated
    }
}

/// An ambiguous pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GlobError {
    /// BuildKit rejects it (Go's `filepath.ErrBadPattern`).
    Syntax,
    /// Go's regular expressions give it an unintended meaning, such as `\d` for any digit.
    Unclear,
}

impl Glob {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// See [`GlobError`].
    pub fn new(pattern: &str) -> Result<Glob, GlobError> {
        // The syntax of the whole pattern comes first, as in BuildKit.
        let chars: Vec<char> = pattern.chars().collect();
        let mut unclear = false;
        let mut at = 0;
        let mut tokens = Vec::new();
        while at < chars.len() {
            match chars[at] {
                '*' => at += star(&chars[at..], &mut tokens),
                '\\' => {
                    let escaped = *chars.get(at + 1).ok_or(GlobError::Syntax)?;
                    unclear |= is_special_escape(escaped);
                    tokens.push(Token::Literal(escaped));
                    at += 2;
                }
                '[' => {
                    let (class, length) = class(&chars[at..])?;
                    unclear |= class.is_none();
                    tokens.extend(class.map(Token::Class));
                    at += length;
                }
                plain => {
                    tokens.push(match plain {
                        '?' => Token::One,
                        '^' => Token::Start,
                        plain => Token::Literal(plain),
                    });
                    at += 1;
                }
            }
        }
        if unclear {
            return Err(GlobError::Unclear);
        }
        let literal = |token: &Token| if let Token::Literal(c) = token { Some(*c) } else { None };
        let head = tokens.iter().map_while(literal).collect();
        let tail: Vec<char> = tokens.iter().rev().map_while(literal).collect();
        Ok(Glob { tokens, head, tail: tail.into_iter().rev().collect() })
    }

    /// Whether it matches a whole path, with `/` between the parts.
    pub fn matches(&self, path: &[u8]) -> bool {
        if !path.starts_with(self.head.as_bytes()) || !path.ends_with(self.tail.as_bytes()) {
            return false;
        }
        self.after(path).last() == Some(&true)
    }

    /// Whether it may match something in a folder.
    pub fn may_match_below(&self, folder: &[u8]) -> bool {
        let inside = [folder, b"/"].concat();
        let shared = inside.len().min(self.head.len());
        inside[..shared] == self.head.as_bytes()[..shared] && self.after(&inside).contains(&true)
    }

    /// Which tokens may match next after this text; the last value stands for the end of the pattern. The time is the product of both
    /// lengths, whatever the pattern.
    fn after(&self, text: &[u8]) -> Vec<bool> {
        let mut now = vec![false; self.tokens.len() + 1];
        now[0] = true;
        self.skip_empty(&mut now, true);
        for c in go_chars(text) {
            let mut next = vec![false; now.len()];
            for at in (0..self.tokens.len()).filter(|at| now[*at]) {
                self.step(at, c, &mut next);
            }
            self.skip_empty(&mut next, false);
            now = next;
        }
        now
    }

    /// Marks the tokens after those that can match an empty string.
    fn skip_empty(&self, states: &mut [bool], is_start: bool) {
        for (at, token) in self.tokens.iter().enumerate() {
            match token {
                _ if !states[at] => {}
                Token::Many | Token::Rest => states[at + 1] = true,
                Token::Start if is_start => states[at + 1] = true,
                Token::Folders => states[at + 1..=at + 2].fill(true),
                _ => {}
            }
        }
    }

    /// Marks what may follow when the token meets a character.
    fn step(&self, at: usize, c: char, next: &mut [bool]) {
        match &self.tokens[at] {
            Token::Literal(literal) => next[at + 1] |= *literal == c,
            Token::One => next[at + 1] |= c != '/',
            Token::Class(class) => next[at + 1] |= class.contains(c),
            Token::Many => next[at] |= c != '/',
            // Go's `.` does not match a line feed.
            Token::Rest => next[at] |= c != '\n',
            Token::InFolders => {
                next[at] |= c != '\n';
                next[at + 1] |= c == '/';
            }
            Token::Folders | Token::Start => {}
        }
    }
}

/// Reads `*`, `**` or `**/`, and returns its length.
fn star(chars: &[char], tokens: &mut Vec<Token>) -> usize {
    if chars.get(1) != Some(&'*') {
        tokens.push(Token::Many);
        return 1;
    }
    let length = if chars.get(2) == Some(&'/') { 3 } else { 2 };
    if length == chars.len() {
        tokens.push(Token::Rest);
    } else {
        tokens.extend([Token::Folders, Token::InFolders]);
    }
    length
}

/// Reads a class and returns its length. `None` if its meaning as a regular expression is not plain.
fn class(chars: &[char]) -> Result<(Option<Class>, usize), GlobError> {
    let mut at = 1;
    let is_negated = chars.get(at) == Some(&'^');
    at += usize::from(is_negated);
    let (mut ranges, mut is_plain) = (Vec::new(), true);
    while ranges.is_empty() || chars.get(at) != Some(&']') {
        let low = member(chars, &mut at, &mut is_plain)?;
        let mut high = low;
        if chars.get(at) == Some(&'-') {
            at += 1;
            high = member(chars, &mut at, &mut is_plain)?;
        }
        is_plain &= low <= high;
        ranges.push((low, high));
    }
    Ok((is_plain.then_some(Class { is_negated, ranges }), at + 1))
}

/// Reads one character of a class (`getEsc` of Go's `path/filepath`).
fn member(chars: &[char], at: &mut usize, is_plain: &mut bool) -> Result<char, GlobError> {
    let mut c = *chars.get(*at).ok_or(GlobError::Syntax)?;
    match c {
        '-' | ']' => return Err(GlobError::Syntax),
        '\\' => {
            *at += 1;
            c = *chars.get(*at).ok_or(GlobError::Syntax)?;
            *is_plain &= !is_special_escape(c);
        }
        // Translated like wildcards outside brackets.
        '*' | '?' => *is_plain = false,
        // `[[:alpha:]]`.
        '[' => *is_plain &= chars.get(*at + 1) != Some(&':'),
        _ => {}
    }
    *at += 1;
    // At least the closing bracket must follow.
    if *at < chars.len() { Ok(c) } else { Err(GlobError::Syntax) }
}

/// Whether a backslash changes the character's meaning in a Go regular expression, or makes the expression invalid.
fn is_special_escape(c: char) -> bool {
    c.is_ascii_alphanumeric() || !c.is_ascii()
}

/// The characters as Go reads them: each invalid byte is one U+FFFD.
fn go_chars(bytes: &[u8]) -> impl Iterator<Item = char> {
    bytes.utf8_chunks().flat_map(|chunk| {
        let invalid = chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER);
        chunk.valid().chars().chain(invalid)
    })
}

/// A pattern's text as BuildKit sends it to the client: in JSON, where invalid bytes become U+FFFD.
pub fn go_text(bytes: &[u8]) -> String {
    go_chars(bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        Glob::new(pattern).unwrap_or_else(|error| panic!("{pattern}: {error:?}")).matches(path.as_bytes())
    }

    #[test]
    fn wildcards_match_like_go_s() {
        for (pattern, path) in [
            ("*", "abc"),
            ("a*", "a"),
            ("a*/b", "abc/b"),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/f"),
            ("a*b?c*x", "abxbbxdbxebxczzx"),
            ("package*.json", "package-lock.json"),
            ("ab[b-d]", "abc"),
            ("ab[^e-g]", "abc"),
            ("a?b", "a☺b"),
            ("a[^a]b", "a☺b"),
            ("[a-ζ]*", "α"),
            ("a\\*b", "a*b"),
            ("[\\]a]", "]"),
            ("[x\\-]", "-"),
            ("[!a]", "!"),
            ("[[]", "["),
            ("a\\\\", "a\\"),
            ("**/*.txt", "file.txt"),
            ("**/**/*.txt", "dir/dir/file.txt"),
            ("a**/*.txt", "a/dir/dir/file.txt"),
            ("a**b", "ax/b"),
            ("**/dir2/**", "dir/dir2/dir3/file"),
            ("a(b|c)+.{d}$?", "a(b|c)+.{d}$x"),
            // A class may match the separator, and `^` is an anchor.
            ("a[^b]c", "a/c"),
            ("^a*", "abc"),
            ("*^a", "a"),
        ] {
            assert!(matches(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [
            ("a*/b", "a/c/b"),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/fff"),
            ("ab[^b-d]", "abc"),
            ("a???b", "a☺b"),
            ("*[a-ζ]", "A"),
            ("a?b", "a/b"),
            ("*.txt", "a/b.txt"),
            ("a\\*b", "ab"),
            ("[x\\-]", "z"),
            ("**/**/*.txt2", "dir/dir/file.txt"),
            ("a**b", "axb"),
            ("**/*.c", "a\nb/x.c"),
            ("a^*", "a^b"),
            ("[!a]", "b"),
        ] {
            assert!(!matches(pattern, path), "{pattern} {path}");
        }
        assert!(Glob::new("a[^b]\u{fffd}?").unwrap().matches(b"a\xc3\xff\xfe"), "invalid bytes");
    }

    #[test]
    fn malformed_and_unclear_patterns_are_not_guessed_at() {
        for malformed in
            ["[", "a[", "[]a]", "[-]", "[x-]", "[-x]", "[a-b-c]", "[^", "[^bc", "\\", "*a\\", "[\\"]
        {
            assert_eq!(Glob::new(malformed).unwrap_err(), GlobError::Syntax, "{malformed}");
        }
        for unclear in ["\\d", "a\\b*", "[*]", "[a?]", "[z-a]", "[Local-Only]", "[[:alpha:]]", "[\\w]", "\\é"]
        {
            assert_eq!(Glob::new(unclear).unwrap_err(), GlobError::Unclear, "{unclear}");
        }
    }

    #[test]
    fn folders_that_cannot_matter_are_known() {
        for (pattern, folder, expected) in [
            ("a/*/c", "a", true),
            ("a/*/c", "a/b", true),
            ("a/*/c", "a/b/c", false),
            ("a/*/c", "ab", false),
            ("a/*/c", "b", false),
            ("*/c", "b", true),
            ("**/*.c", "b/c/d", true),
            ("a/**/c*", "b", false),
            ("a/**/c*", "a/x/y", true),
            ("a?b", "a", false),
            ("a[^b]b", "a", true),
        ] {
            let glob = Glob::new(pattern).unwrap();
            assert_eq!(glob.may_match_below(folder.as_bytes()), expected, "{pattern} {folder}");
        }
    }

    #[test]
    fn no_pattern_takes_exponential_time() {
        let pattern = format!("{}b", "a*".repeat(40));
        assert!(!matches(&pattern, &"a".repeat(2000)));
        assert!(!matches(&"**/".repeat(40).replace("**/", "**/x"), &"x/".repeat(500)));
    }
}
