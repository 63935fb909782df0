//! The step limit: `[baselines]`.

use crate::baseline::StepLimit;
use crate::bytes::Bytes;
use crate::reader::fields::Fields;

/// Larger steps would disable the guard: an image could double, or gain a whole dependency, in one step.
const MAX_PERCENT: f64 = 50.0;
const MAX_BYTES: Bytes = Bytes(100_000_000);

/// Reads the table; missing fields have defaults.
pub(super) fn read(root: &mut Fields<'_, '_>) -> StepLimit {
    let default = StepLimit::default();
    let Some(mut table) = root.table("baselines") else {
        return default;
    };
    let percent = table.optional_real("step-percent").unwrap_or(default.percent);
    if !(0.0..=MAX_PERCENT).contains(&percent) {
        table.fault("step-percent", format!("must be from 0 to {MAX_PERCENT}"));
    }
    let bytes = table.size("step-bytes").unwrap_or(default.bytes);
    if bytes > MAX_BYTES {
        table.fault("step-bytes", format!("must be at most {MAX_BYTES}: a larger step hides growth"));
    }
    let limit = StepLimit { percent, bytes };
    table.finish();
    limit
}
