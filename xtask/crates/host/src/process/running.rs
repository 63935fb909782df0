//! Looks up processes that other programs started.

use std::fs;

/// Whether a visible process on this machine has a command line that ends with these words.
pub fn is_running(words: &[&str]) -> bool {
    let Ok(processes) = fs::read_dir("/proc") else { return false };
    // Only processes have a `cmdline`.
    let lines = processes.filter_map(|entry| fs::read(entry.ok()?.path().join("cmdline")).ok());
    lines.into_iter().any(|line| ends_with(&String::from_utf8_lossy(&line), words))
}

/// `line`: NUL-terminated words (proc(5), `cmdline`).
fn ends_with(line: &str, words: &[&str]) -> bool {
    let line: Vec<&str> = line.strip_suffix('\0').unwrap_or_default().split('\0').collect();
    line.ends_with(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_very_process_is_found() {
        let own: Vec<String> = std::env::args().collect();
        let mut words: Vec<&str> = own.iter().map(String::as_str).collect();
        assert!(is_running(&words));
        words.push("no-such-word");
        assert!(!is_running(&words));
    }

    #[test]
    fn words_are_compared_whole() {
        assert!(ends_with("sh\0docker\0tag\0a\0b\0", &["tag", "a", "b"]));
        assert!(!ends_with("docker\0tag\0a\0bb\0", &["tag", "a", "b"]));
        assert!(!ends_with("docker\0retag\0a\0b\0", &["tag", "a", "b"]));
        assert!(!ends_with("", &["tag"]));
    }
}
