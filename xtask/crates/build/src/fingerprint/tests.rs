use super::*;
use crate::plan::PlannedImage;
use crate::request::{ServiceImage, TaggedImage};
use engine::bake::{Definition, Group};
use model::edition::Edition;
use model::image_ref::ImageRef;
use model::variant::Variant;

/// Service `a` on a base of the project, which starts from Debian.
fn plan() -> BuildPlan {
    let inline = |text: &str| Target {
        context: "/r".into(),
        dockerfile_inline: Some(text.into()),
        ..Target::default()
    };
    let mut service = inline("FROM base\nCOPY . /\n");
    service.contexts.insert("base".into(), "target:base".into());
    service.labels.insert(labels::REVISION.into(), "1111".into());
    let image = PlannedImage {
        target: "a".into(),
        dockerfile: None,
        run_tag: ImageRef::new("a", "run".to_owned()),
        tagged: TaggedImage {
            image: ServiceImage {
                service: "a".into(),
                edition: Edition::NONE,
                variant: Variant::Optimized,
                platform: None,
            },
            tags: vec![ImageRef::new("a", "latest".to_owned())],
            plain: Vec::new(),
            index_platforms: Vec::new(),
        },
    };
    let targets = [("a".to_owned(), service), ("base".to_owned(), inline("FROM debian:12\n"))];
    BuildPlan {
        images: vec![image],
        definition: Definition {
            group: BTreeMap::from([("default".to_owned(), Group { targets: vec!["a".into()] })]),
            target: targets.into(),
            variable: BTreeMap::new(),
        },
        fresh: BTreeSet::new(),
        dockerfiles: BTreeMap::new(),
    }
}

/// The fingerprint of `a` with this ID of Debian's image and this hash of every folder.
fn print(plan: &BuildPlan, id: Option<&str>, files: &str) -> Option<Fingerprint> {
    let start = |id: &str| StartImage { id: id.to_owned(), platform: Platform::new("linux", "amd64") };
    let starts = id.map(|id| ("debian:12".to_owned(), start(id))).into_iter().collect();
    of_plan(plan, &starts, true, &mut |folder, _| Ok(format!("{}={files}", folder.display()))).remove("a")
}

fn changed(change: impl FnOnce(&mut BTreeMap<String, Target>)) -> Option<Fingerprint> {
    let mut plan = plan();
    change(&mut plan.definition.target);
    print(&plan, Some("sha256:1"), "x")
}

#[test]
fn whatever_a_build_reads_changes_it() {
    let first = print(&plan(), Some("sha256:1"), "x").unwrap();
    let target = |name: &'static str, change: fn(&mut Target)| {
        changed(|targets| change(targets.get_mut(name).unwrap())).unwrap()
    };
    let others = [
        print(&plan(), Some("sha256:2"), "x").unwrap(),
        print(&plan(), Some("sha256:1"), "y").unwrap(),
        target("a", |a| drop(a.args.insert("K".into(), "1".into()))),
        target("a", |a| drop(a.args.insert("K".into(), "2".into()))),
        target("a", |a| drop(a.labels.insert("K".into(), "1".into()))),
        target("a", |a| drop(a.contexts.insert("more".into(), "/m".into()))),
        target("a", |a| a.target = Some("stage".into())),
        target("a", |a| a.platforms = vec!["linux/arm64".into()]),
        target("a", |a| a.secret = vec!["id=ca,src=/1".into()]),
        target("a", |a| a.dockerfile_inline = Some("FROM base\nCOPY . /x\n".into())),
        target("a", |a| a.dockerfile_inline = Some("# syntax=dockerfile:1\nFROM base\nCOPY . /\n".into())),
        target("base", |base| drop(base.args.insert("K".into(), "1".into()))),
        target("base", |base| base.dockerfile_inline = Some("FROM debian:12\nRUN true\n".into())),
    ];
    let hashes: BTreeSet<&String> = others.iter().chain([&first]).map(|print| &print.hash).collect();
    assert_eq!(hashes.len(), others.len() + 1, "{others:?}");
}

