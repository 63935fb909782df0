use std::fs;
use std::path::Path;

use host::paths::Repository;
use tempfile::TempDir;

use super::parse;
use crate::benefit::Figure;
use crate::edition::Edition;
use crate::manifest::Manifest;
use crate::quantity::Quantity;
use crate::test_rules::{TestRules, TestUser};
use crate::variant::Variant;

const HEAD: &str = "schema = 2\neditions = [\"simple\", \"community\", \"enterprise\"]\n";

/// A repository with these files.
fn repository(files: &[(&str, &str)]) -> (TempDir, Repository) {
    let folder = TempDir::with_prefix("Voting app.").unwrap();
    let root = folder.path().join("Voting_App");
    let write = |name: &str, text: &str| {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("xtask/images.toml", "");
    for (name, text) in files {
        write(name, text);
    }
    let repository = Repository::locate(Some(Path::new(&root))).unwrap();
    (folder, repository)
}

pub(super) fn parse_in(files: &[(&str, &str)], text: &str) -> Result<Manifest, String> {
    let (_folder, repository) = repository(files);
    parse(text, &repository).map_err(|failure| failure.to_string())
}

fn read_in(files: &[(&str, &str)], text: &str) -> Result<Manifest, String> {
    parse_in(files, &format!("{HEAD}{text}"))
}

pub(super) const VOTE: &[(&str, &str)] = &[
    ("vote/Dockerfile", "FROM debian:trixie-slim\nEXPOSE 8080\n"),
    ("vote/Dockerfile.optimized", "FROM scratch AS Test\nFROM scratch\n"),
];

/// A manifest with one valid service and these tables.
fn read(text: &str) -> Result<Manifest, String> {
    read_in(VOTE, &format!("[service.vote]\ncontext = \"vote\"\n{text}"))
}

/// The lines of a report, without the file's name.
pub(super) fn faults_of(read: Result<Manifest, String>) -> Vec<String> {
    let report = read.map(|_| ()).unwrap_err();
    report.lines().skip(1).map(|line| line.split_once("toml:").unwrap().1.to_owned()).collect()
}

#[track_caller]
fn faults(text: &str, expected: &[&str]) {
    assert_eq!(faults_of(read(text)), expected, "{text}");
}

#[test]
fn a_service_needs_no_more_than_its_name() {
    let manifest = read("").unwrap();
    let service = &manifest.services[0];
    assert_eq!((manifest.project.as_str(), manifest.version.as_str()), ("voting-app", ""));
    assert_eq!((manifest.source_date_epoch, manifest.env_prefix.as_str()), (0, "IMAGES_"));
    assert_eq!(
        (service.image.as_str(), service.compose.as_deref(), service.port),
        ("vote", None, Some(8080))
    );
    let paths = Variant::ALL.map(|variant| service.dockerfile(variant).unwrap());
    assert_eq!(paths, ["vote/Dockerfile", "vote/Dockerfile.optimized"]);
    assert_eq!(
        Variant::ALL.map(|variant| service.build(variant).unwrap().context.as_str()),
        ["vote", "vote"]
    );
    assert_eq!(service.test_stage.as_deref(), Some("test"));
}

#[test]
fn defaults_are_for_entries_that_name_nothing() {
    let files = &[
        VOTE,
        &[
            ("images/app-vote/Dockerfile", "FROM a\nEXPOSE 1\n"),
            ("images/app-vote/Dockerfile.optimized", ""),
            ("images/base/x/Dockerfile", ""),
            ("images/instead/y/Dockerfile", ""),
        ],
    ]
    .concat();
    let text = "project = \"app\"\n[defaults]\nimage = \"{project}-{name}\"\ndockerfile = \"images/{image}/Dockerfile\"\nbase = \"images/base/{name}/Dockerfile\"\n\
                stand-in = \"images/instead/{name}/Dockerfile\"\n[base.x]\n[upstream.y]\nreference = \"y:1\"\n\
                [service.vote]\n[service.other]\ncontext = \"vote\"\n";
    let manifest = read_in(files, text).unwrap();
    let dockerfiles: Vec<&str> =
        manifest.services.iter().filter_map(|service| service.dockerfile(Variant::Original)).collect();
    assert_eq!(dockerfiles, ["images/app-vote/Dockerfile", "vote/Dockerfile"]);
    assert_eq!(manifest.bases[0].reference, "app-base-x");
    assert_eq!(manifest.bases[0].dockerfile, "images/base/x/Dockerfile");
    assert!(format!("{:?}", manifest.upstreams[0].stand_in).contains("images/instead/y/Dockerfile"));
}

#[test]
fn a_build_in_compose_or_bake_is_left_to_them() {
    let manifest =
        parse_in(VOTE, "schema = 2\n[service.vote]\noptimized = \"vote/Dockerfile.optimized\"\n").unwrap();
    let service = &manifest.services[0];
    assert_eq!(
        (service.original.is_none(), service.port, manifest.editions.as_slice()),
        (true, None, &[Edition::NONE][..])
    );
    assert_eq!(service.dockerfile(Variant::Optimized), Some("vote/Dockerfile.optimized"));
    assert!(parse_in(VOTE, "schema = 2\n").unwrap().services.is_empty());
}

#[test]
fn builds_and_names_that_cannot_be_are_reported() {
    let text = "schema = 2\nenv-prefix = \"x\"\neditions = [\"a\", \"a\", \"All\", \"all\"]\n\
                [service.a]\nargs = { A = \"\" }\n[service.b]\npulled = \"redis:\"\ntarget = \"x\"\n\
                [service.c]\ncontext = \"gone\"\ntag = \"{tag}\"\nimage = \"A\"\n\
                [service.d]\ncontext = \"..\"\nimage = \"x/y\"\ntag = \"{tag}-a\"\nhealth = \"up\"\n\
                [service.e]\nimage = \"x/y\"\ntag = \"{tag}-a\"\nonly = []\n[service.f]\nonly = [\"b\"]\ntag = \"v\"\n";
    assert_eq!(
        faults_of(parse_in(VOTE, text)),
        [
            "2: env-prefix: invalid prefix `x`: use upper-case letters, digits and `_`, with `_` at the end",
            "3: editions: `a` is listed twice: remove one",
            "3: editions: invalid edition `All`: use at most 17 lower-case letters, digits and `-`, and not `all`",
            "3: editions: invalid edition `all`: use at most 17 lower-case letters, digits and `-`, and not `all`",
            "5: service.a.args: the build comes from Compose or bake: set it there, or add the service's `dockerfile`",
            "7: service.b.pulled: invalid reference `redis:`: use NAME[:TAG][@DIGEST], such as redis:7",
            "8: service.b.target: a pulled image is not built: remove this or `pulled`",
            "10: service.c.context: no folder `gone`: create it or correct the path",
            "12: service.c.image: invalid image name `A`: use lower-case letters and digits, separated by `.`, `_`, `__`, `-` or `/`",
            "14: service.d.context: `..` is outside of the repository: name a folder in it",
            "17: service.d.health: invalid path `up`: start it with `/`",
            "19: service.e.image: `x/y:{tag}-a` is already the image of `d`: choose another",
            "21: service.e.only: must name an edition; otherwise remove the key",
            "23: service.f.only: unknown edition `b` (known: a, a, All, all)",
            "24: service.f.tag: invalid template `v`: use {tag} once, such as \"{tag}-ad\"",
        ]
    );
}

#[test]
fn without_editions_nothing_differs_by_edition() {
    let text = "schema = 2\n[service.vote]\ncontext = \"vote\"\nsizes.small = \"1MB\"\neditions.small = {}\n";
    assert_eq!(
        faults_of(parse_in(VOTE, text)),
        [
            "4: service.vote.sizes: the manifest declares no editions: use `size`",
            "5: service.vote.editions: the manifest declares no editions: add `editions` at its top",
        ]
    );
    let text = "schema = 2\n[service.vote]\ncontext = \"vote\"\nsize = \"1MB\"\nlimits.texts = 3\n";
    let manifest = parse_in(VOTE, text).unwrap();
    let service = &manifest.services[0];
    assert_eq!(service.sizes(Edition::NONE).target.unwrap().0, 1_000_000);
    assert_eq!(service.editions.limits(Edition::NONE).into_iter().collect::<Vec<_>>(), [("texts", 3)]);
}

#[test]
fn limits_and_sizes_are_written_by_edition_or_for_all() {
    let text = "size = \"9MB\"\nsizes.simple = { target = \"4MB\", goal = \"3MB\" }\nsizes.community = \"5MB\"\n\
                limits = { texts = [1, 2, 3], results = 7 }\n";
    let manifest = read(text).unwrap();
    let service = &manifest.services[0];
    let targets =
        ["simple", "community", "enterprise"].map(|name| service.sizes(edition(name)).target.unwrap().0);
    assert_eq!(targets, [4_000_000, 5_000_000, 9_000_000]);
    let limits = service.editions.limits(edition("community"));
    assert_eq!(limits.into_iter().collect::<Vec<_>>(), [("results", 7), ("texts", 2)]);
}

fn edition(name: &str) -> Edition {
    Edition::named(name)
}

#[test]
fn the_guides_promise_is_a_number_or_a_range() {
    let text = "[benefit.size]\nname = \"a\"\nguide = 58\n[benefit.start]\nname = \"b\"\nguide = [20, 30]\ngoal = 60";
    let all = read(text).unwrap().benefits;
    assert_eq!((all[0].figure, all[0].guide, all[0].goal), (Figure::Size, Some((58.0, 58.0)), None));
    assert_eq!((all[1].figure, all[1].guide), (Figure::Measured(Quantity::Start), Some((20.0, 30.0))));
}

#[test]
fn every_wrong_value_is_reported_at_its_own_line() {
    faults(
        "port = 0\nonly = \"x\"\nlarge-original = 1\nrun.env = { A = 1,\nB = 2 }\ncontexts = 7\nsize = \"1XB\"\n\
         limits = { a = -1, b = [1] }\nsizes.simple = { goal = \"2MB\", targte = \"1MB\" }\nsecret = { plain = \"A\" }\n",
        &[
            "5: service.vote.port: must be a whole number from 1 to 65535",
            "6: service.vote.only: must be an array: [\"x\"]",
            "7: service.vote.large-original: must be true or false",
            "8: service.vote.run.env.A: must be a string",
            "9: service.vote.run.env.B: must be a string",
            "10: service.vote.contexts: must be a table",
            "11: service.vote.size: invalid size `1XB`: use a number with B, kB, MB or GB (decimal), such as 92.8MB",
            "12: service.vote.limits.a: must be a whole number of at least 0, or one for each edition: [1, 2]",
            "12: service.vote.limits.b: must be one number, or 3: one for each edition",
            "13: service.vote.sizes.simple: unknown key `targte`; did you mean `target`? (known: original, target, goal)",
            "14: service.vote.secret has no `command`: add it",
            "14: service.vote.secret has no `variable`: add it",
        ],
    );
}

#[test]
fn values_of_any_type_are_json() {
    faults(
        "[[service.vote.probe]]\nname = \"a\"\nrequest = { post = \"/\", json = [1, { a = 2026-01-01 }] }\n\
         expect = [{ at = \"/a\", is = inf }, { at = \"a\", min = 1 }, { is = 1 }, {}]\n",
        &[
            "7: service.vote.probe.request.json.a: must not be a date: write it as a string",
            "8: service.vote.probe.expect.at: invalid JSON pointer `a`: start it with `/`",
            "8: service.vote.probe.expect.is: must be a finite number",
            "8: service.vote.probe.expect: must have exactly one of `is`, `contains`, `length` and `min`",
            "8: service.vote.probe.expect: without `at`, the body is text: compare it with a string",
        ],
    );
}

#[test]
fn steps_name_their_service_and_probes_do_not() {
    faults(
        "[[service.vote.probe]]\nname = \"a\"\nservice = \"vote\"\ncount = 2\nrequest = { get = \"/${x}\" }\n\
         [[scenario.s]]\nname = \"b\"\nrequest = { get = \"/\", put = \"/\" }\n\
         [[load.l]]\nservice = \"vtoe\"\nrequest = {}\ncount = 0\nenvironment = []\n",
        &[
            "5: service.vote.probe: unknown placeholder `x` (known: run); add an earlier `capture`",
            "7: service.vote.probe.service: the probe is the service's own: remove the key",
            "8: service.vote.probe.count: only a step of a load has it: remove the key",
            "10: scenario.s has no `service`: add it",
            "12: scenario.s.request: unknown key `put`; did you mean `post`? (known: get, post, delete, headers, json, text, bytes, type)",
            "13: load.l has no `name`: add it",
            "14: load.l.service: unknown service `vtoe`; did you mean `vote`? (known: vote)",
            "15: load.l.request: must have exactly one of `get`, `post` and `delete`, with the path",
            "16: load.l.count: must be a whole number from 1 to 10000000",
            "17: load.l.environment: must be a table",
        ],
    );
}

#[test]
fn invalid_rules_are_reported() {
    faults(
        "[benefit.strat]\nname = \"a\"\nguide = [1]\ngoal = 101\n[bound.vtoe]\nstart = \"5\"\n\
         [upstream.x]\nreference = \"y\"\n[base.x]\nimage = \"y\"\ndockerfile = \"vote/Dockerfile\"\n[stack-test.t]\n",
        &[
            "5: benefit.strat: unknown figure `strat`; did you mean `start`? (known: size, pull-bytes, pull, start, memory-idle, memory-after)",
            "7: benefit.strat.guide: must be percent less than the originals: a number, 60, or a range, [20, 30]",
            "8: benefit.strat.goal: must be from 0 to 100: percent less than the originals",
            "9: bound.vtoe: unknown subject `vtoe`; did you mean `vote`? (known: vote, stack, xtask)",
            "10: bound.vtoe.start: `5` is not a time: write 150ms or 1.2s",
            "11: upstream.x.stand-in: missing: add the replacement if no registry is reachable, { bootstrap = \"SUITE\" } or { dockerfile = \"PATH\" }",
            "14: base.x.image: `y` is already the image of `x`: choose another",
            "16: stack-test.t has no `dockerfile`: add it",
        ],
    );
}

#[test]
fn a_rate_has_no_upper_limit() {
    let report = read("[bound]\nstack = { rate = \"1\" }\n").map(|_| ()).unwrap_err();
    assert!(
        report.contains(":6: bound.stack.rate: unknown figure `rate` (known: pull-bytes, pull, "),
        "{report}"
    );
}

#[test]
fn more_faults_than_anyone_fixes_are_cut_off() {
    let text = "[[service.vote.probe]]\nname = 7\n".repeat(1000);
    let report = read(&text).map(|_| ()).unwrap_err();
    assert!(report.contains("images.toml:1: there may be more faults: fix these first"), "{report}");
    assert!((200..300).contains(&report.lines().count()), "{report}");
}

#[test]
fn manifests_of_both_schemas_are_read() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fuzz/manifest"));
    let repository = Repository::locate(Some(&folder.join("repository"))).unwrap();
    let mut schemas = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let text = fs::read_to_string(&path).unwrap();
            let read = parse(&text, &repository);
            assert!(read.is_ok(), "{}: {}", path.display(), read.unwrap_err());
            schemas.push(text.contains("schema = 1\n"));
        }
    }
    assert!(schemas.contains(&true) && schemas.contains(&false));
}

