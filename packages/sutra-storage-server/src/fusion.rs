//! Reciprocal rank fusion: merges rankings without comparing their scores.

use std::collections::HashMap;

/// Reduces the weight of the first ranks; 60 is the value of the method's authors and the common choice.
const DAMPING: f32 = 60.0;

/// Ids with their fused scores, highest first; ties are ordered by id.
pub(crate) fn fuse(rankings: &[Vec<String>]) -> Vec<(String, f32)> {
    let mut scores: HashMap<&str, f32> = HashMap::new();
    for ranking in rankings {
        for (rank, id) in (1_u16..).zip(ranking) {
            *scores.entry(id).or_default() += 1.0 / (DAMPING + f32::from(rank));
        }
    }
    let mut fused: Vec<_> = scores.into_iter().map(|(id, score)| (id.to_owned(), score)).collect();
    fused.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    fused
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_in_both_rankings_come_first() {
        let ranking = |ids: &[&str]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
        let fused = fuse(&[ranking(&["a", "b", "c"]), ranking(&["d", "c"])]);
        let ids: Vec<_> = fused.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!(ids, ["c", "a", "d", "b"]);
        assert!((fused[0].1 - (1.0 / 63.0 + 1.0 / 62.0)).abs() < 1e-6);
        assert_eq!(fused[1].1, fused[2].1);
    }
}
