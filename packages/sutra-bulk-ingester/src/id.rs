//! Ids of jobs. They sort by age.

use crate::random;

/// A new id. The number gives the order. The random part keeps ids unique after all jobs were deleted.
pub(crate) fn new(number: u64) -> String {
    format!("{number:010}-{:08x}", random::bits() >> 32)
}

/// The number of a job; `None` if the id was not made here.
pub(crate) fn number(id: &str) -> Option<u64> {
    let (number, random) = id.split_once('-')?;
    let is_made_here =
        number.len() >= 10 && number.bytes().all(|byte| byte.is_ascii_digit()) && random.len() == 8;
    if is_made_here { number.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_age() {
        let (first, second) = (new(9), new(10));
        assert!(first < second && new(10) != second);
        assert_eq!((number(&first), number(&second)), (Some(9), Some(10)));
        for other in [
            "",
            "-",
            "0000000001",
            "1-12345678",
            "0000000001-1",
            "000000000x-12345678",
            "+000000001-12345678",
        ] {
            assert_eq!(number(other), None, "{other}");
        }
    }
}
