//! Publishing from two checkouts on a real engine: kills between any two docker calls, concurrent runs, two clients over TCP,
//! lock holders on other machines.

use std::collections::BTreeSet;
use std::process::Stdio;

use crate::support::pair::{Pair, Wrapper};
use crate::support::second_engine::SecondEngine;
use crate::support::{docker, told, wait};

/// All docker calls of publishing, from inspecting the built images to removing temporary tags.
const PUBLISHING: &str = "\"image inspect\"*|create*|tag*|rm*|\"image rm\"*|ps*|\"container inspect\"*";

/// Kills its parent instead of making the call, or right after it.
const KILL: [&str; 2] =
    ["kill -9 $PPID; exit 1", "$real \"$@\" >/dev/null 2>&1 </dev/stdin; kill -9 $PPID; exit 1"];

/// The call that moves beta's first tag, after those of alpha.
const BETWEEN: &str = "tag*-beta:latest-simple-optimized";

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn a_kill_between_any_two_calls_mixes_nothing_and_leaves_nothing() {
    let _turn = crate::support::turn::take(module_path!());
    let pair = Pair::new("kills");
    pair.content(&pair.first, "5");
    pair.build(&pair.first, &[]);
    let count = Wrapper::new(PUBLISHING, 0, ":");
    pair.content(&pair.first, "6");
    let run = pair.command(&pair.first, &["build-images"]).env("PATH", count.path()).output().unwrap();
    assert!(run.status.success(), "{}", told(&run, &pair.first));
    let calls = count.calls();
    assert!(calls > 12, "{calls}");

    let (mut now, mut kills, mut completed) = ("6".to_owned(), 0, 0);
    for script in KILL {
        for at in 1..=calls {
            let next = if now == "5" { "6" } else { "5" };
            pair.content(&pair.first, next);
            let wrapper = Wrapper::new(PUBLISHING, at, script);
            let mut run = pair.command(&pair.first, &["build-images"]);
            let run = run.env("PATH", wrapper.path()).output().unwrap();
            assert_eq!(run.status.code(), None, "call {at} of {calls}: {}", told(&run, &pair.first));
            kills += 1;
            // The other checkout builds another tag, so only recovery can complete the killed run's moves.
            let text = pair.build(&pair.second, &["--tag", "other"]);
            completed += usize::from(text.contains("completed its moves"));
            let published = pair.contents();
            assert_eq!(published.len(), 1, "call {at} of {calls}, {script}: {:?}\n{text}", pair.published());
            now = published.into_iter().next().unwrap();
            assert_eq!(pair.leftovers(), Vec::<String>::new(), "call {at} of {calls}, {script}: {text}");
        }
    }
    assert!(completed > 4, "only {completed} runs were completed");
    println!(
        "{kills} kills, before and after each of {calls} docker calls: 0 mixed sets of tags, 0 leftovers; \
         the other checkout completed {completed} runs"
    );
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn a_killed_run_never_reverts_another_checkouts_tags() {
    let _turn = crate::support::turn::take(module_path!());
    let pair = Pair::new("b4");
    pair.content(&pair.first, "5");
    pair.build(&pair.first, &[]);
    pair.content(&pair.first, "6");
    pair.killed(&pair.first, &Wrapper::new(BETWEEN, 1, KILL[0]));
    assert_eq!(pair.contents(), BTreeSet::from(["5".to_owned(), "6".to_owned()]));

    let seen = pair.command(&pair.second, &["compare"]).output().unwrap();
    let text = told(&seen, &pair.second);
    assert!(text.contains("was killed while it moved 4 tags, which may be old or new\nhelp: "), "{text}");
    pair.content(&pair.second, "7");
    pair.build(&pair.second, &[]);
    assert_eq!(pair.contents(), BTreeSet::from(["7".to_owned()]));
    pair.build(&pair.first, &["alpha"]);
    for (tag, content) in pair.published() {
        assert_eq!(content, if tag.contains("-alpha:") { "6" } else { "7" }, "{tag}");
    }
    assert_eq!(pair.leftovers(), Vec::<String>::new());
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn a_tag_moved_by_hand_is_left_and_reported() {
    let _turn = crate::support::turn::take(module_path!());
    let pair = Pair::new("hand");
    pair.content(&pair.first, "5");
    pair.build(&pair.first, &[]);
    pair.content(&pair.first, "6");
    pair.killed(&pair.first, &Wrapper::new(BETWEEN, 1, KILL[0]));
    pair.content(&pair.second, "by hand");
    pair.build(&pair.second, &["alpha", "--tag", "other"]);
    pair.content(&pair.first, "8");
    pair.killed(&pair.first, &Wrapper::new(BETWEEN, 1, KILL[0]));
    let beta = format!("{}-beta:latest-optimized", pair.prefix);
    docker(&["tag", &format!("{}-alpha:other-optimized", pair.prefix), &beta]);
    let text = pair.build(&pair.second, &["alpha", "--tag", "other"]);
    assert!(text.contains(&format!("tags changed by something else, left unchanged: {beta}\n")), "{text}");
    for (tag, content) in pair.published() {
        assert_eq!(content, if tag == beta { "by hand" } else { "8" }, "{tag}");
    }
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn moves_that_docker_refuses_are_undone_and_never_done_again() {
    let _turn = crate::support::turn::take(module_path!());
    let pair = Pair::new("undo");
    pair.content(&pair.first, "5");
    pair.build(&pair.first, &[]);
    pair.content(&pair.first, "6");
    let five = BTreeSet::from(["5".to_owned()]);
    let refuse = "echo 'Error response from daemon: no' >&2; exit 1";
    let wrapper = Wrapper::new(BETWEEN, 1, refuse);
    let mut failed = pair.command(&pair.first, &["build-images"]);
    let failed = failed.env("PATH", wrapper.path()).output().unwrap();
    let text = told(&failed, &pair.first);
    assert_eq!(failed.status.code(), Some(1), "{text}");
    assert!(
        text.contains("the tags are unchanged: moving one failed, and the others were moved back"),
        "{text}"
    );
    assert_eq!(pair.contents(), five);
    assert_eq!(pair.leftovers(), Vec::<String>::new());
    pair.build(&pair.second, &["alpha", "--tag", "other"]);
    assert_eq!(pair.contents(), five);
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn an_image_that_another_run_removes_is_built_again() {
    let _turn = crate::support::turn::take(module_path!());
    let pair = Pair::new("again");
    pair.content(&pair.first, "5");
    // As if the image of an equal build had lost its last name just before BuildKit tagged it.
    let remove = "$real \"$@\"; code=$?; $real image ls --format '{{.Repository}}:{{.Tag}}' | \
                  grep -e PREFIX-alpha:run- | xargs $real image rm >/dev/null; exit $code";
    let remove = remove.replace("PREFIX", &pair.prefix);
    let wrapper = Wrapper::new("\"buildx bake\"*", 1, &remove);
    let run = pair.command(&pair.first, &["build-images"]).env("PATH", wrapper.path()).output().unwrap();
    let text = told(&run, &pair.first);
    assert_eq!(run.status.code(), Some(0), "{text}");
    assert!(text.contains("but the engine does not have it; building again"), "{text}");
    assert_eq!(pair.contents(), BTreeSet::from(["5".to_owned()]));
    assert_eq!(pair.leftovers(), Vec::<String>::new());
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn a_lock_that_is_removed_while_tags_move_is_reported() {
    let _turn = crate::support::turn::take(module_path!());
    let pair = Pair::new("lost");
    pair.content(&pair.first, "5");
    let lost = format!("$real rm {}-images-lock >/dev/null", pair.prefix);
    let wrapper = Wrapper::new(BETWEEN, 1, &lost);
    let run = pair.command(&pair.first, &["build-images"]).env("PATH", wrapper.path()).output().unwrap();
    let text = told(&run, &pair.first);
    assert_eq!(run.status.code(), Some(1), "{text}");
    assert!(
        text.contains("tag lock removed while this run held it") && text.contains("help: build again"),
        "{text}"
    );
    pair.build(&pair.first, &[]);
    assert_eq!(pair.leftovers(), Vec::<String>::new());
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn moves_to_images_that_are_gone_are_undone() {
    let _turn = crate::support::turn::take(module_path!());
    let pair = Pair::new("gone");
    pair.content(&pair.first, "5");
    pair.build(&pair.first, &[]);
    pair.content(&pair.first, "6");
    pair.killed(&pair.first, &Wrapper::new(BETWEEN, 1, KILL[0]));
    let left = pair.leftovers();
    let beta = left.iter().find(|line| line.contains("-beta:run-")).and_then(|line| line.split(' ').next());
    pair.docker(&["image", "rm", beta.unwrap()]);
    let text = pair.build(&pair.second, &["alpha", "--tag", "other"]);
    assert!(text.contains("; reverted its moves, since its images are gone (2 tags)"), "{text}");
    assert_eq!(pair.contents(), BTreeSet::from(["5".to_owned()]));
    assert_eq!(pair.leftovers(), Vec::<String>::new());
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn the_last_call_of_a_killed_run_does_not_come_after_the_next_run() {
    let _turn = crate::support::turn::take(module_path!());
    let pair = Pair::new("late");
    pair.content(&pair.first, "5");
    pair.build(&pair.first, &[]);
    pair.content(&pair.first, "6");
    // The client outlives its parent and calls the engine only once `go` exists.
    let late = "kill -9 $PPID; while [ ! -e ${0%/*}/go ]; do sleep 0.05; done; exec $real \"$@\"";
    let wrapper = Wrapper::new(BETWEEN, 1, late);
    pair.killed(&pair.first, &wrapper);
    pair.content(&pair.second, "7");
    let mut next = pair.command(&pair.second, &["build-images"]);
    let mut next = next.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // It recovers the first run's moves before its own build, and waits there.
    wait::until("the second run holds the recovery lock", || pair.locks().len() == 2);
    wrapper.folder.write("go", "");
    assert!(wait::end(&mut next).success());
    assert_eq!(pair.contents(), BTreeSet::from(["7".to_owned()]));
    assert_eq!(pair.leftovers(), Vec::<String>::new());
}

/// Number of pairs of runs; `ci --campaign pairs` starts 100.
const ROUNDS: usize = 5;

/// Repeatedly builds in both checkouts at once; the published images must all come from one of them.
fn race(pair: &Pair) {
    for round in 0..ROUNDS {
        let children = [(&pair.first, "first"), (&pair.second, "second")].map(|(checkout, name)| {
            pair.content(checkout, &format!("{name} {round}"));
            let mut command = pair.command(checkout, &["build-images", "--quiet"]);
            (command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap(), checkout)
        });
        for (child, checkout) in children {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "round {round}: {}", told(&output, checkout));
        }
        let contents = pair.contents();
        assert_eq!(contents.len(), 1, "round {round}: a mixture of {contents:?}");
    }
    assert_eq!(pair.leftovers(), Vec::<String>::new());
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn two_checkouts_at_once_end_with_the_tags_of_one() {
    let _turn = crate::support::turn::take(module_path!());
    race(&Pair::new("pairs"));
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn two_clients_over_tcp_share_the_lock_and_another_machine_needs_break_lock() {
    let _turn = crate::support::turn::take(module_path!());
    let engine = SecondEngine::start();
    let pair = Pair::on(&engine, "tcp");
    race(&pair);

    // A holder killed on this machine: the other client completes its moves.
    pair.content(&pair.first, "5");
    pair.build(&pair.first, &[]);
    pair.content(&pair.first, "6");
    pair.killed(&pair.first, &Wrapper::new(BETWEEN, 1, KILL[0]));
    let text = pair.build(&pair.second, &["--tag", "other"]);
    assert!(text.contains("completed its moves (2 tags)"), "{text}");
    assert_eq!(pair.contents(), BTreeSet::from(["6".to_owned()]));

    // A holder killed in another PID namespace, as on another machine: its state is unknown here.
    pair.content(&pair.first, "8");
    let wrapper = Wrapper::new(BETWEEN, 1, KILL[0]);
    let mut far = pair.command_under(
        &["unshare", "--pid", "--fork", "--mount-proc", "sh", "-c", "\"$@\"; exit 9", "sh"],
        &pair.first,
        &["build-images"],
    );
    let far = far.env("PATH", wrapper.path()).output().unwrap();
    assert_eq!(far.status.code(), Some(9), "{}", told(&far, &pair.first));
    assert_eq!(pair.contents(), BTreeSet::from(["6".to_owned(), "8".to_owned()]));
    let seen = pair.command(&pair.second, &["compare"]).output().unwrap();
    let text = told(&seen, &pair.second);
    assert!(
        text.contains("help: wait; if that run is over: cargo xtask build-images --break-lock"),
        "{text}"
    );
    let text = pair.build(&pair.second, &["--tag", "other", "--break-lock"]);
    assert!(text.contains("completed its moves (2 tags)"), "{text}");
    assert_eq!(pair.contents(), BTreeSet::from(["8".to_owned()]));
    // Only the machine that created the temporary tags can tell that they are stale.
    assert!(pair.leftovers().iter().all(|left| left.contains(":run-")), "{:?}", pair.leftovers());
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn predecessors_go_with_the_run_that_replaced_them_unless_a_container_uses_them() {
    let _turn = crate::support::turn::take(module_path!());
    let engine = SecondEngine::start();
    for pair in [Pair::new("old"), Pair::on(&engine, "old")] {
        pair.content(&pair.first, "1");
        pair.build(&pair.first, &[]);
        let alpha = format!("{}-alpha:latest-optimized", pair.prefix);
        let beta = format!("{}-beta:latest-optimized", pair.prefix);
        let user = format!("{}-user", pair.prefix);
        pair.docker(&["create", "--network=none", "--name", &user, &alpha, "/hello"]);
        for content in ["2", "3", "4"] {
            pair.content(&pair.first, content);
            if content == "4" {
                pair.docker(&["tag", &beta, &format!("{}-rollback:beta", pair.prefix)]);
            }
            pair.build(&pair.first, &[]);
        }
        assert_eq!(pair.images().len(), 4, "{:?}", pair.images());
        assert_eq!(pair.leftovers().len(), 1, "{:?}", pair.leftovers());

        let clean = |more: &[&str]| {
            let output =
                pair.command(&pair.first, &[&["clean", "--tag", "none"], more].concat()).output().unwrap();
            let text = told(&output, &pair.first);
            assert_eq!(output.status.code(), Some(0), "{text}");
            text
        };
        let text = clean(&[]);
        assert!(text.contains(&format!(": in use by container {user}\n")), "{text}");
        assert!(text.contains("1 image kept for `deploy rollback` (remove with `--rollback`)."), "{text}");
        assert_eq!(pair.images().len(), 4, "{:?}", pair.images());
        pair.docker(&["rm", &user]);
        let text = clean(&["--dry-run"]);
        assert!(
            text.contains("alpha simple optimized, untagged ")
                && text.contains("1 image, 1 of them untagged"),
            "{text}"
        );
        assert_eq!(pair.images().len(), 4, "{:?}", pair.images());
        let text = clean(&["--rollback"]);
        assert!(text.contains("2 images removed, 1 of them untagged"), "{text}");
        assert_eq!((pair.images().len(), pair.leftovers()), (2, Vec::new()), "{:?}", pair.images());
        assert_eq!(pair.contents(), BTreeSet::from(["4".to_owned()]));
    }
}
