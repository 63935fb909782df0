//! The step limit: `[baselines]`.

use crate::baseline::StepLimit;
use crate::reader::fields::Fields;

/// Reads the table; missing fields have defaults.
pub(super) fn read(root: &mut Fields<'_, '_>) -> StepLimit {
    let default = StepLimit::default();
    let Some(mut table) = root.table("baselines") else {
        return default;
    };
    let percent = table.optional_real("step-percent").unwrap_or(default.percent);
    if !(0.0..=100.0).contains(&percent) {
        table.fault("step-percent", "must be from 0 to 100");
    }
    let limit = StepLimit { percent, bytes: table.size("step-bytes").unwrap_or(default.bytes) };
    table.finish();
    limit
}
