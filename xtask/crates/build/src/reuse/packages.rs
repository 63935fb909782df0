//! How images get their packages, and the date of those packages.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::Result;

use crate::fingerprint::Fingerprint;
use crate::package_date::{self, PackageDate};
use crate::plan::BuildPlan;
use host::files;
use host::paths::Repository;

/// How a build gets packages and other inputs that change over time.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Packages {
    /// It gets none.
    None,
    /// In steps that take the date of packages as an argument. They run again when the date changes; other steps of these Dockerfiles
    /// stay cached on purpose.
    Dated,
    /// In these targets; empty if only images may change. They do not take the date, so they must be built without the cache.
    Undated(BTreeSet<String>),
}

impl Packages {
    pub fn of(print: &Fingerprint, plan: &BuildPlan) -> Packages {
        let targets = &print.unpinned;
        if targets.iter().any(|name| is_dated(plan, name)) {
            return Packages::Dated;
        }
        match targets.is_empty() && !print.has_moving_images {
            true => Packages::None,
            false => Packages::Undated(targets.clone()),
        }
    }
}

/// The label with the date of an image's packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PackagesLabel {
    /// The build asked for packages from this date or later.
    pub date: PackageDate,
    /// Whether it got them; otherwise, they may come from an older build cache.
    pub is_certain: bool,
}

impl PackagesLabel {
    const UNCERTAIN: &str = "cached-";

    /// `None` if the text is not a valid label.
    pub fn parse(text: &str) -> Option<PackagesLabel> {
        let date = text.strip_prefix(PackagesLabel::UNCERTAIN);
        Some(PackagesLabel { date: PackageDate::recorded(date.unwrap_or(text))?, is_certain: date.is_none() })
    }
}

impl fmt::Display for PackagesLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = if self.is_certain { "" } else { PackagesLabel::UNCERTAIN };
        write!(f, "{prefix}{}", self.date.as_str())
    }
}

pub(crate) fn is_dated(plan: &BuildPlan, target: &str) -> bool {
    plan.definition.target.get(target).is_some_and(|target| target.args.contains_key(package_date::ARGUMENT))
}

/// The date of each image's packages, by image ID. It is not in the image: a new date alone must not change an image.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Dates(pub BTreeMap<String, PackageDate>);

/// The maximum number of dates, more than a project has images.
const KEPT: usize = 2000;

impl Dates {
    /// Each line has an ID and a date. Skips damaged lines: losing a date only costs a cached build.
    pub fn read(repository: &Repository) -> Result<Dates> {
        let text = files::read_if_there(&repository.package_dates())?.unwrap_or_default();
        let line = |line: &str| {
            let (id, date) = line.split_once(' ')?;
            Some((id.to_owned(), PackageDate::recorded(date)?))
        };
        Ok(Dates(text.lines().filter_map(line).collect()))
    }

    pub fn write(&self, repository: &Repository) -> Result<()> {
        let mut lines: Vec<(&PackageDate, &String)> = self.0.iter().map(|(id, date)| (date, id)).collect();
        lines.sort_by(|a, b| b.cmp(a));
        let lines = lines.into_iter().take(KEPT).map(|(date, id)| format!("{id} {}\n", date.as_str()));
        files::write_atomically(&repository.package_dates(), lines.collect::<String>().as_bytes())
    }
}
