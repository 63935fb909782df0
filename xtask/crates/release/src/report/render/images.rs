//! What is in the images: a map of each by owner, and what could go.

use maud::{Markup, html};

use crate::report::record::{Image, Inside, OwnerBytes, Part};
use crate::report::render::treemap::{Rect, layout};
use contents::opportunity::Opportunity;
use contents::owner::OwnerKind;
use model::bytes::Bytes;

/// A map is so many times as wide as it is high.
const ASPECT: f64 = 2.0;
/// Owners that are no more than this share of an image are one cell.
const LEAST_SHARE: f64 = 0.002;
/// And no more than so many cells are drawn.
const MOST_CELLS: usize = 60;
/// A cell of less than these percents of the map has no room for a word.
const LEAST_LABEL: (f64, f64) = (9.0, 9.0);
/// Opportunities below this are not worth a line of a report.
const LEAST_OPPORTUNITY: Bytes = Bytes(100_000);

/// A cell of a map.
struct Cell {
    kind: Option<OwnerKind>,
    label: String,
    bytes: Bytes,
}

/// The maps of one edition.
pub(super) fn maps(part: &Part) -> Markup {
    let unknown: Vec<&str> = part
        .images
        .iter()
        .filter(|image| image.inside.is_none())
        .map(|image| image.service.as_str())
        .collect();
    html! {
        h3 { "Whose bytes they are" }
        @if unknown.len() < part.images.len() {
            (legend(part))
            p .note { "Areas are bytes within one image. Arrow keys go through a map." }
        }
        div .maps {
            @for image in &part.images {
                @if let Some(inside) = &image.inside { (map(image, inside, part)) }
            }
        }
        @if !unknown.is_empty() {
            p .stale role="note" {
                b { "Not looked into" } ": " (unknown.join(", ")) ". "
                code { "cargo xtask check --edition " (part.edition) }
            }
        }
    }
}

fn legend(part: &Part) -> Markup {
    let kinds: Vec<OwnerKind> = all_kinds()
        .into_iter()
        .filter(|kind| {
            let owners = part
                .images
                .iter()
                .filter_map(|image| image.inside.as_ref())
                .flat_map(|inside| &inside.owners);
            owners.into_iter().any(|owner| owner.kind == *kind)
        })
        .collect();
    html! {
        ul .legend aria-label="Colours" {
            @for kind in kinds { li { span .swatch .(class(Some(kind))) {} (kind.name()) } }
        }
    }
}

fn all_kinds() -> [OwnerKind; 10] {
    [
        OwnerKind::Dpkg,
        OwnerKind::Python,
        OwnerKind::Npm,
        OwnerKind::Rust,
        OwnerKind::Runtime,
        OwnerKind::Program,
        OwnerKind::Model,
        OwnerKind::Static,
        OwnerKind::Own,
        OwnerKind::Unowned,
    ]
}

fn class(kind: Option<OwnerKind>) -> String {
    kind.map_or_else(|| "k-rest".to_owned(), |kind| format!("k-{}", kind.name().replace(' ', "-")))
}

