//! Rules that Cargo cannot enforce: one module starts processes, one writes to the standard streams, files stay short, and the
//! code contains no service names.
//! Who may use whom is in the crates' Cargo.toml files.

use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens as _;

/// Every Rust file of xtask and its crates, tests included, relative to `xtask/`.
fn files() -> Vec<(PathBuf, String)> {
    fn walk(dir: &Path, out: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, out);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                out.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    ["src", "crates", "tests"].iter().for_each(|folder| walk(&root.join(folder), &mut paths));
    assert!(paths.len() > 200, "the sources were not found");
    let relative = |path: &Path| path.strip_prefix(root).unwrap().to_owned();
    paths.iter().map(|path| (relative(path), fs::read_to_string(path).unwrap())).collect()
}

/// The files that make the program.
fn sources() -> impl Iterator<Item = (PathBuf, String)> {
    files().into_iter().filter(|(path, _)| !path.starts_with("tests"))
}

/// The string literals of a file outside its `#[cfg(test)]` items.
fn strings(text: &str) -> Vec<String> {
    fn walk(tokens: TokenStream, out: &mut Vec<String>) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => walk(group.stream(), out),
                TokenTree::Literal(literal) => {
                    out.extend(syn::parse_str::<syn::LitStr>(&literal.to_string()).map(|text| text.value()));
                }
                TokenTree::Ident(_) | TokenTree::Punct(_) => {}
            }
        }
    }
    let file = syn::parse_file(text).unwrap();
    let mut out = Vec::new();
    for item in file.items {
        let tokens = item.to_token_stream();
        if !tokens.to_string().starts_with("# [cfg (test)]") {
            walk(tokens, &mut out);
        }
    }
    out
}

#[test]
fn strings_after_a_test_item_count() {
    let text =
        "const A: &str = \"a\";\n#[cfg(test)]\nmod tests { const B: &str = \"b\"; }\nfn c() { vec![\"c\"]; }";
    assert_eq!(strings(text), ["a", "c"]);
}

#[test]
fn processes_start_in_one_module() {
    for (path, text) in sources().filter(|(path, _)| !path.starts_with("crates/host/src/process")) {
        for spawner in ["process::Command", "duct::", "xshell::"] {
            assert!(!text.contains(spawner), "{} names {spawner}", path.display());
        }
    }
}

#[test]
fn builds_use_the_run_s_builder() {
    // `Docker::buildx` adds the builder. These calls do not need one: versions, registries, and bake's files. The engine's own builder
    // resolves tags that the client cannot.
    let others = ["\"version\"", "\"imagetools\"", "\"bake\", \"--print\""];
    for (path, text) in sources().filter(|(path, _)| !path.ends_with("engine/src/builder.rs")) {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for (at, _) in text.match_indices("cmd([\"buildx\", ").chain(text.match_indices("cmd([ \"buildx\", "))
        {
            let rest = text[at..].split_once("\"buildx\", ").unwrap().1;
            let names_builder = rest.starts_with("\"build\", \"--builder\", &builder,");
            let is_other = others.iter().any(|other| rest.starts_with(other));
            assert!(is_other || names_builder, "{}: use Docker::buildx: {}", path.display(), &rest[..40]);
        }
    }
}

/// Uses of the standard library's streams, whose print macros panic if a stream is closed or full.
fn bare_prints(text: &str) -> Vec<String> {
    fn walk(tokens: TokenStream, out: &mut Vec<String>) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        for (index, token) in tokens.iter().enumerate() {
            let before = index.checked_sub(1).and_then(|index| tokens.get(index)).map(ToString::to_string);
            let after = tokens.get(index + 1).map(ToString::to_string);
            match token {
                TokenTree::Group(group) => walk(group.stream(), out),
                TokenTree::Ident(name) => {
                    let name = name.to_string();
                    let is_print = ["print", "println", "eprint", "eprintln", "dbg"].contains(&name.as_str())
                        && after.as_deref() == Some("!");
                    let is_stream = ["stdout", "stderr"].contains(&name.as_str())
                        && after.as_deref() == Some("()")
                        && before.as_deref() != Some(".");
                    if is_print || is_stream {
                        out.push(name);
                    }
                }
                TokenTree::Literal(_) | TokenTree::Punct(_) => {}
            }
        }
    }
    let mut out = Vec::new();
    walk(syn::parse_file(text).unwrap().to_token_stream(), &mut out);
    out
}

#[test]
fn bare_prints_are_found() {
    let text = "fn a() { x(|| { println!(\"x\"); dbg!(1); }); std::io::stdout().flush(); b.stderr(); let stdout = 1; }";
    assert_eq!(bare_prints(text), ["println", "dbg", "stdout"]);
}

#[test]
fn one_module_writes_to_the_standard_streams() {
    for (path, text) in sources().filter(|(path, _)| !path.starts_with("crates/host/src/terminal")) {
        let found = bare_prints(&text);
        assert!(found.is_empty(), "{}: {found:?}: use host::terminal", path.display());
    }
}

#[test]
fn no_service_is_known_to_the_code() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("images.toml")).unwrap();
    let names: Vec<&str> = manifest
        .lines()
        .filter_map(|line| {
            let named = line.strip_prefix("image = ").or_else(|| line.strip_prefix("compose = "));
            named.or_else(|| line.strip_prefix("[service.")?.strip_suffix(']'))
        })
        .map(|value| value.trim().trim_matches('"'))
        .filter(|name| !name.contains('.'))
        .collect();
    assert!(names.len() >= 9, "the manifest's names were not found");
    for (path, text) in sources() {
        for string in strings(&text) {
            assert!(!names.contains(&string.as_str()), "{} names the service `{string}`", path.display());
        }
    }
}

#[test]
fn files_have_at_most_400_lines() {
    for (path, text) in files() {
        let lines = text.lines().count();
        assert!(lines <= 400, "{} has {lines} lines: split it", path.display());
    }
}

#[test]
fn sources_refer_only_to_documents_of_this_repository() {
    for (path, text) in sources() {
        assert!(
            !text.contains("DESIGN"),
            "{}: refers to a document that readers do not have",
            path.display()
        );
    }
}

#[test]
fn texts_show_commands_with_the_programs_name() {
    for (path, text) in sources() {
        let code = text.split("#[cfg(test)]").next().unwrap_or_default().lines();
        // `help` adapts examples in help texts.
        let code =
            code.filter(|line| !line.trim_start().starts_with("//") && !line.starts_with("  cargo xtask "));
        let found: Vec<&str> = code.filter(|line| line.contains("cargo xtask")).collect();
        let is_allowed = path.ends_with("host/src/program.rs") || path.ends_with("src/completions.rs");
        assert!(is_allowed || found.is_empty(), "{}: use host::program::PROGRAM: {found:?}", path.display());
    }
}
