//! Loads, `[[load.NAME]]`: one table a step, which is a probe and how often it is asked.

use std::collections::BTreeSet;

use crate::load::{GENERATED, Load, LoadStep};
use crate::manifest::Service;
use crate::reader::fields::Fields;
use crate::reader::probes;

/// Reads all loads. `available`: the placeholders that every step may use.
pub(super) fn read(
    table: Option<Fields<'_, '_>>,
    services: &[Service],
    available: &BTreeSet<String>,
) -> Vec<Load> {
    let lists = table.map(Fields::named_lists_of_tables).unwrap_or_default();
    let load = |(name, tables): (String, Vec<Fields<'_, '_>>)| {
        let mut available = available.clone();
        available.extend(GENERATED.map(str::to_owned));
        let mut names = BTreeSet::new();
        let steps = tables.into_iter().filter_map(|table| step(table, services, &mut available, &mut names));
        Load { name, steps: steps.collect() }
    };
    lists.into_iter().map(load).collect()
}

fn step(
    mut table: Fields<'_, '_>,
    services: &[Service],
    available: &mut BTreeSet<String>,
    names: &mut BTreeSet<String>,
) -> Option<LoadStep> {
    let mut number = |key, least, default| table.optional_number(key, least..=10_000_000).unwrap_or(default);
    let (count, warm_up) = (number("count", 1, 1), number("warm-up", 0, 0));
    let (clients, items) = (number("clients", 1, 1), number("items", 1, 1));
    let dimension = number("dimension", 1, 1);
    let restart = table.flag("restart");
    let environment = table.table("environment").map(Fields::named_texts).unwrap_or_default();
    let known = || services.iter().map(|service| service.name.as_str());
    let probe = probes::probe_of_any(table, known, available, names)?;
    let environment = environment.into_iter().collect();
    Some(LoadStep { probe, count, warm_up, clients, items, dimension, restart, environment })
}
