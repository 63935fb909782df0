//! `trace` and `diet` of images without a manifest, on a real engine.

use std::fs;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::containers::said;
use crate::support::{Folder, program, tiny, told};

/// Answers requests; one of them reads a file.
const ANSWER: &str = r#"if ($request =~ m,/size,) { $status = -s "/opt/seen/only-by-name" ? 200 : 500 }"#;

const REQUESTS: &str = "[[probe]]\nname = \"plain\"\nrequest = { get = \"/\" }\n\
                        [[probe]]\nname = \"size\"\nrequest = { get = \"/size\" }\n";

/// Bytes of a library that nothing uses.
const UNUSED: u64 = 20_000_000;

/// An image of perl, a large file that nothing uses, and a file that one request needs; removed on drop.
struct Image {
    folder: Folder,
    tag: String,
}

impl Image {
    fn new(test: &str) -> Image {
        let folder = Folder::new();
        let tag = format!("xt-{test}-{}:1", std::process::id());
        let archive = folder.0.join("perl.tar");
        tiny::perl(&archive);
        folder.write("root/opt/unused/lib.so", &"x".repeat(20_000_000));
        folder.write("root/opt/seen/only-by-name", &"x".repeat(200_000));
        let mut tar = Command::new("tar");
        tar.arg("-rf").arg(&archive).arg("-C").arg(folder.0.join("root")).arg("opt");
        assert!(tar.status().unwrap().success());
        let archive = archive.display().to_string();
        said(&[
            "import",
            "--change",
            "EXPOSE 1001",
            "--change",
            "ENTRYPOINT [\"/usr/bin/perl\"]",
            &archive,
            &tag,
        ]);
        folder.write("requests.toml", REQUESTS);
        Image { folder, tag }
    }

    /// Runs outside of any repository.
    fn run(&self, args: &[&str]) -> Output {
        let mut command = program();
        command.args(args).current_dir(&self.folder.0).env("XDG_CACHE_HOME", self.folder.0.join("cache"));
        command.output().unwrap()
    }

    /// Stacks of this test's folder.
    fn left(&self) -> usize {
        fs::read_dir(self.folder.0.join("cache/images/trials")).into_iter().flatten().count()
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        Command::new("docker").args(["image", "rm", "--force", &self.tag]).output().ok();
    }
}

fn report(output: &Output, image: &Image) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", told(output, &image.folder));
    assert_eq!(image.left(), 0);
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn a_server_of_any_image_keeps_what_a_request_needs() {
    let _turn = crate::support::turn::take(module_path!());
    let image = Image::new("any-server");
    let server = tiny::server(ANSWER);
    let requests =
        ["--image", &image.tag, "--requests", "requests.toml", "--format", "json", "--", "-e", &server];
    let diet = report(&image.run(&[&["diet"], &requests[..]].concat()), &image);
    let bytes = |key: &str| diet[key].as_u64().unwrap();
    assert_eq!(bytes("before") - bytes("after"), UNUSED, "{diet}");
    let reasons = diet["stays"].to_string();
    assert!(reasons.contains("image · size fails: status 500"), "{diet}");
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn the_output_of_a_command_is_its_answer() {
    let _turn = crate::support::turn::take(module_path!());
    let image = Image::new("any-command");
    let size = ["--image", &image.tag, "--format", "json", "--", "-e", "print -s '/opt/seen/only-by-name'"];
    let trace = report(&image.run(&[&["trace"], &size[..]].concat()), &image);
    assert!(trace.to_string().contains(&image.tag), "{trace}");
    let diet = report(&image.run(&[&["diet"], &size[..]].concat()), &image);
    let bytes = |key: &str| diet[key].as_u64().unwrap();
    assert_eq!(bytes("before") - bytes("after"), UNUSED, "{diet}");
    assert!(diet["stays"].to_string().contains("image · command fails"), "{diet}");

    // A command that fails, and one whose output differs in each run.
    for (script, what) in [("exit 3", "exit code 3"), ("print time, $$, rand", "flaky: image · command")] {
        let output = image.run(&["diet", "--image", &image.tag, "--", "-e", script]);
        let text = told(&output, &image.folder);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(what), "{text}");
        assert_eq!(image.left(), 0);
    }
}
