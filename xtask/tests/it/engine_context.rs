//! What BuildKit sends of a build's context, compared with what we list: paths, kinds, modes, link texts and contents.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use build::context_files::{ContextFile, ContextFileKind, ContextFiles};
use fastrand::Rng;

use crate::support::Folder;

/// A path as an image shows it: a letter for its kind, its mode, its content or link text.
type Sent = BTreeMap<String, (char, u32, Vec<u8>)>;

/// Contexts of one build: each has an ignore file of its own and one layer, and an overlay has at most about 120 layers.
const IN_ONE_BUILD: usize = 60;

/// Handwritten ignore files, each applied to the tree of [`plant`].
const IGNORE_FILES: [&str; 34] = [
    "",
    "*",
    "**",
    "**/*",
    "*\n!a",
    "*\n!a/b",
    "*\n!a/b/*",
    "*\n!a/b/**",
    "*\n!a/b/",
    "*\n!/a",
    "*\n!./a/../b",
    "*\n! a ",
    "*\n!**/*.b",
    "**/*\n!**/b",
    "a\n!a/b\na/b/c",
    "a/b\n!a\n",
    "\u{feff}a\r\n#b\r\n # b\r\n\r\n!a/b\r\n",
    "*.b\n!a.b",
    "**/*.b",
    "**b",
    "a**",
    "a**/b",
    "/**/b/",
    "[a-b]",
    "[^a]*",
    "a[^b]b",
    "?",
    "é\n**/é?",
    "\\*\nc\\ d",
    "^a*",
    "../a\n.\n/",
    "!a\n*\n!**",
    ".*\n**/.*",
    "link/**\n!link",
];

/// Writes a context in which most names match several patterns.
fn plant(root: &Path, random: &mut Rng) {
    const NAMES: [&str; 12] = ["a", "b", "c", "ab", "a.b", ".a", ".b", "c d", "é", "é2", "*", "b b.b"];
    fs::create_dir_all(root).unwrap();
    let mut folders = vec![root.to_owned()];
    let mut files = Vec::new();
    for _ in 0..random.usize(15..40) {
        let path = folders[random.usize(0..folders.len())].join(NAMES[random.usize(0..NAMES.len())]);
        if path.symlink_metadata().is_ok() {
            continue;
        }
        match random.u8(0..20) {
            0..8 => {
                fs::create_dir(&path).unwrap();
                folders.push(path);
                continue;
            }
            8 => symlink(["a", "/a/b", "../c", "."][random.usize(0..4)], &path).unwrap(),
            9 if !files.is_empty() => fs::hard_link(&files[random.usize(0..files.len())], &path).unwrap(),
            10 => drop(UnixListener::bind(&path).unwrap()),
            _ => {
                fs::write(&path, path.file_name().unwrap().as_encoded_bytes()).unwrap();
                let mode = [0o644, 0o755, 0o600, 0o4755, 0o664, 0o444][random.usize(0..6)];
                fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
                files.push(path);
            }
        }
    }
    for folder in &folders[1..] {
        let mode = [0o755, 0o700, 0o775, 0o1777, 0o2755][random.usize(0..5)];
        fs::set_permissions(folder, fs::Permissions::from_mode(mode)).unwrap();
    }
}

/// An ignore file of a few random patterns, all valid.
fn random_ignore_file(random: &mut Rng) -> String {
    const PARTS: [&str; 26] = [
        "a", "a", "b", "b", "c", "*", "*", "**", "**", "?", "a*", "*b", "*.b", "[ab]", "[^a]", ".a", ".*",
        ".", "..", "", "a**", "**b", "é", "c d", "\\*", "a]",
    ];
    let pattern = |random: &mut Rng| {
        let parts: Vec<&str> = (0..random.usize(1..4)).map(|_| PARTS[random.usize(0..PARTS.len())]).collect();
        let mark = ["", "", "", "!", "!", "! ", "/", "!/", " "][random.usize(0..9)];
        format!("{mark}{}{}", parts.join("/"), ["", "", "", "/", "\r", " "][random.usize(0..6)])
    };
    loop {
        let lines: Vec<String> = (0..random.usize(1..6)).map(|_| pattern(random)).collect();
        let text = format!("{}{}", ["", "*\n"][random.usize(0..2)], lines.join("\n"));
        if engine::dockerignore::IgnoreFile::parse(text.as_bytes(), "random").is_ok() {
            return text;
        }
    }
}

/// What we say that a context sends.
fn listed(root: &Path, dockerfile: Option<&Path>) -> Sent {
    let as_sent = |file: &ContextFile| {
        let path = root.join(&file.path);
        let (kind, content) = match &file.kind {
            ContextFileKind::File(_) => ('f', fs::read(&path).unwrap()),
            ContextFileKind::Folder => ('d', Vec::new()),
            ContextFileKind::Link(target) => ('l', target.as_encoded_bytes().to_vec()),
            // BuildKit makes an empty file of it.
            ContextFileKind::Socket => ('f', Vec::new()),
            other => panic!("{other:?}"),
        };
        (file.path.to_str().unwrap().to_owned(), (kind, file.mode, content))
    };
    ContextFiles::list(root, dockerfile).unwrap().files().iter().map(as_sent).collect()
}

