//! Busy cores.

use std::process::{Child, Command};

/// A busy loop that ends when its parent is killed.
const BUSY: &str = "while kill -0 $PPID; do n=0; while [ $n -lt 100000 ]; do n=$((n + 1)); done; done";

/// One busy loop per core, stopped on drop.
pub struct Load(Vec<Child>);

impl Load {
    pub fn on_every_core() -> Load {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let busy = || Command::new("sh").args(["-c", BUSY]).spawn().unwrap();
        Load((0..cores).map(|_| busy()).collect())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        for child in &mut self.0 {
            child.kill().ok();
            child.wait().ok();
        }
    }
}
