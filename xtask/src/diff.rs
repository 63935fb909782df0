//! Differences of two texts, as `diff -u` prints them.

use similar::algorithms::{Capture, Replace, myers};
use similar::udiff::UnifiedHunkHeader;
use similar::{ChangeTag, group_diff_ops};

/// Unchanged lines around each change.
const AROUND: usize = 3;

/// The differences, with the names of both texts; empty if there are none. One algorithm instead of [`similar::TextDiff`], which
/// contains all of them: 0.3 MB of the program `images`.
pub fn unified(before: &str, after: &str, names: [&str; 2]) -> String {
    let [old, new] = [before, after].map(|text| text.split_inclusive('\n').collect::<Vec<_>>());
    let mut found = Replace::new(Capture::new());
    // Capturing cannot fail.
    let Ok(()) = myers::diff(&mut found, &old[..], 0..old.len(), &new[..], 0..new.len());
    let groups = group_diff_ops(found.into_inner().into_ops(), AROUND);
    let mut text = String::new();
    if !groups.is_empty() {
        text = format!("--- {}\n+++ {}\n", names[0], names[1]);
    }
    for group in groups {
        text += &format!("{}\n", UnifiedHunkHeader::new(&group));
        for change in group.iter().flat_map(|op| op.iter_changes(&old[..], &new[..])) {
            text.push(match change.tag() {
                ChangeTag::Equal => ' ',
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
            });
            text += change.value();
            if !change.value().ends_with('\n') {
                text += "\n\\ No newline at end of file\n";
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::unified;

    #[test]
    fn it_is_what_patch_reads() {
        let before = "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\n";
        let after = "a\nb\nC\nd\ne\nf\ng\nh\ni\nj\nk\nl";
        let expected = "--- a/x\n+++ b/x\n@@ -1,6 +1,6 @@\n a\n b\n-c\n+C\n d\n e\n f\n@@ -9,3 +9,4 @@\n i\n j\n k\n+l\n\
                        \\ No newline at end of file\n";
        assert_eq!(unified(before, after, ["a/x", "b/x"]), expected);
        assert_eq!(unified("", "a\n", ["/dev/null", "b/x"]), "--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+a\n");
        assert_eq!(unified(before, before, ["a", "b"]), "");
    }
}
