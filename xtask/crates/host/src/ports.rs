//! Free ports on loopback, for stacks beside others.

use crate::failure::Failure;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::time::{SystemTime, UNIX_EPOCH};

/// Below Linux's ephemeral ports (32768 and up), so that no outgoing connection takes one while its service restarts; above the
/// usual ports of services.
const RANGE: std::ops::Range<u16> = 20_000..30_000;

/// `count` ports without a listener. Nothing reserves them, so concurrent runs start at different places.
///
/// # Errors
/// When there are fewer.
pub fn free(count: usize) -> Result<Vec<u16>, Failure> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seed = u64::from(now.subsec_nanos()) ^ (u64::from(std::process::id()) << 20);
    free_from(seed, count)
}

fn free_from(seed: u64, count: usize) -> Result<Vec<u16>, Failure> {
    let size = u64::from(RANGE.end - RANGE.start);
    let all = (0..size).filter_map(|step| u16::try_from((seed + step * 7) % size).ok());
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    let found: BTreeSet<u16> = all.map(|offset| RANGE.start + offset).filter(is_free).take(count).collect();
    if found.len() < count {
        let what = format!("fewer than {count} free ports on loopback");
        return Err(Failure::machine(what, "stop processes that listen on ports 20000 to 29999"));
    }
    Ok(found.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_with_a_listener_is_not_free() {
        let first = free_from(42, 1).unwrap()[0];
        let _listener = TcpListener::bind((Ipv4Addr::LOCALHOST, first)).unwrap();
        let others = free_from(42, 8).unwrap();
        assert_eq!(others.len(), 8);
        assert!(!others.contains(&first) && others.iter().all(|port| RANGE.contains(port)));
    }
}
