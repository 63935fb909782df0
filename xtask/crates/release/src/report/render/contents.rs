//! Contents of the images: a map of each by owner, and opportunities to shrink it.

use host::program::PROGRAM;
use std::collections::BTreeSet;

use maud::{Markup, html};

use crate::report::record::{EditionReport, ImageContents, ImageReport, OwnerBytes};
use crate::report::render::treemap::{Rect, layout};
use contents::opportunity::Opportunity;
use contents::owner::OwnerKind;
use model::bytes::Bytes;

/// Width of a map divided by its height.
const ASPECT: f64 = 2.0;
/// Owners up to this share of an image are combined in one cell.
const LEAST_SHARE: f64 = 0.002;
/// Owners beyond this number are combined, too.
const MOST_CELLS: usize = 60;
/// Smallest width and height of a labelled cell, in percent of the map.
const LEAST_LABEL: (f64, f64) = (9.0, 9.0);
/// Smaller opportunities are not listed.
const LEAST_OPPORTUNITY: Bytes = Bytes(100_000);

struct MapCell {
    kind: Option<OwnerKind>,
    label: String,
    bytes: Bytes,
    opened: Option<Bytes>,
}

impl MapCell {
    /// The opened share in percent.
    fn opened_share(&self) -> Option<f64> {
        Some(percent(self.opened?, self.bytes))
    }
}

fn percent(part: Bytes, whole: Bytes) -> f64 {
    part.0 as f64 / whole.0.max(1) as f64 * 100.0
}

pub(super) fn maps(part: &EditionReport) -> Markup {
    let unknown = part.images.iter().filter(|image| image.inside.is_none());
    let unknown: Vec<&str> = unknown.map(|image| image.service.as_str()).collect();
    let is_traced = |image: &&ImageReport| image.inside.as_ref().is_some_and(|inside| inside.used.is_some());
    let traced = part.images.iter().filter(is_traced).count();
    let untraced = part.images.iter().filter(|image| !is_traced(image));
    let untraced: Vec<&str> = untraced.map(|image| image.service.as_str()).collect();
    html! {
        h3 { "Contents by owner" }
        @if unknown.len() < part.images.len() {
            (legend(part))
            p .note { "Areas show bytes within one image. Use the arrow keys to move through a map."
                @if traced > 0 { " The bar at the bottom of an area shows how much of it was opened, as traced." }
            }
        }
        div .maps {
            @for image in &part.images {
                @if let Some(inside) = &image.inside { (map(image, inside, part)) }
            }
        }
        @if !unknown.is_empty() {
            p .stale role="note" {
                b { "Not analyzed" } ": " (unknown.join(", ")) ". "
                code { (PROGRAM) " check" (part.edition.option()) }
            }
        }
        @if traced > 0 && !untraced.is_empty() {
            p .stale role="note" {
                b { "Not traced" } ": " (untraced.join(", ")) ". "
                code { (PROGRAM) " trace " (untraced.join(" ")) (part.edition.option()) }
            }
        }
    }
}

fn legend(part: &EditionReport) -> Markup {
    let contents = part.images.iter().filter_map(|image| image.inside.as_ref());
    let kinds: BTreeSet<OwnerKind> =
        contents.flat_map(|inside| &inside.owners).map(|owner| owner.kind).collect();
    html! {
        ul .legend aria-label="Legend" {
            @for kind in kinds { li { span .swatch .(class(Some(kind))) {} (kind.name()) } }
        }
    }
}

fn class(kind: Option<OwnerKind>) -> String {
    kind.map_or_else(|| "k-rest".to_owned(), |kind| format!("k-{}", kind.name().replace(' ', "-")))
}

