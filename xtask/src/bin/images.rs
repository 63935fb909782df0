//! `images`: the commands, for any repository.

fn main() -> std::process::ExitCode {
    commands::images()
}
