//! Comparing a run's figures with the declared bounds.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::recorder::Measurement;
use crate::request::MeasureRequest;
use crate::view::amount;
use host::failure::{Failure, FailureClass};
use model::bound::Bound;

/// Checks the bounds whose figures this run measured; returns their number.
///
/// # Errors
/// Every exceeded bound, or that the run measured nothing that has a bound.
pub fn check(bounds: &[Bound], measurement: &Measurement, request: &MeasureRequest<'_>) -> Result<usize> {
    let mut checked = BTreeSet::new();
    let mut exceeded = Vec::new();
    for bound in bounds {
        let figure = (bound.subject.clone(), bound.quantity);
        let entry =
            measurement.record.find(request.edition, request.tag.as_str(), &bound.subject, bound.quantity);
        let median = entry
            .filter(|_| measurement.figures.contains(&figure))
            .and_then(|entry| entry.optimized.median());
        let Some(median) = median else { continue };
        checked.insert(figure);
        if median > bound.at_most {
            let unit = bound.quantity.unit();
            let (value, limit) = (amount(median, unit), amount(bound.at_most, unit));
            exceeded.push(format!("{} {}: {value}, at most {limit}", bound.subject, bound.quantity.name()));
        }
    }
    if checked.is_empty() {
        let what = "no bound was checked: [bound] in images.toml limits none of the measured figures";
        return Err(Failure::new(FailureClass::Failed, what, "measure more, or declare a bound").into());
    }
    if !exceeded.is_empty() {
        let what =
            format!("{} of {} bounds exceeded:\n  {}", exceeded.len(), checked.len(), exceeded.join("\n  "));
        return Err(Failure::new(FailureClass::Failed, what, "").into());
    }
    Ok(checked.len())
}
