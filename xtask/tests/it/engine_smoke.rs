//! The probes that images.toml declares, asked of the real stack: green as it is, red when anything in it is not.

use crate::support::containers::{said, the_manifest};
use crate::support::stack::Stack;
use crate::support::told;

/// Exit status and all that was said.
fn smoke(stack: &Stack, args: &[&str]) -> (Option<i32>, String) {
    let mut all = vec!["smoke-test"];
    all.extend(args);
    let output = stack.command(&all).output().unwrap();
    (output.status.code(), told(&output, &stack.folder))
}

#[test]
#[ignore = "needs built images: cargo xtask ci"]
fn the_stack_is_green_and_turns_red_when_any_service_stops_or_answers_wrong() {
    let _turn = crate::support::turn::take(module_path!());
    let stack = Stack::new("smoke");
    stack.done(&["install"]);
    let (code, text) = smoke(&stack, &[]);
    assert_eq!(code, Some(0), "{text}");

    // A probe leaves nothing behind that it taught.
    let key = stack.folder.read(".env");
    let key =
        key.lines().find_map(|line| line.strip_prefix("SUTRA_API_KEY='")).unwrap().trim_end_matches('\'');
    let ask = format!(
        "import urllib.request as u; r = u.Request('http://localhost:8000/api/stats', headers={{'x-api-key': '{key}'}}); print(u.urlopen(r).read().decode())"
    );
    let stats = said(&["exec", &stack.container("sutra-api"), "python", "-c", &ask]);
    assert!(stats.contains("\"concepts\":0"), "{stats}");

    for service in &the_manifest().services {
        said(&["stop", "--time", "20", &stack.container(service.compose.as_deref().unwrap())]);
        let (code, text) = smoke(&stack, &[]);
        assert_eq!(code, Some(1), "{} is down: {text}", service.name);
        let last = text.lines().last().unwrap();
        assert!(last.contains(&format!("{} · health", service.name)), "{last}");
        stack.done(&["update"]);
    }
    let (code, text) = smoke(&stack, &[]);
    assert_eq!(code, Some(0), "after all came back: {text}");

    // Another model would answer with vectors of another size.
    let manifest = stack.folder.read("xtask/images.toml");
    let right = "{ at = \"/dimension\", is = 384 }";
    assert!(manifest.contains(right));
    stack.folder.write("xtask/images.toml", &manifest.replace(right, "{ at = \"/dimension\", is = 385 }"));
    let (code, text) = smoke(&stack, &["embedding"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("embedding · embed a text: /dimension is 384, expected 385"), "{text}");
}
