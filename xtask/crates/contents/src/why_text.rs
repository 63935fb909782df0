//! The difference of two images as table and Markdown; JSON is the record itself.

use crate::difference::{Difference, LineChange, OwnerChange, signed};
use crate::text::{end_of, shortened_to};
use host::table::{Align, Table};
use model::bytes::Bytes;

/// How much of a name or an instruction fits into a row.
const WORDS: usize = 50;

/// For a terminal; `top` is how many rows a table has at most.
pub fn text(difference: &Difference, top: usize) -> String {
    let mut out = format!("{}\n", heading(difference));
    if !difference.owners.is_empty() {
        out.push_str(&format!(
            "\nBy owner\n{}{}",
            owners(difference, top).text(),
            rest(difference.owners.len(), top)
        ));
    }
    if !difference.lines.is_empty() {
        out.push_str(&format!(
            "\nBy line\n{}{}",
            lines(difference, top).text(),
            rest(difference.lines.len(), top)
        ));
    }
    format!("{out}\n{}\n", difference.sentence)
}

/// For a pull request.
pub fn markdown(difference: &Difference, top: usize) -> String {
    let mut out = format!("### {}\n", heading(difference));
    if !difference.owners.is_empty() {
        out.push_str(&format!("\n{}", owners(difference, top).markdown()));
    }
    if !difference.lines.is_empty() {
        out.push_str(&format!("\n{}", lines(difference, top).markdown()));
    }
    format!("{out}\n{}\n", difference.sentence)
}

fn heading(difference: &Difference) -> String {
    let (before, after) = (&difference.before, &difference.after);
    format!(
        "{} {} → {} {}: {}",
        before.image,
        before.bytes,
        after.image,
        after.bytes,
        signed(difference.bytes)
    )
}

fn rest(rows: usize, top: usize) -> String {
    if rows > top { format!("and {} more\n", rows - top) } else { String::new() }
}

fn owners(difference: &Difference, top: usize) -> Table {
    let mut table = Table::new(&[
        ("change", Align::Right),
        ("", Align::Left),
        ("kind", Align::Left),
        ("owner", Align::Left),
        ("before", Align::Right),
        ("after", Align::Right),
        ("from", Align::Left),
        ("largest file", Align::Left),
    ]);
    for owner in difference.owners.iter().take(top) {
        table.row(vec![
            signed(owner.bytes),
            owner.change.words().to_owned(),
            owner.kind.map(|kind| kind.to_string()).unwrap_or_default(),
            shortened_to(&name(owner), WORDS),
            some(owner.before),
            some(owner.after),
            owner.place.as_deref().map(|place| shortened_to(place, WORDS)).unwrap_or_default(),
            owner.largest.as_deref().map(end_of).unwrap_or_default(),
        ]);
    }
    table
}

fn name(owner: &OwnerChange) -> String {
    match (&owner.version_before, &owner.version_after) {
        (Some(before), Some(after)) if before != after => format!("{} {before} → {after}", owner.name),
        (Some(version), _) | (None, Some(version)) => format!("{} {version}", owner.name),
        (None, None) => owner.name.clone(),
    }
}

fn lines(difference: &Difference, top: usize) -> Table {
    let mut table = Table::new(&[
        ("change", Align::Right),
        ("", Align::Left),
        ("before", Align::Right),
        ("after", Align::Right),
        ("from", Align::Left),
    ]);
    for line in difference.lines.iter().take(top) {
        table.row(vec![
            signed(line.bytes),
            line.change.words().to_owned(),
            some(line.before),
            some(line.after),
            place(line),
        ]);
    }
    table
}

fn place(line: &LineChange) -> String {
    match &line.instruction {
        Some(instruction) if *instruction != line.place => {
            format!("{}  {}", line.place, shortened_to(instruction, WORDS))
        }
        _ => shortened_to(&line.place, 2 * WORDS),
    }
}

fn some(bytes: Bytes) -> String {
    if bytes.0 == 0 { "–".to_owned() } else { bytes.to_string() }
}
