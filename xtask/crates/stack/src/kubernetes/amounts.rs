//! Resource quantities, durations in whole seconds, replicas and the update strategy.

use std::collections::BTreeMap;

use crate::kubernetes::gaps::Gaps;
use crate::kubernetes::plan::{Rollout, Workload};
use engine::compose::cluster::{ClusterService, ResourceAmounts, duration};

/// Bytes as a Kubernetes quantity, in the largest binary unit that divides them.
pub(super) fn memory(bytes: u64) -> String {
    let units = [("Gi", 30), ("Mi", 20), ("Ki", 10)];
    let unit = units.iter().find(|(_, power)| bytes > 0 && bytes.is_multiple_of(1 << power));
    unit.map_or_else(|| bytes.to_string(), |(name, power)| format!("{}{name}", bytes >> power))
}

/// Whether `text` is a positive Kubernetes quantity, such as `10Gi`.
pub fn is_size(text: &str) -> bool {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let units = ["", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    text[..digits].parse::<u64>().is_ok_and(|number| number > 0) && units.contains(&&text[digits..])
}

/// CPUs as a Kubernetes quantity: whole CPUs, or millicpus such as `500m`.
fn processors(text: &str) -> Option<String> {
    let thousandths = (text.parse::<f64>().ok()? * 1000.0).round();
    (thousandths >= 1.0).then(|| {
        let number = thousandths as u64;
        if number.is_multiple_of(1000) { (number / 1000).to_string() } else { format!("{number}m") }
    })
}

/// A duration rounded up to whole seconds, at least `least`.
pub(super) fn seconds(text: &str, least: u32) -> Option<u32> {
    let time = duration(text)?;
    let whole = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    Some(u32::try_from(whole).unwrap_or(u32::MAX).max(least))
}

fn resources(amounts: &ResourceAmounts) -> BTreeMap<String, String> {
    let cpu = amounts.cpus.as_deref().and_then(processors);
    let memory = amounts.memory.as_deref().and_then(|text| text.parse().ok()).map(memory);
    let found = [("cpu", cpu), ("memory", memory)];
    found.into_iter().filter_map(|(name, amount)| Some((name.to_owned(), amount?))).collect()
}

/// Sets replicas, resources, the grace period and the rollout.
pub(super) fn set(workload: &mut Workload, service: &ClusterService, gaps: &mut Gaps) {
    let name = workload.service.clone();
    let limits = service.limits();
    workload.replicas = service.replicas();
    workload.limits = resources(&limits);
    workload.requests = resources(&service.reservations());
    if limits.pids.is_some() {
        gaps.add(&name, "pids limit", "the kubelet's limit applies");
    }
    workload.grace_seconds =
        service.stop_grace_period.as_deref().and_then(|text| seconds(text, 0)).map(i64::from);
    if let Some(update) = &service.deploy.update_config {
        workload.rollout = Rollout {
            stop_first: update.order.as_deref() != Some("start-first"),
            parallelism: update.parallelism.and_then(|number| u32::try_from(number).ok()).unwrap_or(1),
            delay_seconds: update.delay.as_deref().and_then(|text| seconds(text, 0)).unwrap_or(0),
        };
        if update.failure_action.as_deref() == Some("rollback") {
            gaps.add(
                &name,
                "update_config.failure_action: rollback",
                "undo a failed update with `kubectl rollout undo`",
            );
        }
    } else {
        workload.rollout.parallelism = 1;
    }
    if service.deploy.mode.as_deref().is_some_and(|mode| mode.starts_with("global")) {
        gaps.add(&name, "deploy.mode: global", "runs the given number of replicas, not one per node");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_as_kubernetes_writes_them() {
        assert_eq!(
            [memory(1 << 30), memory(512 << 20), memory(1500), memory(0)],
            ["1Gi", "512Mi", "1500", "0"]
        );
        let found = ["0.5", "2", "1.25", "0.0001", "x"].map(processors);
        assert_eq!(found.map(|text| text.unwrap_or_default()), ["500m", "2", "1250m", "", ""]);
        assert_eq!((seconds("1m30s", 1), seconds("200ms", 1), seconds("x", 1)), (Some(90), Some(1), None));
    }
}
