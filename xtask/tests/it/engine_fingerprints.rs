//! `build-images` builds only what has changed, and the images that it keeps are identical to those of a fresh build.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Output;

use crate::support::containers::{docker, said};
use crate::support::{Folder, program, told};
use fastrand::Rng;

/// Services with their contexts: one with an ignore file, one on a local base, one that takes a folder as a second context, one on the
/// image of another.
pub const SERVICES: [&str; 4] = ["api", "based", "shared", "stacked"];

/// A repository with its images, which are removed in the end.
pub struct Project {
    pub folder: Folder,
    pub name: String,
}

impl Project {
    pub fn new(test: &str) -> Project {
        let name = format!("fp-{test}-{}", std::process::id());
        let project = Project { folder: Folder::new(), name };
        let dockerfile = "FROM scratch\nARG WORD\nLABEL word=$WORD\nCOPY . /\n";
        for service in SERVICES {
            project.write(&format!("{service}/Dockerfile"), dockerfile);
            project.write(&format!("{service}/deep/file"), service);
            symlink("deep/file", project.folder.0.join(service).join("link")).unwrap();
        }
        project.write("api/.dockerignore", "*.md\ndeep/not\n!deep/not/but\n");
        project.write("common/file", "common");
        project.write("shared/Dockerfile", &format!("{dockerfile}COPY --from=common . /common/\n"));
        project.write("stacked/Dockerfile", &dockerfile.replace("scratch", "below"));
        project.write("based/Dockerfile", &dockerfile.replace("scratch", &project.base()));
        project.compose("one");
        project.set_base("1");
        project
    }

    pub fn write(&self, path: &str, text: &str) {
        self.folder.write(path, text);
    }

    pub fn image(&self, service: &str) -> String {
        format!("{}-{service}:latest", self.name)
    }

    fn base(&self) -> String {
        format!("{}-base:1", self.name)
    }

    /// The Compose file; `word` is a build argument of `shared`.
    pub fn compose(&self, word: &str) {
        let mut text = "services:\n".to_owned();
        for service in SERVICES {
            let more = match service {
                "shared" => format!(", args: {{WORD: {word}}}, additional_contexts: {{common: ./common}}"),
                "stacked" => ", additional_contexts: {below: \"service:api\"}".to_owned(),
                _ => String::new(),
            };
            let image = format!("{}-{service}", self.name);
            text += &format!("  {service}:\n    image: {image}\n    build: {{context: ./{service}{more}}}\n");
        }
        self.write("compose.yaml", &text);
        self.write("images.toml", &format!("schema = 2\nproject = \"{}\"\n", self.name));
    }

    /// Moves the tag of the local base to another image.
    pub fn set_base(&self, content: &str) {
        let folder = Folder::new();
        folder.write("Dockerfile", "FROM scratch\nCOPY file /base\n");
        folder.write("file", content);
        docker(&["image", "rm", &self.base()]);
        said(&["build", "--quiet", "--tag", &self.base(), &folder.0.display().to_string()]);
    }

    fn run(&self, args: &[&str]) -> Output {
        let path = std::env::var("PATH").unwrap();
        let shim = self.folder.0.join("bin");
        let mut command = program();
        command.args(args).arg("--root").arg(&self.folder.0).env_clear();
        for name in ["HOME", "DOCKER_HOST"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        command.env("PATH", format!("{}:{path}", shim.display()));
        command.output().unwrap()
    }

    pub fn ids(&self) -> BTreeMap<&'static str, String> {
        SERVICES
            .map(|service| (service, said(&["inspect", "--format", "{{.Id}}", &self.image(service)])))
            .into()
    }

    /// Builds, and returns the output and the services that bake built.
    pub fn build(&self, more: &[&str]) -> (String, BTreeSet<&'static str>) {
        let output = self.run(&[&["build-images"], more].concat());
        let text = told(&output, &self.folder);
        assert_eq!(output.status.code(), Some(0), "{text}");
        let is_built = |name: &&str| {
            text.lines().any(|line| line.starts_with(&format!("{name} ")) && line.contains("done ("))
        };
        let built = SERVICES.into_iter().filter(is_built).collect();
        (text, built)
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        // Also pushed images, which keep the registry's name.
        let label = format!("label={}.images.variant", self.name);
        let listed = docker(&["image", "ls", "--quiet", "--no-trunc", "--filter", &label]).stdout;
        let listed = String::from_utf8_lossy(&listed).into_owned();
        let ids: BTreeSet<&str> = listed.lines().collect();
        let base = self.base();
        let images: Vec<&str> = ids.into_iter().chain([base.as_str()]).collect();
        docker(&[&["image", "rm", "--force"], images.as_slice()].concat());
    }
}

