//! Every documented setting counts, in both images: the READMEs' tables of variables are held against the code and against the
//! tables `NAME.toml` here, which `engine` tries on containers.

mod container;
mod documented;
mod engine;
mod http;
mod table;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use model::manifest::Service;
use model::variant::Variant;

use crate::support::containers::{root, the_manifest};
use documented::{documented, read_by};
use table::{Table, path_of};

/// The folder of a service's package.
fn package(service: &Service) -> PathBuf {
    root().join(Path::new(service.dockerfile(Variant::Original).unwrap()).parent().unwrap())
}

/// The packages whose code runs in the service: its own, and the shared one of its language.
fn packages(service: &Service) -> Vec<PathBuf> {
    let own = package(service);
    let shared = [("pyproject.toml", "sutra-service-python"), ("Cargo.toml", "sutra-service-rust")];
    let used = shared.iter().filter(|(file, _)| own.join(file).exists());
    used.map(|(_, name)| root().join("packages").join(name)).chain([own.clone()]).collect()
}

fn readme(service: &Service) -> (PathBuf, BTreeSet<String>) {
    let path = package(service).join("README.md");
    let variables = documented(&fs::read_to_string(&path).unwrap());
    assert!(variables.contains("PORT"), "{}: no table of variables was found", path.display());
    (path, variables)
}

fn fail_with(faults: &[String]) {
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn every_variable_that_the_code_reads_is_documented() {
    let mut faults = Vec::new();
    for service in &the_manifest().services {
        let (path, variables) = readme(service);
        let read: Vec<_> = packages(service).iter().flat_map(|package| read_by(package)).collect();
        assert!(read.iter().any(|(name, _)| name == "PORT"), "{}: its code was not found", service.name);
        for (name, file) in read.iter().filter(|(name, _)| !variables.contains(name)) {
            faults.push(format!(
                "{} reads {name}, which {} does not have: add it to the table under Settings",
                file.display(),
                path.display()
            ));
        }
    }
    fail_with(&faults);
}

#[test]
fn every_documented_variable_has_a_check() {
    let mut faults = Vec::new();
    for service in &the_manifest().services {
        let (path, variables) = readme(service);
        let (table, file) = (Table::load(&root(), &service.name), path_of(&service.name));
        let (checked, file) = (table.checked(), file.display());
        for name in variables.difference(&checked) {
            faults.push(format!("{name} in {} has no check: add one to {file}", path.display()));
        }
        for name in checked.difference(&variables) {
            faults.push(format!("{name} is checked in {file}, but {} does not have it", path.display()));
        }
        for row in &table.container {
            faults
                .extend(row.faults().iter().map(|fault| format!("{file}, container {}: {fault}", row.name)));
        }
    }
    fail_with(&faults);
}

/// Both variants check their health equally often and stop on the same signal, and neither sets a variable that the other leaves
/// to its code.
#[test]
fn both_dockerfiles_of_a_service_declare_the_same() {
    /// What configures Python and its libraries, and says where an image has its files.
    const OF_AN_IMAGE: [&str; 9] = [
        "PATH",
        "PYTHONUNBUFFERED",
        "PYTHONDONTWRITEBYTECODE",
        "TMPDIR",
        // Each image of embedding has one engine.
        "SUTRA_EMBEDDING_ENGINE",
        "JOBLIB_MULTIPROCESSING",
        "MALLOC_MMAP_THRESHOLD_",
        "MALLOC_TRIM_THRESHOLD_",
        "PYDANTIC_DISABLE_PLUGINS",
    ];
    fn declared(path: &str) -> (BTreeSet<String>, Vec<String>) {
        let text = fs::read_to_string(root().join(path)).unwrap().replace("\\\n", " ");
        let last = text.rsplit("\nFROM ").next().unwrap();
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let health = last.lines().filter(|line| line.starts_with("HEALTHCHECK "));
        let health = health.flat_map(words).filter(|word| word.starts_with("--")).collect();
        let environment = last.lines().filter_map(|line| line.strip_prefix("ENV ")).flat_map(words);
        let environment = environment.filter(|word| !OF_AN_IMAGE.contains(&word.split('=').next().unwrap()));
        (environment.collect(), health)
    }
    for service in &the_manifest().services {
        let dockerfile = |variant| service.dockerfile(variant).unwrap();
        let original = declared(dockerfile(Variant::Original));
        assert!(original.0.iter().any(|word| word.starts_with("SUTRA_EDITION=")), "{}", service.name);
        assert!(!original.1.is_empty(), "{} has no HEALTHCHECK", service.name);
        assert_eq!(original, declared(dockerfile(Variant::Optimized)), "{}", service.name);
    }
}
