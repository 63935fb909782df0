//! Cells of tables.

use host::printable::line;
use model::bytes::Bytes;

/// The first `most` characters of a text, with an ellipsis if there are more.
pub fn start_of(text: &str, most: usize) -> String {
    let text = line(text);
    if text.chars().count() <= most {
        return text;
    }
    let start: String = text.chars().take(most - 1).collect();
    format!("{}…", start.trim_end())
}

/// The last 60 characters of a path: the file name matters most.
pub fn end_of(path: &str) -> String {
    let path = line(path);
    match path.chars().count().checked_sub(60) {
        None | Some(0) => path,
        Some(excess) => format!("…{}", path.chars().skip(excess + 1).collect::<String>()),
    }
}

/// A size, or a dash for none.
pub fn size(bytes: Bytes) -> String {
    if bytes.0 == 0 { "–".to_owned() } else { bytes.to_string() }
}

/// `1 file`, `2 files`.
pub fn files(count: u64) -> String {
    format!("{count} file{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_shortened_and_control_characters_shown() {
        let long = "ä".repeat(80);
        assert_eq!(start_of(&long, 50).chars().count(), 50);
        assert_eq!(end_of(&format!("{long}/file.so")).chars().count(), 60);
        assert!(end_of(&format!("{long}/file.so")).ends_with("/file.so"));
        assert_eq!(end_of("a/b"), "a/b");
        assert_eq!(end_of("a\x1b[2Jb\nc"), "a\\u{1b}[2Jb\\nc");
    }
}
