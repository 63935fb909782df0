//! Moving the image references of one Compose file: a plan of edits as data, computed from its text alone.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::switch::document::{Document, NotYaml};
use crate::switch::images::{ImageText, further_files, images};
use crate::switch::reference::{ComposeImage, Wanted};

/// One change of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The bytes that change.
    pub bytes: Range<usize>,
    /// From 1.
    pub line: usize,
    /// The image's name.
    pub name: String,
    /// The reference that stands there.
    pub before: String,
    /// The one that will.
    pub after: String,
}

/// A reference to one of our images that stays as it is, though it is not as wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftAlone {
    /// From 1.
    pub line: usize,
    /// What stands there.
    pub text: String,
    /// Why, and what to do.
    pub reason: String,
    /// Whether it is for want of the image itself.
    pub absent: bool,
}

/// What a switch means for one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Changes, in the file's order.
    pub edits: Vec<Edit>,
    /// References to our images that are as wanted already.
    pub settled: Vec<String>,
    /// What cannot be changed safely.
    pub left_alone: Vec<LeftAlone>,
    /// Other files that this one leads to, as it names them.
    pub further: Vec<String>,
}

/// The digest, `sha256:…`, to pin a reference to, or why there is none.
pub type DigestOf<'a> = &'a dyn Fn(&str) -> Result<String, String>;

/// Plans the switch of a file's references to the images called `ours`; with `digest_of`, pinned.
///
/// # Errors
/// When the file is no YAML.
pub fn plan(
    text: &str,
    ours: &BTreeSet<&str>,
    wanted: &Wanted,
    digest_of: Option<DigestOf<'_>>,
) -> Result<Plan, NotYaml> {
    // The mark some editors write is no part of YAML's text, and the parser would take it for one.
    let mark = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let document = Document::parse(&text[mark..])?;
    let mut plan = Plan { further: further_files(&document), ..Plan::default() };
    for image in images(&document) {
        let Some(name) = our_name(&image.value, ours) else {
            if let Some(hidden) = hidden_name(&image.value, ours) {
                let reason = format!("it may name {hidden} by a variable: write the name in full");
                plan.left_alone.push(LeftAlone {
                    line: image.line,
                    text: image.value.clone(),
                    reason,
                    absent: false,
                });
            }
            continue;
        };
        match edit(&image, wanted, digest_of) {
            Ok(Some((bytes, after))) => plan.edits.push(Edit {
                bytes: bytes.start + mark..bytes.end + mark,
                line: image.line,
                name: name.to_owned(),
                before: image.value.clone(),
                after,
            }),
            Ok(None) => plan.settled.push(image.value.clone()),
            Err(Reason { reason, absent }) => {
                plan.left_alone.push(LeftAlone {
                    line: image.line,
                    text: image.value.clone(),
                    reason,
                    absent,
                });
            }
        }
    }
    plan.edits.sort_by_key(|edit| edit.bytes.start);
    Ok(plan)
}

/// The text with all edits made.
pub fn apply(text: &str, edits: &[Edit]) -> String {
    let mut out = String::with_capacity(text.len() + edits.len() * 16);
    let mut from = 0;
    for edit in edits {
        out.push_str(&text[from..edit.bytes.start]);
        out.push_str(&edit.after);
        from = edit.bytes.end;
    }
    out.push_str(&text[from..]);
    out
}

fn our_name<'o>(value: &str, ours: &BTreeSet<&'o str>) -> Option<&'o str> {
    let image = ComposeImage::parse(value)?;
    ours.get(image.name()).copied()
}

/// One of our names in a reference whose own name is a variable's.
fn hidden_name<'o>(value: &str, ours: &BTreeSet<&'o str>) -> Option<&'o str> {
    value.contains('$').then(|| ours.iter().find(|name| value.contains(**name)).copied()).flatten()
}

struct Reason {
    reason: String,
    absent: bool,
}

impl<T: std::fmt::Display> From<T> for Reason {
    fn from(reason: T) -> Reason {
        Reason { reason: reason.to_string(), absent: false }
    }
}

/// The bytes to replace and by what; `None` where nothing has to change.
fn edit(
    image: &ImageText,
    wanted: &Wanted,
    digest_of: Option<DigestOf<'_>>,
) -> Result<Option<(Range<usize>, String)>, Reason> {
    let parsed = ComposeImage::parse(&image.value).ok_or("it is no image reference")?;
    let after = match digest_of {
        None => parsed.switched(wanted)?,
        Some(digest_of) => {
            let plain = parsed.unpinned(wanted)?;
            let digest = digest_of(&plain).map_err(|reason| Reason { reason, absent: true })?;
            format!("{plain}@{digest}")
        }
    };
    if after == image.value {
        return Ok(None);
    }
    if image.shared {
        return Err(
            "its anchor serves something else than images too: give the image a text of its own".into()
        );
    }
    match &image.bytes {
        Some(bytes) => Ok(Some((bytes.clone(), after))),
        None => Err("it is written with escapes or over several lines: write it on one line, plainly".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::variant::Variant;

    fn switched(text: &str, variant: Variant) -> (String, Plan) {
        let ours = BTreeSet::from(["sutra-api", "sutra-client"]);
        let wanted = Wanted { variant, edition: None, tag: None, registry: None };
        let plan = plan(text, &ours, &wanted, None).unwrap();
        (apply(text, &plan.edits), plan)
    }

    const FILE: &str = "\u{feff}# sutra-api:latest in a comment stays\r\nx-api: &api \"sutra-api:${SUTRA_VERSION:-latest}\"\r\nservices:\r\n\r\n  a: {image: *api}\r\n  b:\r\n    image:   'hub.example:5000/sutra-client:${V:?no}'   # keep\r\n    command: echo sutra-api:latest\r\n  db:\r\n    image: postgres:17\r\n  odd:\r\n    image: \"sutra-api:\\u0031\"\r\n  bare:\r\n    image: sutra-api\r\n";

    #[test]
    fn only_the_bytes_of_our_references_change_and_they_come_back() {
        let (optimized, plan) = switched(FILE, Variant::Optimized);
        let expected =
            FILE.replace("latest}\"", "latest}-optimized\"").replace("${V:?no}'", "${V:?no}-optimized'");
        assert_eq!(optimized, expected);
        assert_eq!(plan.edits.len(), 2);
        assert_eq!(plan.left_alone.iter().map(|left| left.line).collect::<Vec<_>>(), [12, 14]);
        let (again, plan) = switched(&optimized, Variant::Optimized);
        assert_eq!((again.as_str(), plan.edits.len(), plan.settled.len()), (optimized.as_str(), 0, 2));
        assert_eq!(switched(&optimized, Variant::Original).0, FILE);
    }

    #[test]
    fn the_line_and_the_reason_are_said() {
        let (_, plan) = switched(FILE, Variant::Optimized);
        assert!(plan.left_alone[0].reason.contains("escapes"), "{:?}", plan.left_alone);
        assert!(plan.left_alone[1].reason.contains("no tag"), "{:?}", plan.left_alone);
    }
}