fn map(image: &ImageReport, inside: &ImageContents, part: &EditionReport) -> Markup {
    let cells = cells(inside);
    let weights: Vec<u64> = cells.iter().map(|cell| cell.bytes.0).collect();
    let detail = format!("cell-{}-{}", part.edition, image.service);
    html! {
        figure .map-of {
            figcaption {
                b { (image.service) } " " (inside.bytes)
                span .small {
                    " · " (inside.surface.packages) " packages, " (inside.surface.executables) " executables, "
                    (inside.surface.setuid) " setuid"
                    @if let Some(used) = &inside.used {
                        " · " (format!("{:.1} %", percent(used.opened(), used.all()))) " opened"
                    }
                }
            }
            ul .map aria-label=(format!("Contents of {}", image.service)) aria-describedby=(detail) {
                @for (index, (cell, rect)) in cells.iter().zip(layout(&weights, ASPECT)).enumerate() {
                    (drawn(cell, rect, inside.bytes, index == 0))
                }
            }
            p .detail #(detail) aria-live="polite" {}
            details {
                summary { "Show as table" }
                div .scroll tabindex="0" role="group" aria-label=(format!("Contents of {}, as a table", image.service)) {
                    table {
                        thead { tr { th scope="col" { "Owner" } th scope="col" { "Kind" } th scope="col" .number { "Size" }
                            @if inside.used.is_some() { th scope="col" .number { "Opened" } }
                        } }
                        tbody {
                            @for cell in &cells {
                                tr {
                                    th scope="row" { (cell.label) }
                                    td { (cell.kind.map_or("", OwnerKind::name)) }
                                    td .number { (cell.bytes) }
                                    @if inside.used.is_some() {
                                        td .number { (cell.opened_share().map_or("–".to_owned(), |share| format!("{share:.0} %"))) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn drawn(cell: &MapCell, rect: Rect, of: Bytes, is_first: bool) -> Markup {
    let share = cell.bytes.0 as f64 / of.0.max(1) as f64 * 100.0;
    let kind = cell.kind.map_or(String::new(), |kind| format!(", {kind}"));
    let opened = cell.opened_share();
    let used = opened.map_or(String::new(), |share| format!(", {share:.0} % opened"));
    let title = format!("{}{kind}: {}, {share:.1} %{used}", cell.label, cell.bytes);
    let has_room = rect.width >= LEAST_LABEL.0 && rect.height >= LEAST_LABEL.1;
    let used = opened.map_or(String::new(), |share| format!(";--opened:{share:.1}%"));
    let style = format!(
        "left:{:.2}%;top:{:.2}%;width:{:.2}%;height:{:.2}%{used}",
        rect.x, rect.y, rect.width, rect.height
    );
    html! {
        li .(class(cell.kind)) .traced[opened.is_some()] style=(style) title=(title) tabindex=(if is_first { "0" } else { "-1" }) {
            @if has_room { (cell.label) span .small { (cell.bytes) } } @else { span .visually-hidden { (title) } }
        }
    }
}

/// The owners that are large enough to be seen, the rest and the waste, largest first.
fn cells(inside: &ImageContents) -> Vec<MapCell> {
    let least = (inside.bytes.0 as f64 * LEAST_SHARE) as u64;
    let is_shown = |(index, owner): &(usize, &OwnerBytes)| owner.bytes.0 > least && *index < MOST_CELLS;
    let shown: Vec<&OwnerBytes> =
        inside.owners.iter().enumerate().filter(is_shown).map(|(_, owner)| owner).collect();
    let mut cells: Vec<MapCell> = shown
        .iter()
        .map(|owner| MapCell {
            kind: Some(owner.kind),
            label: owner.label.clone(),
            bytes: owner.bytes,
            opened: owner.opened,
        })
        .collect();
    let sum: Bytes = shown.iter().map(|owner| owner.bytes).sum();
    let rest = inside.bytes - sum - inside.waste;
    let others = inside.owners.len() - shown.len();
    let opened = inside.used.map(|used| {
        let opened: Bytes = shown.iter().filter_map(|owner| owner.opened).sum();
        Bytes(used.opened().0.saturating_sub(opened.0))
    });
    if rest.0 > 0 {
        cells.push(MapCell { kind: None, label: format!("{others} smaller owners"), bytes: rest, opened });
    }
    if inside.waste.0 > 0 {
        cells.push(MapCell {
            kind: None,
            label: "hidden by later layers".to_owned(),
            bytes: inside.waste,
            opened: None,
        });
    }
    cells.sort_by_key(|cell| std::cmp::Reverse(cell.bytes));
    cells
}

/// Opportunities to shrink an edition's images, largest first.
pub(super) fn open_opportunities(part: &EditionReport) -> Vec<(&str, &Opportunity)> {
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

pub(super) fn opportunities(part: &EditionReport) -> Markup {
    let open = open_opportunities(part);
    html! {
        h3 { "Open opportunities" }
        @if part.images.iter().all(|image| image.inside.is_none()) {
            p .note { "Unknown: the images have not been analyzed." }
        } @else if open.is_empty() {
            p .note { "None above " (LEAST_OPPORTUNITY) "." }
        } @else {
            div .scroll tabindex="0" role="group" aria-label="Open opportunities" {
                table {
                    thead { tr {
                        th scope="col" { "Service" } th scope="col" { "Kind" } th scope="col" .number { "Size" }
                        th scope="col" { "Reason and fix" }
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