#[test]
fn schema_1_declares_every_image() {
    let manifest = "schema = 1\n[service.vote]\noriginal = \"vote/Dockerfile\"\n";
    let (_folder, repository) = repository(VOTE);
    let report = parse(manifest, &repository).map(|_| ()).unwrap_err().to_string();
    let expected =
        ":3: service.vote.original: vote/Dockerfile: unknown image `debian:trixie-slim`; declare it";
    assert!(report.contains(expected), "{report}");
    let renamed = read("original = \"vote/Dockerfile\"\n").map(|_| ()).unwrap_err();
    assert!(
        renamed.ends_with(":5: service.vote.original: schema 2 names it `dockerfile`: rename the key"),
        "{renamed}"
    );
}

/// Where no registry answers, a build works only if every image has a stand-in.
#[test]
fn the_dockerfiles_of_this_repository_name_declared_images_only() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.."));
    let repository = Repository::locate(Some(root)).unwrap();
    let manifest = super::load(&repository).unwrap();
    let bases = manifest.bases.iter().map(|base| base.reference.as_str());
    let declared: Vec<&str> =
        manifest.upstreams.iter().map(|upstream| upstream.reference.as_str()).chain(bases).collect();
    let paths = manifest.services.iter().flat_map(|service| service.dockerfiles());
    let bases = manifest.bases.iter().map(|base| base.dockerfile.as_str());
    let tests = manifest.stack_tests.iter().map(|test| test.dockerfile.as_str());
    let mut count = 0;
    for path in paths.chain(bases).chain(tests) {
        let text = fs::read_to_string(root.join(path)).unwrap();
        for reference in crate::dockerfile::references(&text) {
            assert!(declared.contains(&reference.as_str()), "{path}: {reference} is not declared");
            count += 1;
        }
    }
    assert!(count > 20, "{count}");
}

