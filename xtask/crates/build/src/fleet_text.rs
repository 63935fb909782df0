//! Figures of all images together.

use crate::fleet::Fleet;
use contents::record::Surface;
use host::table::{Align, Table};

/// For a terminal.
pub fn text(fleet: &Fleet) -> String {
    let lines: Vec<String> = sentences(fleet).iter().map(|line| format!("{line}\n")).collect();
    format!("\n{}{}", table(fleet).text(), lines.concat())
}

/// For a pull request.
pub fn markdown(fleet: &Fleet) -> String {
    let lines: Vec<String> = sentences(fleet).iter().map(|line| format!("{line}\n")).collect();
    format!("\n{}\n{}", table(fleet).markdown(), lines.join("\n"))
}

fn table(fleet: &Fleet) -> Table {
    let mut table = Table::new(&[
        ("service", Align::Left),
        ("packages", Align::Right),
        ("optimized", Align::Right),
        ("executables", Align::Right),
        ("optimized", Align::Right),
        ("setuid", Align::Right),
        ("optimized", Align::Right),
    ]);
    let mut row = |name: &str, original: Option<Surface>, optimized: Option<Surface>| {
        let pair = |number: fn(Surface) -> u64| {
            [original, optimized]
                .map(|side| side.map_or_else(|| "–".to_owned(), |side| number(side).to_string()))
        };
        let cells =
            [pair(|side| side.packages), pair(|side| side.executables), pair(|side| side.setuid)].into_iter();
        table.row(std::iter::once(name.to_owned()).chain(cells.flatten()).collect());
    };
    fleet.surface.iter().for_each(|each| row(&each.service, each.original, each.optimized));
    if let Some((original, optimized)) = fleet.surface_sums() {
        row("all that have both", Some(original), Some(optimized));
    }
    table
}

fn sentences(fleet: &Fleet) -> Vec<String> {
    let mut lines = vec![format!(
        "Edition {}: a host without any of the {} optimized images pulls {} in {} layers, shared ones once (gzip at its \
         default level; docker's own packing comes to some two percent more).",
        fleet.edition, fleet.images, fleet.pull, fleet.layers
    )];
    if let Some(since) = &fleet.since {
        lines.push(format!(
            "One that has those of tag {} pulls {} in {} layers.",
            since.from, since.moved, since.layers
        ));
        if !since.missing.is_empty() {
            lines.push(format!("Not built under that tag: {}.", since.missing.join(", ")));
        }
    }
    if !fleet.missing.is_empty() {
        lines.push(format!("Not built, and not counted: {}.", fleet.missing.join(", ")));
    }
    lines.push(
        "Packages are those that say so: of a Rust program the crates that `cargo auditable` wrote into it, if it did.".into(),
    );
    if fleet.surface.iter().any(|row| row.original.is_none()) {
        lines.push(
            "– not built here; originals are built by `cargo xtask build-images --variant original`.".into(),
        );
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{SurfaceRow, Upgrade};
    use model::bytes::Bytes;
    use model::edition::Edition;

    #[test]
    fn originals_stand_beside_what_became_of_them() {
        let surface = |packages, setuid| Some(Surface { packages, executables: 7, setuid });
        let row =
            |service: &str, original, optimized| SurfaceRow { service: service.into(), original, optimized };
        let fleet = Fleet {
            edition: Edition::Simple,
            images: 2,
            missing: Vec::new(),
            layers: 5,
            pull: Bytes(71_000_000),
            since: Some(Upgrade {
                from: "1.0".into(),
                layers: 1,
                moved: Bytes(2_000_000),
                missing: vec!["api".into()],
            }),
            surface: vec![row("api", surface(120, 9), surface(20, 0)), row("nlg", None, surface(30, 0))],
        };
        let told = text(&fleet);
        for part in [
            "all that have both       120         20            7          7       9          0\n",
            "nlg                        –         30",
            "pulls 71MB in 5 layers",
            "tag 1.0 pulls 2MB in 1 layers",
            "Not built under that tag: api.",
        ] {
            assert!(told.contains(part), "{part} is not in\n{told}");
        }
        assert!(markdown(&fleet).contains("| api | 120 | 20 | 7 | 7 | 9 | 0 |\n"));
    }
}
