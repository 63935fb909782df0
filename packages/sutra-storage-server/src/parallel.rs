//! Reads from disk in parallel.

/// Reads at once: a disk answers several about as fast as one.
const THREADS: usize = 8;

/// Items that are worth a thread.
const ITEMS_PER_THREAD: usize = 3;

/// The results for all items, in order, or an error.
pub(crate) fn map<T: Sync, R: Send, E: Send>(
    items: &[T],
    work: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let threads = items.len().div_ceil(ITEMS_PER_THREAD).clamp(1, THREADS);
    let share = items.len().div_ceil(threads).max(1);
    let part = |items: &[T]| items.iter().map(&work).collect::<Result<Vec<_>, _>>();
    let Some((first, others)) = items.split_at_checked(share) else { return part(items) };
    std::thread::scope(|scope| {
        let others: Vec<_> = others.chunks(share).map(|items| scope.spawn(|| part(items))).collect();
        let mut results = part(first)?;
        for thread in others {
            let part = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            results.extend(part?);
        }
        Ok(results)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_order_and_errors_are_returned() {
        for count in [0, 1, 2, 3, 4, 7, 24, 25, 100] {
            let items: Vec<usize> = (0..count).collect();
            let doubled = items.iter().map(|item| 2 * item).collect();
            assert_eq!(map(&items, |item| Ok::<_, usize>(2 * item)), Ok(doubled));
            for failing in [0, count / 2, count.saturating_sub(1)] {
                let result = map(&items, |&item| if item == failing { Err(item) } else { Ok(item) });
                assert_eq!(result.err(), (count > 0).then_some(failing));
            }
        }
    }
}