#[test]
fn paths_are_read_as_git_and_compose_write_them() {
    let manifest =
        read_in(VOTE, "[service.vote]\ncontext = \"./vote/\"\ncontexts = { all = \"./\" }\n").unwrap();
    let build = manifest.services[0].build(Variant::Original).unwrap();
    assert_eq!((build.context.as_str(), build.dockerfile.as_str()), ("vote", "vote/Dockerfile"));
    assert_eq!(build.contexts["all"], ".");
}

#[test]
fn what_test_requires_is_declared() {
    let rules = |text: &str| parse_in(VOTE, &format!("schema = 2\n{text}")).map(|manifest| manifest.test);
    assert!(rules("").unwrap().is_empty());
    let declared = rules("[test]\nuser = 1000\ncapabilities = [\"cap_chown\"]\n").unwrap();
    assert_eq!(
        (declared.user, declared.read_only, declared.own_command),
        (Some(TestUser::Id(1000)), false, false)
    );
    for (text, user) in [
        ("\"app\"", TestUser::Name("app".to_owned())),
        ("\"1000\"", TestUser::Id(1000)),
        ("0", TestUser::Id(0)),
    ] {
        assert_eq!(rules(&format!("[test]\nuser = {text}\n")).unwrap().user, Some(user));
    }
    assert_eq!(
        faults_of(parse_in(VOTE, "schema = 2\n[test]\nuser = \"app:app\"\n")),
        ["3: test.user: invalid user `app:app`: use a user ID or a user name, without a group"]
    );
    assert!(rules("[test]\nuser = true\n").is_err());
    // A service overrides individual keys.
    let manifest = parse_in(
        VOTE,
        "schema = 2\n[test]\nuser = 1000\nread-only = true\ncapabilities = []\n\
         [service.vote]\ncontext = \"vote\"\ntest = { user = \"redis\", read-only = false }\n\
         [service.other]\ncontext = \"vote\"\nimage = \"other\"\n",
    )
    .unwrap();
    let of = |name: &str| &manifest.services.iter().find(|service| service.name == name).unwrap().test;
    let replaced = TestRules {
        user: Some(TestUser::Name("redis".to_owned())),
        read_only: false,
        ..manifest.test.clone()
    };
    assert_eq!((of("vote"), of("other")), (&replaced, &manifest.test));
    assert_eq!(
        faults_of(parse_in(VOTE, "schema = 2\n[service.vote.test]\ncapabilities = [\"ALL\"]\n")),
        [
            "3: service.vote.test.capabilities: invalid capability `ALL`: use a name such as `NET_BIND_SERVICE`"
        ]
    );
    assert_eq!(declared.capabilities, Some(vec!["CHOWN".to_owned()]));
    assert_eq!(
        faults_of(parse_in(VOTE, "schema = 2\n[test]\ncapabilities = [\"CHOWN\", \"ALL\", \"net-admin\"]\n")),
        [
            "3: test.capabilities: invalid capability `ALL`: use a name such as `NET_BIND_SERVICE`",
            "3: test.capabilities: invalid capability `net-admin`: use a name such as `NET_BIND_SERVICE`",
        ]
    );
}
