//! Which image is pushed next. A layer that the registry has in one repository need not be uploaded for another, but docker
//! only sees that once the first upload is complete. So an image waits while a layer of it is being uploaded.

use std::collections::BTreeSet;

/// The pushes of one run.
#[derive(Debug, Default)]
pub struct Schedule {
    /// The layers of each job.
    layers: Vec<Vec<String>>,
    /// Waiting jobs, best first.
    waiting: Vec<usize>,
    running: Vec<usize>,
    /// Layers that the registry has.
    uploaded: BTreeSet<String>,
}

impl Schedule {
    /// From the size and layers of each job. Small jobs go first, so that those sharing layers with them can start early.
    pub fn new(jobs: impl IntoIterator<Item = (u64, Vec<String>)>) -> Schedule {
        let (sizes, layers): (Vec<u64>, Vec<Vec<String>>) = jobs.into_iter().unzip();
        let mut waiting: Vec<usize> = (0..layers.len()).collect();
        waiting.sort_by_key(|&job| sizes[job]);
        Schedule { layers, waiting, ..Schedule::default() }
    }

    /// Starts the next job. `None` while every waiting job shares a layer with a running one.
    pub fn take(&mut self) -> Option<usize> {
        let in_transit: BTreeSet<&String> = self
            .running
            .iter()
            .flat_map(|&job| &self.layers[job])
            .filter(|layer| !self.uploaded.contains(*layer))
            .collect();
        let free = |job: &usize| self.layers[*job].iter().all(|layer| !in_transit.contains(layer));
        let place = self.waiting.iter().position(free)?;
        let job = self.waiting.remove(place);
        self.running.push(job);
        Some(job)
    }

    /// Whether no job is waiting.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Ends a job; after a successful one, the registry has its layers.
    pub fn end(&mut self, job: usize, succeeded: bool) {
        self.running.retain(|&running| running != job);
        if succeeded {
            self.uploaded.extend(self.layers[job].iter().cloned());
        }
    }

    /// Drops all waiting jobs.
    pub fn stop(&mut self) {
        self.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(names: &str) -> Vec<String> {
        names.chars().map(String::from).collect()
    }

    #[test]
    fn an_image_waits_while_its_layers_are_being_uploaded() {
        let mut schedule =
            Schedule::new([(9, layers("bx")), (1, layers("b")), (5, layers("z")), (7, layers("by"))]);
        assert_eq!((schedule.take(), schedule.take(), schedule.take()), (Some(1), Some(2), None));
        schedule.end(1, true);
        // The base is uploaded: both may run in parallel.
        assert_eq!((schedule.take(), schedule.take(), schedule.take()), (Some(3), Some(0), None));
        assert!(schedule.is_empty());
    }

    #[test]
    fn after_a_failed_push_the_next_one_uploads_the_shared_layers() {
        let mut schedule = Schedule::new([(1, layers("b")), (2, layers("bx")), (3, layers("by"))]);
        assert_eq!((schedule.take(), schedule.take()), (Some(0), None));
        schedule.end(0, false);
        assert_eq!((schedule.take(), schedule.take()), (Some(1), None));
        schedule.stop();
        assert!(schedule.is_empty());
    }
}
