//! Limits for measured figures, `[bound]`: a subject, and the largest value of each quantity.

use crate::bound::{Bound, WHOLE, XTASK};
use crate::bytes::Bytes;
use crate::load::Load;
use crate::manifest::Service;
use crate::names::Unknown;
use crate::quantity::{Quantity, Unit};
use crate::reader::fields::Fields;

/// Reads all bounds: `SUBJECT = { QUANTITY = "LIMIT" }`.
pub(super) fn read(table: Option<Fields<'_, '_>>, services: &[Service], loads: &[Load]) -> Vec<Bound> {
    let steps = loads.iter().flat_map(|load| load.steps.iter().map(|step| load.subject(step)));
    let all = services.iter().map(|service| service.name.clone());
    let known: Vec<String> = all.chain([WHOLE, XTASK].map(str::to_owned)).chain(steps).collect();
    let mut bounds = Vec::new();
    for (subject, mut row) in table.map(Fields::named_tables).unwrap_or_default() {
        if !known.contains(&subject) {
            row.fault_here(Unknown::new("subject", &subject, known.iter().map(String::as_str)));
        }
        // A rate has no upper limit.
        let limited = Quantity::ALL.into_iter().filter(|quantity| quantity.unit() != Unit::PerSecond);
        for quantity in limited {
            let Some(text) = row.optional_text(quantity.name()) else { continue };
            match limit(text, quantity.unit()) {
                Some(at_most) => bounds.push(Bound { subject: subject.clone(), quantity, at_most }),
                None => row.fault(quantity.name(), format!("`{text}` is not {}", example(quantity.unit()))),
            }
        }
        row.finish();
    }
    bounds
}

fn limit(text: &str, unit: Unit) -> Option<u64> {
    let scaled = |text: &str, factor: f64| {
        let number: f64 = text.trim().parse().ok()?;
        (number.is_finite() && number > 0.0).then_some((number * factor).round() as u64)
    };
    match unit {
        Unit::Bytes => text.parse::<Bytes>().ok().map(|bytes| bytes.0),
        Unit::Microseconds => match text.strip_suffix("ms") {
            Some(milliseconds) => scaled(milliseconds, 1e3),
            None => scaled(text.strip_suffix('s')?, 1e6),
        },
        Unit::Thousandths | Unit::PerSecond => scaled(text, 1e3),
    }
}

fn example(unit: Unit) -> &'static str {
    match unit {
        Unit::Bytes => "a size: write 64MB",
        Unit::Microseconds => "a time: write 150ms or 1.2s",
        Unit::Thousandths | Unit::PerSecond => "a ratio: write 1.5",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_in_the_units_of_their_quantities() {
        for (text, unit, value) in [
            ("64MB", Unit::Bytes, Some(64_000_000)),
            ("150ms", Unit::Microseconds, Some(150_000)),
            ("1.2s", Unit::Microseconds, Some(1_200_000)),
            ("1.25", Unit::Thousandths, Some(1_250)),
            ("150", Unit::Microseconds, None),
            ("-1s", Unit::Microseconds, None),
            ("150ms", Unit::Bytes, None),
        ] {
            assert_eq!(limit(text, unit), value, "{text}");
        }
    }
}
