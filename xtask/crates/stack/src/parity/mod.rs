//! Whether optimized images give the same answers as the originals, either running or recorded.

pub(crate) mod answers;
pub(crate) mod record;
