//! `cargo xtask`: the commands, for the repository that holds their source.

fn main() -> std::process::ExitCode {
    commands::cargo_xtask()
}
