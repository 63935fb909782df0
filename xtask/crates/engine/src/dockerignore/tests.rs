//! The rules as tables. The cases come from moby/patternmatcher, tonistiigi/fsutil and moby/buildkit.

use super::*;

fn ignore(patterns: &[&str]) -> IgnoreFile {
    IgnoreFile::parse(patterns.join("\n").as_bytes(), "test").unwrap()
}

fn hides(patterns: &[&str], path: &str) -> bool {
    ignore(patterns).hides(path, false)
}

#[test]
fn one_pattern() {
    for (pattern, path) in [
        ("*", "file"),
        ("*", "dir/file"),
        ("**", "file"),
        ("**/", "dir/file"),
        ("**/**", "dir/file"),
        ("dir", "dir/file"),
        ("/dir/", "dir/file"),
        ("./dir", "dir/a/b"),
        ("dir/**", "dir/dir2/file"),
        ("**/dir", "dir"),
        ("**/dir", "dir/file"),
        ("**/dir2/*", "dir/dir2/file"),
        ("**/dir2/**", "dir/dir2/dir3/file"),
        ("**file", "dir/dir/file"),
        ("**file", "dir/my-file"),
        ("**/file*.txt*", "dir/dir/file.txt"),
        ("a**/*.txt", "a/dir/dir/file.txt"),
        ("a/*.txt**", "a/file.txt"),
        ("a[b-d]e", "ace"),
        (".*", ".foo"),
        ("abc.def", "abc.def"),
        ("a\\\\", "a\\"),
        ("abc/**", "abc/def/ghi"),
        ("**/.foo", "a/.foo"),
        ("a.|)$(}+{bc", "a.|)$(}+{bc"),
        ("dist/*.whl", "dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl"),
        ("a*", "ab/c"),
        (" #a", "#a"),
        ("\\#a", "#a"),
        ("\\!a", "!a"),
    ] {
        assert!(hides(&[pattern], path), "{pattern} {path}");
    }
    for (pattern, path) in [
        // Not git's rule.
        ("file", "dir/file"),
        ("dir/**", "dir"),
        ("a/*.txt", "a/dir/file.txt"),
        ("a[b-d]e", "aae"),
        (".*", "foo"),
        ("abc.def", "abcZdef"),
        ("**/.foo", "bar.foo"),
        ("a(b)c/def", "a(b)c/xyz"),
        ("di", "dir/file"),
        ("../a", "a"),
        (".", "a"),
        ("/", "a"),
        ("# a", "# a"),
        ("File", "file"),
    ] {
        assert!(!hides(&[pattern], path), "{pattern} {path}");
    }
}

#[test]
fn the_last_pattern_that_matches_decides() {
    for (patterns, path) in [
        (&["!a.go", "*.go"][..], "a.go"),
        (&["**", "!util/docker/web", "util/docker/web/foo"], "util/docker/web/foo"),
        (&["*", "!src/app", "**/*.pyc"], "src/app/x.pyc"),
        (&["docs", "!docs/README.md"], "docs/other"),
        (&["ba*", "!bay"], "bar"),
        (&["*", "!a/b"], "a/c/d"),
        // A pattern without `!` that a folder already matches is not inherited.
        (&["d/f", "!d"], "d/f"),
    ] {
        assert!(hides(patterns, path), "{patterns:?} {path}");
    }
    for (patterns, path) in [
        (&["*.go", "!a.go"][..], "a.go"),
        (&["docs", "!docs/README.md"], "docs/README.md"),
        (&["docs/", "!docs/README.md"], "docs/README.md"),
        (&["docs/*", "!docs/README.md"], "docs/README.md"),
        (&["**", "!util/docker/web"], "util/docker/web/foo"),
        (&["**", "!dist/*.whl"], "dist/a.whl"),
        (&["*", "!src/app", "**/*.pyc", "!keep.pyc"], "keep.pyc"),
        (&["ba*", "!bay"], "bay"),
        (&["*", "! /a/./b/"], "a/b/c"),
        (&["*", "!**/*.txt"], "a/b/c.txt"),
    ] {
        assert!(!hides(patterns, path), "{patterns:?} {path}");
    }
}

#[test]
fn a_folder_is_sent_for_what_is_included_again_in_it() {
    let ignored = ignore(&["*", "!src/app", "!docs/*"]);
    for (folder, is_hidden) in
        [("src", false), ("src/app", false), ("src/other", true), ("docs", false), ("do", true)]
    {
        assert_eq!(ignored.hides(folder, true), is_hidden, "{folder}");
    }
    assert!(ignored.hides("src", false), "a file of that name has nothing in it");
    assert!(!ignore(&["*", "!**/*.txt"]).hides("any/folder", true));
    // BuildKit looks into it, and finds nothing.
    assert!(ignore(&["*", "!any/*/x"]).hides("other", true));
    assert!(!ignore(&["*", "!\\d"]).hides("any/folder", true), "an unclear exception may match anything");
}

#[test]
fn invalid_patterns_name_their_line() {
    for (text, words) in [
        ("a\n\n!\n", "x, line 3: invalid pattern `!`"),
        ("a\r\n b[ \r\n", "x, line 2: invalid pattern `b[`"),
        ("a\\", "x, line 1: invalid pattern `a\\`"),
        (&"a".repeat(70_000), "x, line 1: longer than 65535 bytes"),
    ] {
        let error = IgnoreFile::parse(text.as_bytes(), "x").unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn allow_lists_start_by_ignoring_everything() {
    for (patterns, expected) in [
        (&["# x", "*", "!a"][..], true),
        (&["**"], true),
        (&["**/*"], true),
        (&["a", "*"], false),
        (&["!a", "*"], false),
        (&[], false),
    ] {
        assert_eq!(ignore(patterns).is_allow_list(), expected, "{patterns:?}");
    }
}
