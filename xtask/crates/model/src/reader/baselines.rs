//! How far an image may be from its row in the lock: `[baselines]`.

use crate::baseline::Step;
use crate::reader::fields::Fields;
use crate::reader::load::size;

/// Reads the table; what is not said is as usual.
pub(super) fn read(root: &mut Fields<'_, '_>) -> Step {
    let usual = Step::default();
    let Some(mut table) = root.table("baselines") else {
        return usual;
    };
    let percent = table.optional_real("step-percent").unwrap_or(usual.percent);
    if !(0.0..=100.0).contains(&percent) {
        table.fault("step-percent", "must be from 0 to 100");
    }
    let step = Step { percent, bytes: size(&mut table, "step-bytes").unwrap_or(usual.bytes) };
    table.finish();
    step
}
