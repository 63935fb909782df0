//! Which image is pushed next. Images share layers, and a registry that has a layer in one repository needs no second copy
//! for another; but docker can only see that once the first is there. So an image whose layers are on their way waits.

use std::collections::BTreeSet;

/// What is known of the pushes of one run.
#[derive(Debug, Default)]
pub struct Schedule {
    /// Layers of each job.
    layers: Vec<Vec<String>>,
    /// Jobs that wait, in the order in which they would best go.
    waiting: Vec<usize>,
    going: Vec<usize>,
    there: BTreeSet<String>,
}

impl Schedule {
    /// Of jobs with their size and layers: small ones first, since they let those that share layers with them go early.
    pub fn new(jobs: impl IntoIterator<Item = (u64, Vec<String>)>) -> Schedule {
        let (sizes, layers): (Vec<u64>, Vec<Vec<String>>) = jobs.into_iter().unzip();
        let mut waiting: Vec<usize> = (0..layers.len()).collect();
        waiting.sort_by_key(|&job| sizes[job]);
        Schedule { layers, waiting, ..Schedule::default() }
    }

    /// The next job that may go now. `None` while those that wait share layers with those that go.
    pub fn take(&mut self) -> Option<usize> {
        let on_the_way: BTreeSet<&String> = self
            .going
            .iter()
            .flat_map(|&job| &self.layers[job])
            .filter(|layer| !self.there.contains(*layer))
            .collect();
        let free = |job: &usize| self.layers[*job].iter().all(|layer| !on_the_way.contains(layer));
        let place = self.waiting.iter().position(free)?;
        let job = self.waiting.remove(place);
        self.going.push(job);
        Some(job)
    }

    /// Whether no job waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// A job has ended; if well, its layers are there.
    pub fn end(&mut self, job: usize, well: bool) {
        self.going.retain(|&going| going != job);
        if well {
            self.there.extend(self.layers[job].iter().cloned());
        }
    }

    /// Lets no job go any more; those that waited.
    pub fn stop(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(names: &str) -> Vec<String> {
        names.chars().map(String::from).collect()
    }

    #[test]
    fn an_image_waits_for_layers_that_are_on_their_way() {
        let mut schedule =
            Schedule::new([(9, layers("bx")), (1, layers("b")), (5, layers("z")), (7, layers("by"))]);
        assert_eq!((schedule.take(), schedule.take(), schedule.take()), (Some(1), Some(2), None));
        schedule.end(1, true);
        // The base is there: both may go side by side.
        assert_eq!((schedule.take(), schedule.take(), schedule.take()), (Some(3), Some(0), None));
        assert!(schedule.is_empty());
    }

    #[test]
    fn a_failed_push_lets_the_next_one_carry_the_layers() {
        let mut schedule = Schedule::new([(1, layers("b")), (2, layers("bx")), (3, layers("by"))]);
        assert_eq!((schedule.take(), schedule.take()), (Some(0), None));
        schedule.end(0, false);
        assert_eq!((schedule.take(), schedule.take()), (Some(1), None));
        assert_eq!((schedule.stop(), schedule.is_empty()), (vec![2], true));
    }
}