pub fn set<const N: usize>(names: [&'static str; N]) -> BTreeSet<&'static str> {
    names.into()
}

/// A change's name, the change, and the services that must be built after it.
type Change<'a> = (&'a str, &'a dyn Fn(), BTreeSet<&'a str>);

#[test]
#[ignore = "needs an engine"]
fn only_what_a_change_reaches_is_built() {
    let project = Project::new("reached");
    assert_eq!(project.build(&[]).1, set(SERVICES));
    let (text, built) = project.build(&[]);
    assert_eq!(built, set([]), "{text}");
    assert!(text.contains("Up to date: 4 images. Nothing was built.\n"), "{text}");

    let mode = |path: &str, mode| {
        fs::set_permissions(project.folder.0.join(path), Permissions::from_mode(mode)).unwrap();
    };
    let link = || {
        fs::remove_file(project.folder.0.join("shared/link")).unwrap();
        symlink("elsewhere", project.folder.0.join("shared/link")).unwrap();
    };
    let changes: [Change<'_>; 14] = [
        ("a file written with the same content", &|| project.write("api/deep/file", "api"), set([])),
        ("an ignored file", &|| project.write("api/README.md", "new"), set([])),
        ("a file in an ignored folder", &|| project.write("api/deep/not/this", "new"), set([])),
        ("a file outside of every context", &|| project.write("other/file", "new"), set([])),
        ("a file", &|| project.write("api/deep/file", "other"), set(["api", "stacked"])),
        ("a file of the second context", &|| project.write("common/file", "other"), set(["shared"])),
        ("a new file", &|| project.write("stacked/deep/new", ""), set(["stacked"])),
        ("a file that becomes executable", &|| mode("based/deep/file", 0o755), set(["based"])),
        ("a folder's mode", &|| mode("based/deep", 0o700), set(["based"])),
        ("a link", &link, set(["shared"])),
        ("a build argument", &|| project.compose("two"), set(["shared"])),
        ("the ignore file", &|| project.write("api/.dockerignore", "*.md\n"), set(["api", "stacked"])),
        ("the base", &|| project.set_base("2"), set(["based"])),
        (
            "a tag that points elsewhere",
            &|| drop(said(&["tag", &project.image("api"), &project.image("shared")])),
            set(["shared"]),
        ),
    ];
    for (change, make, expected) in changes {
        let before = project.ids();
        make();
        let (text, built) = project.build(&[]);
        assert_eq!(built, expected, "{change}: {text}");
        let now = project.ids();
        for service in SERVICES {
            let is_moved = change.starts_with("a tag");
            assert_eq!(
                before[service] != now[service] || is_moved,
                expected.contains(service) || is_moved,
                "{change}"
            );
        }
        assert_eq!(project.build(&[]).1, set([]), "after {change}");
    }
    said(&["image", "rm", &project.image("api")]);
    assert_eq!(project.build(&[]).1, set(["api"]), "an image that was removed");
    assert_eq!(project.build(&["--no-cache"]).1, set(SERVICES));
}

#[test]
#[ignore = "needs an engine"]
fn what_gets_packages_is_built_without_cache_once_a_week() {
    let project = Project::new("packages");
    // Any word of the Dockerfile counts, even in a label. A false match only costs a build.
    project.write("api/Dockerfile", "FROM scratch\nLABEL how=apt-get\nCOPY . /\n");
    let label = || {
        let name = format!("{}.images.packages-as-of", project.name);
        said(&[
            "inspect",
            "--format",
            &format!("{{{{index .Config.Labels \"{name}\"}}}}"),
            &project.image("api"),
        ])
    };
    project.build(&["--packages-as-of", "2026-01-05"]);
    assert_eq!(label(), "2026-01-05");
    let later = ["--packages-as-of", "2199-01-07"];
    let (text, built) = project.build(&later);
    assert_eq!((built, label().as_str()), (set(["api", "stacked"]), "2199-01-07"), "{text}");
    let runs = text.lines().any(|line| line.starts_with("api ") && line.contains("[1/1] COPY . /"));
    assert!(runs, "without the cache: {text}");
    assert_eq!(project.build(&later).1, set([]));
    // Another change does not make newer packages necessary.
    project.write("api/deep/file", "changed");
    assert_eq!((project.build(&[]).1, label().as_str()), (set(["api", "stacked"]), "2199-01-07"));
}

#[test]
#[ignore = "needs an engine"]
fn a_file_that_changes_during_the_build_and_back_leaves_no_wrong_fingerprint() {
    let project = Project::new("during");
    project.build(&[]);
    project.write("api/deep/file", "before");
    // This docker changes the file before bake and restores it afterwards.
    let path = std::env::var_os("PATH").unwrap();
    let real =
        std::env::split_paths(&path).map(|folder| folder.join("docker")).find(|file| file.is_file()).unwrap();
    let (real, file) = (real.display(), project.folder.0.join("api/deep/file"));
    let file = file.display();
    project.write(
        "bin/docker",
        &format!(
            "#!/bin/sh\ncase \"$1 $2\" in\n'buildx bake') printf during > {file}; {real} \"$@\"; code=$?; printf before > {file}; \
             exit $code ;;\n*) exec {real} \"$@\" ;;\nesac\n"
        ),
    );
    fs::set_permissions(project.folder.0.join("bin/docker"), Permissions::from_mode(0o755)).unwrap();
    let (text, built) = project.build(&[]);
    assert_eq!(built, set(["api", "stacked"]));
    assert!(
        text.contains("note: files changed during the build; the next run builds these images again\n"),
        "{text}"
    );
    fs::remove_file(project.folder.0.join("bin/docker")).unwrap();
    assert_eq!(project.build(&[]).1, set(["api", "stacked"]));
    assert_eq!(content(&project.image("api")), plain_build(&project, "api"));
    assert_eq!(project.build(&[]).1, set([]));
}

/// Changes one thing at random, relevant to a build or not.
pub fn mutate(project: &Project, random: &mut Rng) {
    let service = SERVICES[random.usize(..SERVICES.len())];
    let path = |name: &str| project.folder.0.join(service).join(name);
    match random.u8(..9) {
        0 => project.write(&format!("{service}/deep/file"), &random.u8(..3).to_string()),
        1 => project.write(&format!("{service}/note.md"), &random.u8(..3).to_string()),
        2 => project.write(&format!("common/{}", random.u8(..2)), &random.u8(..3).to_string()),
        3 => project.compose(["one", "two", "three"][random.usize(..3)]),
        4 => project.set_base(&random.u8(..3).to_string()),
        5 => {
            let mode = if random.bool() { 0o755 } else { 0o644 };
            fs::set_permissions(path("deep/file"), Permissions::from_mode(mode)).unwrap();
        }
        6 => project.write(
            &format!("{service}/.dockerignore"),
            ["*.md\n", "deep\n!deep/file\n", "*/*\n"][random.usize(..3)],
        ),
        7 => {
            fs::remove_file(path("link")).unwrap();
            symlink(["deep", "deep/file", "/gone"][random.usize(..3)], path("link")).unwrap();
        }
        _ => drop(fs::remove_file(path("note.md"))),
    }
}

#[test]
#[ignore = "needs an engine"]
fn what_is_kept_is_what_a_build_would_make() {
    let project = Project::new("kept");
    let seed = fastrand::u64(..);
    let mut random = Rng::with_seed(seed);
    let mut kept = 0;
    for round in 0..20 {
        (0..random.usize(1..3)).for_each(|_| mutate(&project, &mut random));
        let (text, built) = project.build(&[]);
        kept += SERVICES.len() - built.len();
        for service in SERVICES {
            let (found, expected) = (content(&project.image(service)), plain_build(&project, service));
            assert!(
                found == expected,
                "seed {seed}, round {round}, {service}: {found:?} {expected:?} {text}"
            );
        }
    }
    assert!(kept > 20, "a test in which nearly everything changes shows nothing: seed {seed}, {kept} kept");
}

/// The content of an image that buildx alone builds, which knows no fingerprints.
pub fn plain_build(project: &Project, service: &str) -> BTreeMap<String, String> {
    let folder = |name: &str| project.folder.0.join(name).display().to_string();
    let tag = project.image("oracle");
    let mut args: Vec<String> =
        ["buildx", "build", "--quiet", "--load", "--tag", &tag].map(str::to_owned).into();
    match service {
        "shared" => {
            let compose = project.folder.read("compose.yaml");
            let word = compose.split("WORD: ").nth(1).unwrap().split('}').next().unwrap();
            args.extend([
                format!("--build-arg=WORD={word}"),
                format!("--build-context=common={}", folder("common")),
            ]);
        }
        // `api` was compared first, so its image is correct.
        "stacked" => args.push(format!("--build-context=below=docker-image://{}", project.image("api"))),
        _ => {}
    }
    args.push(folder(service));
    said(&args.iter().map(String::as_str).collect::<Vec<_>>());
    let found = content(&tag);
    // Otherwise the next build would leave it untagged.
    said(&["image", "rm", &tag]);
    found
}

/// An image's files with kinds, modes, links and content, and its label. Times differ from build to build.
pub fn content(image: &str) -> BTreeMap<String, String> {
    let id = said(&["create", image, "command"]);
    let tar = docker(&["export", &id]).stdout;
    said(&["rm", &id]);
    let mut found = BTreeMap::new();
    for entry in tar::Archive::new(tar.as_slice()).entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        let header = entry.header();
        let link = entry.link_name().unwrap();
        let what = format!("{:?} {:o} {link:?} {text}", header.entry_type(), header.mode().unwrap());
        found.insert(entry.path().unwrap().display().to_string(), what);
    }
    found.insert("label".into(), said(&["inspect", "--format", "{{.Config.Labels.word}}", image]));
    found
}
