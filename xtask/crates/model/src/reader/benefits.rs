//! Promised benefits of smaller images: `[benefit.FIGURE]`.

use crate::benefit::{Benefit, Figure};
use crate::names::Unknown;
use crate::reader::fields::Fields;

/// Reads one benefit; the key names the deciding figure.
pub(super) fn read(key: &str, mut fields: Fields<'_, '_>) -> Option<Benefit> {
    let figure = Figure::ALL.into_iter().find(|figure| figure.name() == key);
    if figure.is_none() {
        fields.fault_here(Unknown::new("figure", key, Figure::ALL.map(Figure::name)));
    }
    let name = fields.text("name").map(str::to_owned);
    let guide = fields.optional_json("guide").and_then(|value| {
        let range = match &value {
            serde_json::Value::Array(both) => match both.as_slice() {
                [from, to] => from.as_f64().zip(to.as_f64()),
                _ => None,
            },
            one => one.as_f64().map(|percent| (percent, percent)),
        };
        if range.is_none() {
            fields.fault(
                "guide",
                "must be percent less than the originals: a number, 60, or a range, [20, 30]",
            );
        }
        range
    });
    let goal = fields.optional_real("goal");
    for (key, percent) in [("guide", guide.map(|(_, to)| to)), ("goal", goal)] {
        if percent.is_some_and(|percent| !(0.0..=100.0).contains(&percent)) {
            fields.fault(key, "must be from 0 to 100: percent less than the originals");
        }
    }
    fields.finish();
    Some(Benefit { name: name?, figure: figure?, guide, goal })
}

#[cfg(test)]
mod tests {
    use crate::benefit::Figure;
    use crate::quantity::Quantity;
    use crate::reader::load::parse;
    use host::paths::Repository;
    use std::path::Path;

    fn read(tables: &str) -> Result<Vec<super::Benefit>, String> {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.."));
        let repository = Repository::locate(Some(root)).unwrap();
        let text = std::fs::read_to_string(repository.manifest()).unwrap();
        let (head, rest) = text.split_once("[benefit.").unwrap();
        let (_, tail) = rest.split_once("# ──").unwrap();
        let manifest = parse(&format!("{head}{tables}\n#{tail}"), &repository);
        manifest.map(|manifest| manifest.benefits).map_err(|faults| faults.to_string())
    }

    #[test]
    fn the_guides_promise_is_a_number_or_a_range() {
        let all = read("[benefit.size]\nname = \"a\"\nguide = 58\n[benefit.start]\nname = \"b\"\nguide = [20, 30]\ngoal = 60").unwrap();
        assert_eq!((all[0].figure, all[0].guide, all[0].goal), (Figure::Size, Some((58.0, 58.0)), None));
        assert_eq!((all[1].figure, all[1].guide), (Figure::Measured(Quantity::Start), Some((20.0, 30.0))));
    }

    #[test]
    fn invalid_benefits_are_reported() {
        let faults = read("[benefit.strat]\nname = \"a\"\nguide = [1]\ngoal = 101").unwrap_err();
        for text in ["did you mean `start`", "percent less than the originals: a number", "from 0 to 100"] {
            assert!(faults.contains(text), "{text} is not in {faults}");
        }
    }
}