/// Builds a Dockerfile and returns the image's files, grouped by top-level folder.
fn built(args: &[String], folder: &Folder) -> BTreeMap<String, Sent> {
    let tar = folder.0.join("image.tar");
    let mut build = Command::new("docker");
    build.args(["buildx", "build", "--output"]).arg(format!("type=tar,dest={}", tar.display())).args(args);
    let output = build.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut contexts: BTreeMap<String, Sent> = BTreeMap::new();
    let mut archive = tar::Archive::new(fs::File::open(&tar).unwrap());
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        let (context, path) =
            name.trim_end_matches('/').split_once('/').unwrap_or((name.trim_end_matches('/'), ""));
        let sent = contexts.entry(context.to_owned()).or_default();
        let target = entry.link_name_bytes().map(|target| target.into_owned()).unwrap_or_default();
        let mode = entry.header().mode().unwrap() & 0o7777;
        let about = match entry.header().entry_type() {
            _ if path.is_empty() => continue,
            tar::EntryType::Directory => ('d', mode, Vec::new()),
            tar::EntryType::Symlink => ('l', mode, target),
            tar::EntryType::Link => {
                let target = String::from_utf8(target).unwrap();
                sent[target.strip_prefix(&format!("{context}/")).unwrap()].clone()
            }
            _ => {
                let mut content = Vec::new();
                std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
                ('f', mode, content)
            }
        };
        sent.insert(path.to_owned(), about);
    }
    contexts
}

/// BuildKit's client decides twice whether a file is ignored, and not by the same rule (fsutil: `filterFS.Walk` and `filterFS.Open`).
/// A file that it lists and then does not open arrives empty. We count its content.
fn forget_refused(listed: &mut Sent, sent: &Sent) {
    for (path, about) in listed.iter_mut().filter(|(_, about)| about.0 == 'f') {
        if sent.get(path).is_some_and(|sent| sent.2.is_empty()) {
            about.2.clear();
        }
    }
}

#[test]
#[ignore = "needs an engine"]
fn buildkit_sends_what_is_listed() {
    let seed = std::env::var("XTASK_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(17);
    let mut random = Rng::with_seed(seed);
    let written = IGNORE_FILES.iter().map(|text| (*text).to_owned());
    let mut ignore_files: Vec<String> = written.collect();
    let count: usize =
        std::env::var("XTASK_CONTEXTS").ok().and_then(|count| count.parse().ok()).unwrap_or(86);
    ignore_files.extend((0..count).map(|_| random_ignore_file(&mut random)));
    let (mut paths, mut partial) = (0, 0);
    for (index, group) in ignore_files.chunks(IN_ONE_BUILD).enumerate() {
        let folder = Folder::new();
        let mut dockerfile = "FROM scratch\n".to_owned();
        let mut args = Vec::new();
        for (context, text) in group.iter().enumerate() {
            let root = folder.0.join(format!("c{context}"));
            plant(&root, &mut random);
            fs::write(root.join(".dockerignore"), text).unwrap();
            dockerfile += &format!("COPY --from=c{context} / /c{context}/\n");
            args.extend(["--build-context".to_owned(), format!("c{context}={}", root.display())]);
        }
        folder.write("main/Dockerfile", &dockerfile);
        args.push(folder.0.join("main").display().to_string());
        let mut built = built(&args, &folder);
        for (context, text) in group.iter().enumerate() {
            let name = format!("c{context}");
            let root = folder.0.join(&name);
            let (sent, mut listed) = (built.remove(&name).unwrap_or_default(), listed(&root, None));
            forget_refused(&mut listed, &sent);
            assert_eq!(sent, listed, "seed {seed}, build {index}, context {context}: {text:?}");
            let all = ContextFiles::filtered(&root, &Default::default()).unwrap().files().len();
            paths += listed.len();
            partial += usize::from(!listed.is_empty() && listed.len() < all);
        }
    }
    // Make sure that the comparison is meaningful: many contexts must be sent in part.
    assert!(partial * 3 > ignore_files.len() && paths > ignore_files.len(), "{partial} {paths}");
}

#[test]
#[ignore = "needs an engine"]
fn buildkit_finds_the_ignore_file_that_we_find() {
    let folder = Folder::new();
    let context = folder.0.join("context");
    for name in ["a", "b", "c", "docker/rules", "Dockerfile"] {
        folder.write(&format!("context/{name}"), name);
    }
    let image = "FROM scratch\nCOPY . /x/\n";
    folder.write("context/Dockerfile", image);
    folder.write("context/docker/own.Dockerfile", image);
    folder.write("context/docker/linked.Dockerfile", image);
    folder.write("context/docker/outside.Dockerfile", image);
    folder.write("elsewhere/Dockerfile", image);
    folder.write("context/.dockerignore", "a\nDockerfile\n.dockerignore\n");
    folder.write("context/docker/own.Dockerfile.dockerignore", "b\n");
    folder.write("context/docker/rules", "c\n");
    folder.write("elsewhere/Dockerfile.dockerignore", "*\n!c\n");
    symlink("/rules", context.join("docker/linked.Dockerfile.dockerignore")).unwrap();
    symlink(
        "../../elsewhere/Dockerfile.dockerignore",
        context.join("docker/outside.Dockerfile.dockerignore"),
    )
    .unwrap();
    let mut seen = Vec::new();
    for dockerfile in [
        "context/Dockerfile",
        "context/docker/own.Dockerfile",
        "context/docker/linked.Dockerfile",
        "context/docker/outside.Dockerfile",
        "elsewhere/Dockerfile",
    ] {
        let dockerfile = folder.0.join(dockerfile);
        let args = ["-f".to_owned(), dockerfile.display().to_string(), context.display().to_string()];
        let sent = built(&args, &folder).remove("x").unwrap();
        assert_eq!(sent, listed(&context, Some(&dockerfile)), "{}", dockerfile.display());
        seen.push(sent);
    }
    // An ignored Dockerfile or ignore file is read, but not sent.
    assert!(!seen[0].contains_key("Dockerfile") && !seen[0].contains_key(".dockerignore"));
    assert!(!seen[1].contains_key("b") && !seen[2].contains_key("c") && !seen[3].contains_key("a"));
    assert_eq!(seen[4].keys().collect::<Vec<_>>(), ["c"]);
}
