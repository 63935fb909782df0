//! Makes untrusted text (answers, logs, file names) safe to print. Terminals obey control characters; invisible and
//! bidirectional characters disguise text (Unicode Technical Report 36, section 2).

use std::fmt::Write as _;

/// Escapes control, bidirectional and invisible characters as `\u{1b}`; keeps line breaks and tabs.
pub fn printable(text: &str) -> String {
    escaped(text, |c| c != '\n' && c != '\t' && is_unsafe(c), |c| c.escape_unicode().to_string())
}

/// Like [`printable`], but also escapes line breaks and tabs as `\n` and `\t`. For names and table cells.
pub fn line(text: &str) -> String {
    escaped(text, is_unsafe, |c| match c {
        '\n' | '\t' => c.escape_default().to_string(),
        c => c.escape_unicode().to_string(),
    })
}

/// One line of Markdown without HTML and emphasis. Keeps backticks, since messages quote commands with them.
pub fn markdown(text: &str) -> String {
    line(&text.replace('\n', " ")).replace('_', "\\_").replace('*', "\\*").replace('<', "&lt;")
}

/// A Markdown code block. Its fence is longer than any in the text.
pub fn markdown_block(text: &str) -> String {
    let text = printable(text);
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat((longest + 1).max(3));
    format!("{fence}text\n{}\n{fence}\n", text.trim_end())
}

/// Escapes the same characters in a JSON document, as `\u001b`. serde_json escapes only those below U+0020.
pub fn json(document: &str) -> String {
    let escape = |c: char| {
        c.encode_utf16(&mut [0; 2]).iter().fold(String::new(), |mut out, unit| {
            write!(out, "\\u{unit:04x}").ok();
            out
        })
    };
    escaped(document, |c| c != '\n' && c != '\t' && is_unsafe(c), escape)
}

fn escaped(text: &str, is_escaped: impl Fn(char) -> bool, escape: impl Fn(char) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_escaped(c) {
            out.push_str(&escape(c));
        } else {
            out.push(c);
        }
    }
    out
}

fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // Text direction.
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}'
            // Line breaks for some programs, and zero-width characters. Keeps U+200C and U+200D, which some scripts need.
            | '\u{2028}' | '\u{2029}' | '\u{200b}' | '\u{2060}'..='\u{2064}' | '\u{feff}'
            | '\u{e0000}'..='\u{e007f}'
            // Not allowed in XML 1.0.
            | '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_get_no_control_character_and_readers_no_invisible_one() {
        let text = "a\u{1b}[2J\r\n\tb\u{7f}\u{9b}1m\u{202e}gpj.exe\u{feff} é 東京 👩\u{200d}🔬";
        assert_eq!(
            printable(text),
            "a\\u{1b}[2J\\u{d}\n\tb\\u{7f}\\u{9b}1m\\u{202e}gpj.exe\\u{feff} é 東京 👩\u{200d}🔬"
        );
        assert_eq!(line("a\n\tb\u{1b}"), "a\\n\\tb\\u{1b}");
        assert!(
            !(0..=0x10_ffff)
                .filter_map(char::from_u32)
                .any(|c| line(&c.to_string()).contains(char::is_control))
        );
    }

    #[test]
    fn markdown_holds_no_markup_of_the_text() {
        assert_eq!(markdown("<img src=x>\n# *a* __b__ `c`"), "&lt;img src=x> # \\*a\\* \\_\\_b\\_\\_ `c`");
        assert_eq!(markdown_block("a\n```\n<b>\n"), "````text\na\n```\n<b>\n````\n");
        assert_eq!(markdown_block("a"), "```text\na\n```\n");
    }

    #[test]
    fn json_means_the_same_afterwards() {
        let value = serde_json::json!({ "a\u{9b}": "\u{202e}\u{e0041}\u{1b}\n" });
        let document = json(&serde_json::to_string_pretty(&value).unwrap());
        assert!(
            document.contains("\\u202e\\udb40\\udc41\\u001b\\n") && document.contains("a\\u009b"),
            "{document}"
        );
        assert_eq!(serde_json::from_str::<serde_json::Value>(&document).unwrap(), value);
    }
}
