//! Disk: runs each command with little space left on the checkout's or the engine's disk, or fills the engine's disk at a docker
//! call. The command must report the full disk and lose nothing; the next run, with free space, must reach the same state as an
//! undisturbed one.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::endings::{Ended, Ending};
use super::own_engine::{self, OwnEngine};
use super::trial::{Trial, wanted};
use super::{Case, daemon, run, sites};

/// Allocation unit of tmpfs, in bytes.
const PAGE: u64 = 4096;

/// Free pages on the checkout's disk; commands write a few small files.
const PAGES: [u64; 10] = [0, 1, 2, 3, 4, 6, 8, 12, 16, 24];

/// Free pages on the engine's disk; layers, metadata and saved images need more space.
const ENGINE_PAGES: [u64; 8] = [0, 2, 8, 32, 128, 512, 2048, 8192];

/// Comment lines in the Compose file, so that it has several pages and a part of it may fit on the disk.
const PADDING: usize = 1500;

#[test]
#[ignore = "takes many minutes: cargo xtask ci --campaign disk"]
fn campaign() {
    if own_engine::outside("disk", 1500, daemon::save_registry).is_some() {
        return;
    }
    let engine = RefCell::new(OwnEngine::start());
    let registry = engine.borrow().registry();
    // Each disk is dropped before the site below it.
    let trials: Vec<(SmallDisk, Trial)> = wanted()
        .map(|scenario| {
            let site = sites::restarting("d", scenario.name);
            let compose = site.folder.read("docker-compose.yml");
            site.folder.write("docker-compose.yml", &(compose + &"# padding\n".repeat(PADDING)));
            let disk = SmallDisk::over(&site.folder.0);
            (disk, Trial::on(scenario, &registry, site))
        })
        .collect();
    let mut cases = Vec::new();
    for (disk, trial) in &trials {
        let engine = &engine;
        let on = |what: &'static str, folder: PathBuf, pages: u64| {
            let name = format!("{}: {pages} pages left on the {what}'s disk", trial.scenario.name);
            Case::new(name, move || {
                let full = folder.join("fill");
                let run = || {
                    fill(&full, pages);
                    Ended::of(&trial.command().output().unwrap())
                };
                let free = || {
                    fs::remove_file(&full).unwrap();
                    engine.borrow_mut().calm(false);
                };
                // The engine cannot remove everything while its own disk is full.
                if what == "checkout" {
                    trial.tidy_case(&[Some(3)], run, free)
                } else {
                    trial.case(&[Some(3)], run, free)
                }
            })
        };
        cases.extend(PAGES.map(|pages| on("checkout", disk.0.join("target/xtask/logs"), pages)));
        cases.extend(ENGINE_PAGES.map(|pages| on("engine", engine.borrow().data(), pages)));
        if ["build-images", "deploy update", "push"].contains(&trial.scenario.name) {
            cases.extend(at_calls(trial, engine));
        }
    }
    run("disk", cases);
}

/// Cases that fill the engine's disk at the first docker call of each kind, and at the last or fifth.
fn at_calls<'a>(trial: &'a Trial, engine: &'a RefCell<OwnEngine>) -> Vec<Case<'a>> {
    let full = engine.borrow().data().join("fill");
    trial.docker.fills(&full);
    let numbers = trial.calls.iter().flat_map(|(kind, count)| {
        let last = (*count > 1).then_some((*count).min(5));
        std::iter::once(1).chain(last).map(move |number| (kind, number))
    });
    let case = |(kind, number): (&'a String, usize)| {
        let name = format!("{}: DiskFull at `docker {kind}`, {number}", trial.scenario.name);
        let full = full.clone();
        Case::new(name, move || {
            let end = || trial.docker.end_at(kind, number, Ending::DiskFull, &mut trial.command());
            let free = || {
                fs::remove_file(&full).ok();
                engine.borrow_mut().calm(false);
            };
            trial.case(&[Some(3)], end, free)
        })
    };
    numbers.map(case).collect()
}

/// Fills a file system and leaves `pages` free.
fn fill(path: &Path, pages: u64) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut file = File::create(path).unwrap();
    let block = vec![0; 1 << 20];
    while file.write_all(&block).is_ok() {}
    while file.write_all(&block[..PAGE as usize]).is_ok() {}
    let length = file.metadata().unwrap().len();
    file.set_len(length.saturating_sub(pages * PAGE)).unwrap();
}

/// A fixed-size tmpfs mounted over a folder, with a copy of its contents.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn over(folder: &Path) -> SmallDisk {
        let script = "cp -a \"$0\" \"$0.copy\" && mount -t tmpfs -o size=300m none \"$0\" && cp -a \"$0.copy/.\" \"$0\" && rm -r \"$0.copy\"";
        assert!(
            std::process::Command::new("sh").args(["-c", script]).arg(folder).status().unwrap().success()
        );
        SmallDisk(folder.to_owned())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        std::process::Command::new("umount").args(["--lazy"]).arg(&self.0).status().ok();
    }
}
