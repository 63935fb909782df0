//! Contents of programs: Go's build information, and machine code by crate or Go package.

pub mod build_info;
mod function_table;
pub mod symbols;

use std::cmp::Reverse;
use std::collections::HashMap;

use crate::facts::InsideBytes;

pub use function_table::{packages, within};

/// Maximum number of rows for one program; the rest is one row.
const MAX_NAMES: usize = 200;
/// Maximum number of names to count.
const MAX_COUNTED: usize = 20_000;
/// The longest name.
const MAX_NAME: usize = 200;
/// The name of the rest.
pub const REST: &str = "others";

/// Bytes by name.
#[derive(Debug, Default)]
pub struct Sums(HashMap<String, u64>);

impl Sums {
    /// Adds to a name.
    pub fn add(&mut self, name: &str, bytes: u64) {
        if let Some(sum) = self.0.get_mut(name) {
            *sum = sum.saturating_add(bytes);
            return;
        }
        let is_kept = name.len() <= MAX_NAME && self.0.len() < MAX_COUNTED;
        let sum = self.0.entry(if is_kept { name } else { REST }.to_owned()).or_default();
        *sum = sum.saturating_add(bytes);
    }

    /// Largest first.
    pub fn finish(self) -> Vec<InsideBytes> {
        let all = self.0.into_iter().filter(|(_, bytes)| *bytes > 0);
        sorted(all.map(|(name, bytes)| InsideBytes { name, bytes }).collect())
    }
}

/// Adds up equal names, largest first, and puts the smallest together.
pub fn merged<'i>(all: impl Iterator<Item = &'i InsideBytes>) -> Vec<InsideBytes> {
    let mut sums = Sums::default();
    all.for_each(|inside| sums.add(&inside.name, inside.bytes));
    sums.finish()
}

fn sorted(mut all: Vec<InsideBytes>) -> Vec<InsideBytes> {
    all.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.name.cmp(&b.name)));
    if all.len() > MAX_NAMES {
        let rest = all.split_off(MAX_NAMES).iter().fold(0_u64, |sum, one| sum.saturating_add(one.bytes));
        match all.iter_mut().find(|one| one.name == REST) {
            Some(others) => others.bytes = others.bytes.saturating_add(rest),
            None => all.push(InsideBytes { name: REST.to_owned(), bytes: rest }),
        }
        all.sort_by_cached_key(|one| (Reverse(one.bytes), one.name.clone()));
    }
    all
}
