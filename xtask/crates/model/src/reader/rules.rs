//! Rules for images: baselines, benefits, bounds, opportunities and the rules of `check`.

use std::collections::BTreeMap;

use crate::allowlist::{AllowedOpportunity, Allowlist};
use crate::baseline::StepLimit;
use crate::benefit::{Benefit, Figure};
use crate::bound::{Bound, WHOLE, XTASK};
use crate::bytes::Bytes;
use crate::check_rules::{Allowance, CheckRules, FindingKind};
use crate::edition::Edition;
use crate::file::{self, Named, Promise, Relaxable, Severity, SizeText};
use crate::load::Load;
use crate::names::Unknown;
use crate::quantity::{Quantity, Unit};
use crate::reader::load::refuse_unknown;
use crate::reader::place::Place;
use crate::test_rules::{TestRules, TestUser, capability};

/// Larger steps would disable the guard: an image could double, or gain a whole dependency, in one step.
const MAX_PERCENT: f64 = 50.0;
const MAX_BYTES: Bytes = Bytes(100_000_000);

/// `[baselines]`.
pub(super) fn step_limit(file: &file::Baselines, place: &Place<'_>) -> StepLimit {
    let default = StepLimit::default();
    let percent = file.step_percent.unwrap_or(default.percent);
    if !(0.0..=MAX_PERCENT).contains(&percent) {
        place.key("step-percent").fault(format!("must be from 0 to {MAX_PERCENT}"));
    }
    let bytes = file.step_bytes.map_or(default.bytes, |SizeText(bytes)| bytes);
    if bytes > MAX_BYTES {
        place.key("step-bytes").fault(format!("must be at most {MAX_BYTES}: a larger step hides growth"));
    }
    StepLimit { percent, bytes }
}

/// `[benefit.FIGURE]`.
pub(super) fn benefits(file: &Named<file::Benefit>, table: &Place<'_>) -> Vec<Benefit> {
    let one = |(key, file): (&str, &file::Benefit)| {
        let place = table.key(key);
        place.require(&["name"]);
        let guide = file.guide.map(|guide| match guide {
            Promise::Exactly(percent) => (percent, percent),
            Promise::Range(from, to) => (from, to),
        });
        for (key, percent) in [("guide", guide.map(|(_, to)| to)), ("goal", file.goal)] {
            if percent.is_some_and(|percent| !(0.0..=100.0).contains(&percent)) {
                place.key(key).fault("must be from 0 to 100: percent less than the originals");
            }
        }
        let figure = Figure::ALL.into_iter().find(|figure| figure.name() == key);
        if figure.is_none() {
            place.fault(Unknown::new("figure", key, Figure::ALL.map(Figure::name)));
        }
        Some(Benefit { name: file.name.clone(), figure: figure?, guide, goal: file.goal })
    };
    file.iter().filter_map(one).collect()
}

/// `[opportunities]`.
pub(super) fn allowlist(
    file: &file::Opportunities,
    place: &Place<'_>,
    services: &[&str],
    editions: &[Edition],
) -> Allowlist {
    let names: Vec<&str> = editions.iter().map(|edition| edition.name()).collect();
    let entry = |(position, file): (usize, &file::KnownOpportunity)| {
        let place = place.key("known").at(position);
        place.require(&["kind", "services", "bytes", "reason"]);
        if file.services.is_empty() && place.has("services") {
            place.key("services").fault("must name a service");
        }
        refuse_unknown("service", &file.services, services, &place.key("services"));
        refuse_unknown("edition", &file.editions, &names, &place.key("editions"));
        let is_listed = |edition: &&Edition| file.editions.iter().any(|name| name == edition.name());
        Some(AllowedOpportunity {
            kind: file.kind?,
            services: file.services.clone(),
            editions: editions.iter().filter(is_listed).copied().collect(),
            bytes: file.bytes?.0,
            reason: file.reason.clone(),
        })
    };
    Allowlist {
        min_size: file.least.map_or(Allowlist::default().min_size, |SizeText(bytes)| bytes),
        entries: file.known.iter().enumerate().filter_map(entry).collect(),
    }
}

