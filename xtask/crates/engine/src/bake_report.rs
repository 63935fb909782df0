//! Bake's report of a failure: plain text after the progress stream.

/// The line number and first source line of the failed instruction, from bake's report: `Dockerfile:14`, then an excerpt between
/// lines of dashes, with `>>>`. The report gives only the file's base name, so the source line is needed to identify the file.
pub fn failed_instruction(text: &str) -> Option<(u32, String)> {
    let is_rule = |line: &str| !line.is_empty() && line.bytes().all(|byte| byte == b'-');
    let mut lines = text.lines().map(str::trim_end).peekable();
    loop {
        let place = lines.next()?;
        let Some(number) = place.rsplit_once(':').and_then(|(_, number)| number.parse().ok()) else {
            continue;
        };
        if lines.next_if(|line| is_rule(line)).is_some() {
            let excerpt = |line: &str| line.split_once("| >>> ").map(|(_, rest)| rest.trim().to_owned());
            return Some((number, lines.find_map(excerpt)?));
        }
    }
}

/// The error message in bake's report.
pub fn error_line(text: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with("ERROR:"))?;
    Some(line.trim_start_matches("ERROR:").trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_followed_by_its_excerpt() {
        let report = "note:7\nMy Dockerfile:3\n-----\n   2 |     a\n   3 | >>> RUN b\n-----\nERROR: x:1\n";
        assert_eq!(failed_instruction(report), Some((3, "RUN b".into())));
        assert_eq!(failed_instruction("ERROR: dial tcp 127.0.0.1:1\n"), None);
    }
}