#[test]
fn what_no_build_reads_does_not() {
    let first = print(&plan(), Some("sha256:1"), "x");
    let secret = |place: &'static str| changed(|all| all.get_mut("a").unwrap().secret = vec![place.into()]);
    assert_eq!(secret("id=ca,src=/1"), secret("id=ca,src=/2"), "the value of a secret");
    for change in [
        |a: &mut Target| drop(a.labels.insert(labels::REVISION.into(), "2222".into())),
        |a: &mut Target| a.tags = vec!["a:run-2".into()],
        |a: &mut Target| a.output = vec!["type=docker".into()],
        |a: &mut Target| a.cache_from = vec!["type=registry,ref=r/c".into()],
    ] {
        assert_eq!(changed(|targets| change(targets.get_mut("a").unwrap())), first);
    }
    let dated = |date: &'static str| {
        changed(|all| {
            all.get_mut("base").unwrap().args.insert(package_date::ARGUMENT.into(), date.into());
        })
    };
    assert_eq!(dated("2026-01-05"), dated("2026-01-12"));
    assert_eq!(dated("2026-01-05").unwrap().unpinned, BTreeSet::from(["base".to_owned()]));
}

#[test]
fn what_the_network_answers_makes_it_expire() {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(print(&plan(), Some("sha256:1"), "x").unwrap().unpinned, names(&[]));
    let moves = |id, uses_engine| {
        let start = StartImage { id: "sha256:1".to_owned(), platform: Platform::new("linux", "amd64") };
        let starts = BTreeMap::from_iter([("debian:12".to_owned(), start)].into_iter().filter(|_| id));
        of_plan(&plan(), &starts, uses_engine, &mut |_, _| Ok(String::new()))["a"].has_moving_images
    };
    assert!(!moves(true, true));
    assert!(moves(false, true), "a registry's tag");
    assert!(moves(true, false), "another builder may take another image");
    let other = changed(|all| all.get_mut("base").unwrap().platforms = vec!["linux/arm64".into()]).unwrap();
    assert!(other.has_moving_images, "the engine's image is for another platform");
    let frontend = |text: &'static str| {
        changed(|all| all.get_mut("a").unwrap().dockerfile_inline = Some(text.into()))
            .unwrap()
            .has_moving_images
    };
    assert!(frontend("# syntax=docker/dockerfile:1\nFROM base\n"));
    assert!(!frontend("# syntax=docker/dockerfile@sha256:00\nFROM base\n"));
    let inline = |name: &'static str, text: &'static str| {
        changed(|all| all.get_mut(name).unwrap().dockerfile_inline = Some(text.into())).unwrap().unpinned
    };
    assert_eq!(inline("a", "FROM base\nRUN apt-get update\n"), names(&["a"]));
    assert_eq!(inline("base", "FROM debian@sha256:00\n"), names(&[]));
}

#[test]
fn builds_whose_inputs_are_not_known_have_none() {
    for change in [
        |a: &mut Target| a.context = "https://git.example/x.git".into(),
        |a: &mut Target| drop(a.contexts.insert("more".into(), "https://example.org/x.tar".into())),
        |a: &mut Target| drop(a.contexts.insert("more".into(), "target:missing".into())),
        |a: &mut Target| drop(a.contexts.insert("more".into(), "target:a".into())),
        |a: &mut Target| a.dockerfile_inline = Some("FROM $X\n".into()),
        |a: &mut Target| a.no_cache = true,
        |a: &mut Target| a.pull = true,
    ] {
        assert_eq!(changed(|targets| change(targets.get_mut("a").unwrap())), None);
    }
    let missing = changed(|targets| {
        let a = targets.get_mut("a").unwrap();
        (a.dockerfile_inline, a.dockerfile) = (None, Some("missing/Dockerfile".into()));
    });
    assert_eq!(missing, None);
}
