//! Squarified treemaps (Bruls, Huizing, van Wijk: "Squarified Treemaps", 2000): areas by weight, as square as possible.

/// A rectangle in percent of the map; x from the left, y from the top.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rect {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
}

/// Lays out weights, largest first, on a map whose width is `aspect` times its height: one rectangle per weight, in order.
pub(super) fn layout(weights: &[u64], aspect: f64) -> Vec<Rect> {
    let sum: u64 = weights.iter().sum();
    if sum == 0 {
        return Vec::new();
    }
    // Units in which the map's area is the sum of the weights.
    let (width, height) = ((sum as f64 * aspect).sqrt(), (sum as f64 / aspect).sqrt());
    let mut free = Rect { x: 0.0, y: 0.0, width, height };
    let mut rects = Vec::with_capacity(weights.len());
    let mut rest = weights;
    while !rest.is_empty() {
        let side = free.width.min(free.height);
        let mut count = 1;
        while count < rest.len() && worst(&rest[..=count], side) <= worst(&rest[..count], side) {
            count += 1;
        }
        let (row, others) = rest.split_at(count);
        place(row, &mut free, &mut rects);
        rest = others;
    }
    let percent = |rect: Rect| Rect {
        x: rect.x / width * 100.0,
        y: rect.y / height * 100.0,
        width: rect.width / width * 100.0,
        height: rect.height / height * 100.0,
    };
    rects.into_iter().map(percent).collect()
}

/// The largest aspect ratio of a row along a side of this length.
fn worst(row: &[u64], side: f64) -> f64 {
    let sum: u64 = row.iter().sum();
    let thickness = sum as f64 / side;
    let ratio = |weight: &u64| {
        let length = (*weight as f64 / thickness).max(f64::MIN_POSITIVE);
        (length / thickness).max(thickness / length)
    };
    row.iter().map(ratio).fold(0.0, f64::max)
}

/// Places a row along the shorter side and removes its area from `free`.
fn place(row: &[u64], free: &mut Rect, rects: &mut Vec<Rect>) {
    let sum: u64 = row.iter().sum();
    let is_column = free.width >= free.height;
    let side = if is_column { free.height } else { free.width };
    let thickness = if side > 0.0 { sum as f64 / side } else { 0.0 };
    let mut at = 0.0;
    for weight in row {
        let length = if thickness > 0.0 { *weight as f64 / thickness } else { 0.0 };
        rects.push(match is_column {
            true => Rect { x: free.x, y: free.y + at, width: thickness, height: length },
            false => Rect { x: free.x + at, y: free.y, width: length, height: thickness },
        });
        at += length;
    }
    if is_column {
        free.x += thickness;
        free.width = (free.width - thickness).max(0.0);
    } else {
        free.y += thickness;
        free.height = (free.height - thickness).max(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_example_of_the_paper_is_laid_out_as_published() {
        let rects = layout(&[6, 6, 4, 3, 2, 2, 1], 6.0 / 4.0);
        // The first two share a column of half the width; the third and fourth a row of the rest.
        let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(close(rects[0].width, 50.0) && close(rects[0].height, 50.0), "{rects:?}");
        assert!(close(rects[1].y, 50.0) && close(rects[2].x, 50.0), "{rects:?}");
        assert!(close(rects[2].height, 7.0 / 3.0 / 4.0 * 100.0), "{rects:?}");
    }

    #[test]
    fn no_weight_gives_no_rectangle() {
        assert!(layout(&[], 2.0).is_empty() && layout(&[0, 0], 2.0).is_empty());
    }

    proptest! {
        #[test]
        fn areas_match_weights_without_overlap_or_overflow(
            mut weights in prop::collection::vec(1_u64..1_000_000_000, 1..60), aspect in 0.3_f64..4.0
        ) {
            weights.sort_unstable_by(|a, b| b.cmp(a));
            let rects = layout(&weights, aspect);
            let sum: u64 = weights.iter().sum();
            prop_assert_eq!(rects.len(), weights.len());
            for (rect, weight) in rects.iter().zip(&weights) {
                let area = rect.width * rect.height / 10_000.0;
                prop_assert!((area - *weight as f64 / sum as f64).abs() < 1e-6, "{rect:?}");
                prop_assert!(rect.x >= -1e-6 && rect.y >= -1e-6);
                prop_assert!(rect.x + rect.width <= 100.0 + 1e-6 && rect.y + rect.height <= 100.0 + 1e-6);
            }
            for (index, a) in rects.iter().enumerate() {
                for b in &rects[index + 1..] {
                    let apart = a.x + a.width <= b.x + 1e-6 || b.x + b.width <= a.x + 1e-6
                        || a.y + a.height <= b.y + 1e-6 || b.y + b.height <= a.y + 1e-6;
                    prop_assert!(apart, "{a:?} and {b:?} overlap");
                }
            }
        }
    }
}