fn map(image: &Image, inside: &Inside, part: &Part) -> Markup {
    let cells = cells(inside);
    let weights: Vec<u64> = cells.iter().map(|cell| cell.bytes.0).collect();
    let said = format!("said-{}-{}", part.edition, image.service);
    html! {
        figure .map-of {
            figcaption {
                b { (image.service) } " " (inside.bytes)
                span .small {
                    " · " (inside.surface.packages) " packages, " (inside.surface.executables) " executables, "
                    (inside.surface.setuid) " setuid"
                }
            }
            ul .map aria-label=(format!("Owners of {}", image.service)) aria-describedby=(said) {
                @for (index, (cell, rect)) in cells.iter().zip(layout(&weights, ASPECT)).enumerate() {
                    (drawn(cell, rect, inside.bytes, index == 0))
                }
            }
            p .said #(said) aria-live="polite" {}
            details {
                summary { "As a table" }
                table {
                    thead { tr { th scope="col" { "Owner" } th scope="col" { "Kind" } th scope="col" .number { "Bytes" } } }
                    tbody {
                        @for cell in &cells {
                            tr {
                                th scope="row" { (cell.label) }
                                td { (cell.kind.map_or("", OwnerKind::name)) }
                                td .number { (cell.bytes) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn drawn(cell: &Cell, rect: Rect, of: Bytes, is_first: bool) -> Markup {
    let share = cell.bytes.0 as f64 / of.0.max(1) as f64 * 100.0;
    let kind = cell.kind.map_or(String::new(), |kind| format!(", {kind}"));
    let words = format!("{}{kind}: {}, {share:.1} %", cell.label, cell.bytes);
    let has_room = rect.width >= LEAST_LABEL.0 && rect.height >= LEAST_LABEL.1;
    let style =
        format!("left:{:.2}%;top:{:.2}%;width:{:.2}%;height:{:.2}%", rect.x, rect.y, rect.width, rect.height);
    html! {
        li .(class(cell.kind)) style=(style) title=(words) tabindex=(if is_first { "0" } else { "-1" }) {
            @if has_room { (cell.label) span .small { (cell.bytes) } } @else { span .visually-hidden { (words) } }
        }
    }
}

/// The owners that are large enough to be seen, largest first, then what the rest comes to.
fn cells(inside: &Inside) -> Vec<Cell> {
    let least = (inside.bytes.0 as f64 * LEAST_SHARE) as u64;
    let is_shown = |(index, owner): &(usize, &OwnerBytes)| owner.bytes.0 > least && *index < MOST_CELLS;
    let shown: Vec<&OwnerBytes> =
        inside.owners.iter().enumerate().filter(is_shown).map(|(_, owner)| owner).collect();
    let mut cells: Vec<Cell> = shown
        .iter()
        .map(|owner| Cell { kind: Some(owner.kind), label: owner.label.clone(), bytes: owner.bytes })
        .collect();
    let sum: Bytes = shown.iter().map(|owner| owner.bytes).sum();
    let rest = inside.bytes - sum - inside.waste;
    let others = inside.owners.len() - shown.len();
    if rest.0 > 0 {
        cells.push(Cell { kind: None, label: format!("{others} smaller"), bytes: rest });
    }
    if inside.waste.0 > 0 {
        cells.push(Cell { kind: None, label: "hidden by later layers".to_owned(), bytes: inside.waste });
    }
    cells.sort_by_key(|cell| std::cmp::Reverse(cell.bytes));
    cells
}

/// What could go of an edition's images, largest first.
pub(super) fn open(part: &Part) -> Vec<(&str, &Opportunity)> {
    let mut all: Vec<(&str, &Opportunity)> = part
        .images
        .iter()
        .filter_map(|image| Some((image.service.as_str(), image.inside.as_ref()?)))
        .flat_map(|(service, inside)| inside.opportunities.iter().map(move |found| (service, found)))
        .filter(|(_, found)| found.bytes >= LEAST_OPPORTUNITY)
        .collect();
    all.sort_by(|a, b| b.1.bytes.cmp(&a.1.bytes).then_with(|| a.0.cmp(b.0)));
    all
}

/// The section of them.
pub(super) fn opportunities(part: &Part) -> Markup {
    let open = open(part);
    html! {
        h3 { "Open opportunities" }
        @if part.images.iter().all(|image| image.inside.is_none()) {
            p .note { "Unknown until the images are looked into." }
        } @else if open.is_empty() {
            p .note { "None above " (LEAST_OPPORTUNITY) "." }
        } @else {
            div .scroll tabindex="0" role="group" aria-label="Open opportunities" {
                table {
                    thead { tr {
                        th scope="col" { "Service" } th scope="col" { "What" } th scope="col" .number { "Bytes" }
                        th scope="col" { "Why, and what to do" }
                    } }
                    tbody {
                        @for (service, found) in open {
                            tr {
                                th scope="row" { (service) } td { (found.kind.words()) } td .number { (found.bytes) }
                                td { (found.reason) ". " i { (found.remedy) } }
                            }
                        }
                    }
                }
            }
        }
    }
}