/// `[check]` and `[[check.allow]]`.
pub(super) fn check(file: &file::Checks, place: &Place<'_>, services: &[&str]) -> CheckRules {
    let severities = [
        (Relaxable::Edition, file.edition),
        (Relaxable::Pruned, file.pruned),
        (Relaxable::Secret, file.secret),
        (Relaxable::User, file.user),
        (Relaxable::Volume, file.volume),
    ];
    let warnings = severities.iter().filter(|(_, severity)| *severity == Severity::Warn);
    let allowance = |(position, file): (usize, &file::Allowance)| {
        let place = place.key("allow").at(position);
        place.require(&["kind", "path", "reason"]);
        if file.path == "/" {
            place.key("path").fault("`/` would allow everything: name a file or a folder");
        }
        refuse_unknown("service", &file.services, services, &place.key("services"));
        Some(Allowance {
            kind: kind(file.kind?),
            path: file.path.clone(),
            services: file.services.clone(),
            reason: file.reason.clone(),
        })
    };
    CheckRules {
        warnings: warnings.map(|(relaxed, _)| kind(*relaxed)).collect(),
        allowances: file.allow.iter().enumerate().filter_map(allowance).collect(),
    }
}

/// The requirements of a service: the keys of its `test` table, else of `[test]`.
pub(super) fn test(all: &file::Test, service: &file::Test) -> TestRules {
    let file = all.with(service);
    TestRules {
        user: file.user.map(user),
        read_only: file.read_only.unwrap_or_default(),
        capabilities: file.capabilities.map(|names| names.iter().map(|name| capability(name)).collect()),
        own_command: file.own_command.unwrap_or_default(),
    }
}

/// A quoted number is a user ID, as in a Dockerfile's USER.
fn user(user: file::TestUser) -> TestUser {
    match user {
        file::TestUser::Id(id) => TestUser::Id(id),
        file::TestUser::Name(name) => name.parse().map_or(TestUser::Name(name), TestUser::Id),
    }
}

/// Rejects invalid values in a `test` table.
pub(super) fn refuse_odd_test(file: &file::Test, place: &Place<'_>) {
    for (position, name) in file.capabilities.iter().flatten().enumerate() {
        let known = capability(name);
        let is_name = known.starts_with(|first: char| first.is_ascii_uppercase())
            && known.chars().all(|char| char.is_ascii_uppercase() || char == '_');
        if !is_name || known == "ALL" {
            let fault = format!("invalid capability `{name}`: use a name such as `NET_BIND_SERVICE`");
            place.key("capabilities").at(position).fault(fault);
        }
    }
    if let Some(TestUser::Name(name)) = file.user.clone().map(user)
        && (name.is_empty() || name.contains(|char: char| char == ':' || char.is_whitespace()))
    {
        place
            .key("user")
            .fault(format!("invalid user `{name}`: use a user ID or a user name, without a group"));
    }
}

fn kind(relaxed: Relaxable) -> FindingKind {
    match relaxed {
        Relaxable::Edition => FindingKind::Edition,
        Relaxable::Pruned => FindingKind::Pruned,
        Relaxable::Secret => FindingKind::Secret,
        Relaxable::User => FindingKind::User,
        Relaxable::Volume => FindingKind::Volume,
    }
}

/// `[bound]`: a subject, and the largest value of each quantity.
pub(super) fn bounds(
    file: &Named<BTreeMap<String, String>>,
    table: &Place<'_>,
    services: &[&str],
    loads: &[Load],
) -> Vec<Bound> {
    let steps: Vec<String> =
        loads.iter().flat_map(|load| load.steps.iter().map(|step| load.subject(step))).collect();
    let subjects: Vec<&str> =
        services.iter().copied().chain([WHOLE, XTASK]).chain(steps.iter().map(String::as_str)).collect();
    // A rate has no upper limit.
    let limited = || Quantity::ALL.into_iter().filter(|quantity| quantity.unit() != Unit::PerSecond);
    let mut bounds = Vec::new();
    for (subject, limits) in file.iter() {
        let place = table.key(subject);
        if !subjects.contains(&subject) {
            place.fault(Unknown::new("subject", subject, subjects.iter().copied()));
        }
        for name in limits.keys().filter(|name| !limited().any(|quantity| quantity.name() == **name)) {
            place.key(name).fault(Unknown::new("figure", name, limited().map(Quantity::name)));
        }
        for quantity in limited() {
            let Some(text) = limits.get(quantity.name()) else { continue };
            match limit(text, quantity.unit()) {
                Some(at_most) => bounds.push(Bound { subject: subject.to_owned(), quantity, at_most }),
                None => {
                    let text = format!("`{text}` is not {}", example(quantity.unit()));
                    place.key(quantity.name()).fault(text);
                }
            }
        }
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
