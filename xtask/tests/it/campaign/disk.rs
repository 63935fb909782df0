//! Disk: runs each command with little space left on the checkout's or the engine's disk. The command must report the full disk
//! and lose nothing; the next run, with free space, must reach the same state as an undisturbed one.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::endings::Ended;
use super::own_engine::{self, OwnEngine};
use super::trial::{Trial, wanted};
use super::{Case, daemon, run, sites};

/// Allocation unit of tmpfs, in bytes.
const PAGE: u64 = 4096;

/// Free pages on the checkout's disk; commands write a few small files.
const PAGES: [u64; 10] = [0, 1, 2, 3, 4, 6, 8, 12, 16, 24];

/// Free pages on the engine's disk; layers, metadata and saved images need more space.
const ENGINE_PAGES: [u64; 8] = [0, 2, 8, 32, 128, 512, 2048, 8192];

#[test]
#[ignore = "takes many minutes: cargo xtask ci --campaign disk"]
fn campaign() {
    if own_engine::outside("disk", 1500, daemon::save_registry).is_some() {
        return;
    }
    let engine = OwnEngine::start();
    let registry = engine.registry();
    let trials: Vec<(Trial, SmallDisk)> = wanted()
        .map(|scenario| {
            let site = sites::site(&format!("d{}", scenario.name.replace([' ', '-'], "")));
            let disk = SmallDisk::over(&site.folder.0);
            (Trial::on(scenario, &registry, site), disk)
        })
        .collect();
    let mut cases = Vec::new();
    for (trial, disk) in &trials {
        let on = |what: &str, folder: PathBuf, pages: u64| {
            let name = format!("{}: {pages} pages left on the {what}'s disk", trial.scenario.name);
            Case::new(name, move || {
                let full = folder.join("fill");
                let run = || {
                    fill(&full, pages);
                    Ended::of(&trial.command().output().unwrap())
                };
                trial.case(&[Some(3)], run, || fs::remove_file(&full).unwrap())
            })
        };
        cases.extend(PAGES.map(|pages| on("checkout", disk.0.join("target/xtask/logs"), pages)));
        cases.extend(ENGINE_PAGES.map(|pages| on("engine", engine.data(), pages)));
    }
    run("disk", cases);
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
