//! Fleet figures as a table with notes.

use crate::fleet::Fleet;
use contents::record::Surface;
use host::plural::count;
use host::program::PROGRAM;
use host::render::Render;
use host::table::{Align, Table};

impl Render for Fleet {
    fn text(&self) -> String {
        format!("\n{}{}", table(self).text(), notes(self).join(""))
    }

    fn markdown(&self) -> String {
        format!("\n{}\n{}", table(self).markdown(), notes(self).join("\n"))
    }
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
        row("total (built in both variants)", Some(original), Some(optimized));
    }
    table
}

fn notes(fleet: &Fleet) -> Vec<String> {
    let mut lines = vec![format!(
        "Edition {}: a new host downloads {} in {} for the {}, shared layers once (gzip at its default level; docker's own \
         is about 2 % larger).",
        fleet.edition,
        fleet.pull,
        count(fleet.layers, "layer"),
        count(fleet.images, "optimized image")
    )];
    if let Some(since) = &fleet.since {
        lines.push(format!(
            "A host with tag {} downloads {} in {}.",
            since.from,
            since.moved,
            count(since.layers, "layer")
        ));
        if !since.missing.is_empty() {
            lines.push(format!("Missing under that tag: {}.", since.missing.join(", ")));
        }
    }
    if !fleet.missing.is_empty() {
        lines.push(format!("Missing and not included: {}.", fleet.missing.join(", ")));
    }
    lines.push(
        "Packages are counted from package metadata; for Rust programs, from what `cargo auditable` embeds."
            .into(),
    );
    if fleet.surface.iter().any(|row| row.original.is_none()) {
        lines.push(format!("– Not built. Build originals with `{PROGRAM} build-images --variant original`."));
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{SurfaceRow, Upgrade};
    use model::bytes::Bytes;
    use model::edition::Edition;

    #[test]
    fn originals_and_optimized_images_are_shown_side_by_side() {
        let surface = |packages, setuid| Some(Surface { packages, executables: 7, setuid });
        let row =
            |service: &str, original, optimized| SurfaceRow { service: service.into(), original, optimized };
        let fleet = Fleet {
            edition: Edition::named("simple"),
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
        let text = fleet.text();
        for part in [
            "total (built in both variants)       120         20            7          7       9          0\n",
            "nlg                                    –         30",
            "downloads 71MB in 5 layers for the 2 optimized images",
            "tag 1.0 downloads 2MB in 1 layer.",
            "Missing under that tag: api.",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        assert!(fleet.markdown().contains("| api | 120 | 20 | 7 | 7 | 9 | 0 |\n"));
    }
}
