//! Compares versions of Debian packages (deb-version(7), "Sorting algorithm").

use std::cmp::Ordering;

/// Compares two versions as `dpkg --compare-versions` does.
pub(super) fn compare(left: &str, right: &str) -> Ordering {
    let (left, right) = (Parts::of(left), Parts::of(right));
    left.epoch
        .cmp(&right.epoch)
        .then_with(|| verrevcmp(left.upstream, right.upstream))
        .then_with(|| verrevcmp(left.revision, right.revision))
}

/// `EPOCH:UPSTREAM-REVISION`.
struct Parts<'v> {
    epoch: u64,
    upstream: &'v str,
    revision: &'v str,
}

impl Parts<'_> {
    fn of(version: &str) -> Parts<'_> {
        let version = version.trim();
        let (epoch, rest) = match version.split_once(':') {
            Some((epoch, rest)) => (epoch.parse().unwrap_or(0), rest),
            None => (0, version),
        };
        // A missing revision sorts like `0`, as an empty one does.
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        Parts { epoch, upstream, revision }
    }
}

/// Compares by turns what is not a digit and what is.
fn verrevcmp(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.as_bytes(), right.as_bytes());
    while !left.is_empty() || !right.is_empty() {
        let (left_text, left_rest) = split(left, |byte| !byte.is_ascii_digit());
        let (right_text, right_rest) = split(right, |byte| !byte.is_ascii_digit());
        let by_text = text(left_text, right_text);
        let (left_number, left_rest) = split(left_rest, |byte| byte.is_ascii_digit());
        let (right_number, right_rest) = split(right_rest, |byte| byte.is_ascii_digit());
        let order = by_text.then_with(|| number(left_number, right_number));
        if order != Ordering::Equal {
            return order;
        }
        (left, right) = (left_rest, right_rest);
    }
    Ordering::Equal
}

fn split(bytes: &[u8], is_part: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    bytes.split_at(bytes.iter().position(|&byte| !is_part(byte)).unwrap_or(bytes.len()))
}

/// A tilde sorts before the end, the end before letters, letters before everything else.
fn text(left: &[u8], right: &[u8]) -> Ordering {
    let weight = |byte: Option<&u8>| match byte {
        Some(b'~') => -1,
        None => 0,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(*byte),
        Some(byte) => i32::from(*byte) + 256,
    };
    let length = left.len().max(right.len());
    let orders = (0..length).map(|at| weight(left.get(at)).cmp(&weight(right.get(at))));
    orders.fold(Ordering::Equal, Ordering::then)
}

/// Numbers of any length.
fn number(left: &[u8], right: &[u8]) -> Ordering {
    let [left, right] = [left, right].map(|digits| split(digits, |byte| byte == b'0').1);
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

#[cfg(test)]
mod tests {
    use host::process::{Runner, find};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn versions_sort_as_the_manual_says() {
        let ascending = [
            "0~",
            "0",
            "1.0~~",
            "1.0~~a",
            "1.0~rc1-1",
            "1.0~rc1-1+b1",
            "1.0",
            "1.0-0.1",
            "1.0-1~deb13u1",
            "1.0-1",
            "1.0-1+b1",
            "1.0-1+deb13u1",
            "1.0-1+deb13u2",
            "1.0-1+deb13u10",
            "1.0-1.1",
            "1.0a-1",
            "1.0+dfsg-1",
            "1.1",
            "1.9",
            "1.10",
            "1:0.5",
            "2:0",
        ];
        for (index, left) in ascending.iter().enumerate() {
            for (other, right) in ascending.iter().enumerate() {
                assert_eq!(compare(left, right), index.cmp(&other), "{left} {right}");
            }
        }
        for (left, right) in [("1.0", "1.0-0"), ("1.0", "0:1.0"), ("1.00-01", "1.0-1"), ("1", "1.0-0")] {
            let expected = if left == "1" { Ordering::Less } else { Ordering::Equal };
            assert_eq!(compare(left, right), expected, "{left} {right}");
        }
    }

    #[test]
    fn numbers_may_be_longer_than_any_integer() {
        let long = "9".repeat(60);
        assert_eq!(compare(&format!("1.{long}"), &format!("1.1{long}")), Ordering::Less);
    }

    fn version() -> impl Strategy<Value = String> {
        let part = "[0-9]{1,3}([.+~a-cA-C]{1,2}[0-9]{0,2}){0,3}";
        (prop::option::of(0..3u8), part, prop::option::of("[0-9a-b~+.]{1,5}")).prop_map(
            |(epoch, upstream, revision)| {
                let epoch = epoch.map(|epoch| format!("{epoch}:")).unwrap_or_default();
                let revision = revision.map(|revision| format!("-{revision}")).unwrap_or_default();
                format!("{epoch}{upstream}{revision}")
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

        #[test]
        fn dpkg_agrees(left in version(), right in version()) {
            let order = compare(&left, &right);
            prop_assert_eq!(compare(&right, &left), order.reverse());
            // Other systems have no dpkg; they still check the symmetry.
            if find("dpkg").is_some() {
                let operator = match order {
                    Ordering::Less => "lt",
                    Ordering::Equal => "eq",
                    Ordering::Greater => "gt",
                };
                let args = ["--compare-versions", &left, operator, &right];
                let output = Runner::default().cmd("dpkg").args(args).capture().unwrap();
                prop_assert_eq!(output.code, Some(0), "{} {} {}: {}", left, operator, right, output.stderr);
            }
        }
    }
}
