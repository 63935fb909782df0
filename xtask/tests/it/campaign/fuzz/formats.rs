//! The formats, with a generator of inputs and a property for each.

use fastrand::Rng;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::mutator::{Mutator, Vocabulary};
use super::{archives, compose, packages, tar_mutator, text};

/// One format that xtask reads.
pub struct Format {
    /// The name, which is also the folder of its corpus.
    pub name: &'static str,
    shape: Shape,
    vocabulary: Vocabulary,
    /// Reads an input. Returns whether it was accepted, or the violated property.
    pub check: fn(&[u8], &mut Rng) -> Result<bool, String>,
}

/// The structure that the mutator knows.
enum Shape {
    Bytes,
    Elf,
    Tar,
}

impl Format {
    /// An input, by its number.
    pub fn input(&self, files: &[Vec<u8>], seed: u64, number: u64) -> Vec<u8> {
        let name = xxh3_64_with_seed(self.name.as_bytes(), seed);
        let rng = Rng::with_seed(xxh3_64_with_seed(&number.to_le_bytes(), name));
        let mut mutator = Mutator::new(rng, files, self.vocabulary);
        let mut bytes = mutator.file().to_vec();
        match self.shape {
            Shape::Bytes => mutator.change(&mut bytes),
            Shape::Elf => elf(&mut bytes, &mut mutator),
            Shape::Tar => tar_mutator::change(&mut bytes, &mut mutator),
        }
        bytes
    }
}

/// Mutates an ELF file, mostly integers in its headers. These are at the start and, for sections, at the end.
fn elf(bytes: &mut Vec<u8>, mutator: &mut Mutator<'_>) {
    if mutator.rng.u8(..4) == 0 {
        return mutator.change(bytes);
    }
    for _ in 0..mutator.changes() {
        let at = match mutator.rng.u8(..4) {
            0 => mutator.rng.usize(..64),
            1 => mutator.rng.usize(64..400),
            _ => bytes.len() - mutator.rng.usize(..bytes.len().min(704)),
        };
        mutator.integer_at(bytes, at & !1);
    }
}

const TOML: Vocabulary = Vocabulary {
    tokens: &[
        "schema = 1\n",
        "registries = [\"hub.example\"]\n",
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        "=",
        ".",
        ",",
        "\"",
        "'",
        "\"\"\"",
        "'''",
        "\\u0000",
        "\\UFFFFFFFF",
        "true",
        "nan",
        "-inf",
        "1979-05-27T07:32:00Z",
        "0x",
        "1_000",
        "#",
        "own = 1",
        "base = 2",
        "accepted = \"\"",
        "reason",
        "simple",
        "enterprise",
        "\"linux/amd64\"",
        "[service.a]\n",
        "[upstream.x]\n",
        "[[service.a.probe]]\n",
        "[[load.l]]\n",
        "json = ",
        "expect = [{ at = \"/x\", is = 1 }]\n",
        "${",
        "${run}",
        "*",
        "/",
        "1MB",
        "0.5GB",
        "99999999999TB",
        "../",
        "capture",
        "dimension",
        "service.dockerfile",
        "stand-in.dockerfile",
        "\u{feff}",
        "\u{e9}",
    ],
    nests: &[
        ("[", "]"),
        ("{a=", "}"),
        ("[a.", "]"),
        ("a.", ""),
        ("${", "}"),
        ("\"", "\""),
        ("[[", "]]\n"),
        ("[{a=", "}]"),
    ],
};

const YAML: Vocabulary = Vocabulary {
    tokens: &[
        "services:\n",
        "image: ",
        "image: fx-alpha:1\n",
        "include:\n",
        "extends: ",
        "path: ",
        "file: ",
        "<<: *",
        "&a ",
        "*a",
        "!!str ",
        "!reset ",
        "!<x>",
        "---\n",
        "...\n",
        "%TAG ! x:\n",
        "- ",
        ": ",
        "? ",
        "|\n",
        ">-\n",
        "{",
        "}",
        "[",
        "]",
        ",",
        "#",
        " #",
        "\"",
        "'",
        "\\u263a",
        "\\x00",
        "\\\n",
        "\t",
        "~",
        "null",
        "${",
        "${A:-",
        ":?",
        "$$",
        "}",
        "fx-alpha",
        "fx-beta:1",
        "@sha256:",
        "-optimized",
        "-community",
        ":latest",
        "hub.example:5000/",
        "x-a: ",
        "\u{85}",
        "\u{2028}",
        "\u{feff}",
        "\u{e9}",
        "\n  ",
        "build: .\n",
    ],
    nests: &[
        ("[", "]"),
        ("{a: ", "}"),
        ("- ", "\n"),
        ("${U:-", "}"),
        ("? ", ""),
        ("&a [", "]"),
        ("a:\n ", ""),
        ("\"", "\""),
        ("!", ""),
    ],
};

const ENV: Vocabulary = Vocabulary {
    tokens: &[
        "=", ":", "\n", "\r\n", "export ", "export", "#", " #", "'", "\"", "\\", "\\'", "\\\"", "\\$", "\\n",
        "$", "$$", "${", "}", "${A}", "${A:-", "${A:?", "${A+", "A=", "B=1\n", " ", "\t", "\u{a0}",
        "\u{2028}", "\u{85}", "\u{feff}", "\u{fc}", "\0", "[", "]", ".", "-",
    ],
    nests: &[
        ("${U:-", "}"),
        ("${A+", "}"),
        ("A=$A$A\n", ""),
        ("'", "'"),
        ("\"", "\""),
        ("\\", ""),
        ("$", ""),
        ("A=", "\n"),
    ],
};

const DOCKERFILE: Vocabulary = Vocabulary {
    tokens: &[
        "FROM ",
        "FROM a AS b\n",
        "FROM b\n",
        " AS ",
        "COPY --from=",
        "ADD ",
        "RUN ",
        "RUN --mount=type=bind,from=",
        "ARG ",
        "ARG VERSION\n",
        "ENV ",
        "<<EOF",
        "<<-'X'",
        "EOF\n",
        "\\\n",
        "\\",
        "# ",
        "\n",
        "\r\n",
        "--platform=$P ",
        "--",
        "${VERSION}",
        "$VERSION",
        "${",
        "}",
        "scratch",
        "0",
        ",from=",
        "\t",
        "\u{a0}",
        "\u{feff}",
        "\u{130}",
        "ONBUILD ",
        "[\"a\", \"b\"]",
    ],
    nests: &[
        ("FROM a AS a\n", ""),
        ("<<A ", "\nA"),
        ("${A:-", "}"),
        ("RUN \\\n", ""),
        ("--a ", ""),
        ("from=a,", ""),
        ("ARG A=$A\n", ""),
    ],
};

const EVENTS: Vocabulary = Vocabulary {
    tokens: &[
        "{",
        "}",
        "[",
        "]",
        "\"",
        "\\",
        "\\\"",
        "\\u0000",
        "\\ud800",
        ",",
        ":",
        "null",
        "true",
        "1e999",
        "\n",
        "\r",
        "{\"vertexes\":[",
        "{\"logs\":[",
        "\"digest\":\"sha256:1\"",
        "\"name\":\"[api] exporting to image\"",
        "\"started\":\"s\"",
        "\"completed\":\"c\"",
        "\"error\":\"e\"",
        "\"vertex\":\"sha256:1\"",
        "\"data\":\"CgoKCgoK\"",
        "CgoKCgoKCgoK",
        "[web 1/2] ",
        "ERROR: ",
        "-----\n",
        "| >>> ",
        ":7\n",
        "\0",
    ],
    nests: &[
        ("{\"a\":", "}"),
        ("[", "]"),
        ("{", "}"),
        ("\"", "\""),
        ("-", "\n"),
        ("CgoK", ""),
        ("x:1\n-\n", ""),
        ("{\"vertexes\":[]}\n", ""),
        ("{\"logs\":[{\"vertex\":\"sha256:1\",\"data\":\"YWJj\"}]}", ""),
    ],
};

/// Text in headers and in the files that are read inside of layers.
const ARCHIVE: Vocabulary = Vocabulary {
    tokens: &[
        "ustar\0",
        "ustar  \0",
        "\x1f\u{8b}",
        "{",
        "[",
        "\"",
        "manifest.json",
        "[{\"Config\":\"c\",\"Layers\":[]}]",
        "\"Layers\":[",
        "\"Config\":",
        "\"rootfs\":",
        "\"diff_ids\":[",
        "sha256:",
        "blobs/sha256/",
        "layer.tar",
        "../",
        "/",
        ".wh.",
        ".wh..wh..opq",
        "Package: a\n",
        "Version: 1\n",
        "Status: install ok installed\n",
        "\n\n",
        "Name: a\n",
        ",sha256=,\n",
        "\"",
        "#!/bin/sh\n",
        "GNU.sparse.realsize=1",
        "GNU.sparse.name=a",
        "13 path=abcd\n",
        "9999999999 path=a\n",
        "0 \n",
        "ghp_",
        "-----BEGIN PRIVATE KEY-----\n",
        "AKIA",
        "eyJ",
        "\0\0\0\0",
        "\x7fELF",
    ],
    nests: &[
        ("{\"a\":", "}"),
        ("[", "]"),
        ("a/", ""),
        ("../", ""),
        ("\0", ""),
        ("A: b\n", ""),
        ("11 path=ab\n", ""),
        ("eyJ", "."),
    ],
};

const fn bytes(
    name: &'static str,
    vocabulary: Vocabulary,
    check: fn(&[u8], &mut Rng) -> Result<bool, String>,
) -> Format {
    Format { name, shape: Shape::Bytes, vocabulary, check }
}

const fn tar(name: &'static str, check: fn(&[u8], &mut Rng) -> Result<bool, String>) -> Format {
    Format { name, shape: Shape::Tar, vocabulary: ARCHIVE, check }
}

pub const FORMATS: [Format; 20] = [
    bytes("manifest", TOML, text::manifest),
    bytes("lock", TOML, text::lock),
    bytes("compose", YAML, compose::check),
    bytes("env", ENV, text::env),
    bytes("dockerfile", DOCKERFILE, text::dockerfile),
    bytes("events", EVENTS, text::events),
    tar("archive", archives::archive),
    tar("packed", archives::archive),
    tar("layer", archives::layer),
    Format { name: "elf", shape: Shape::Elf, vocabulary: ARCHIVE, check: archives::elf },
    bytes("apk", packages::TEXT, packages::apk),
    bytes("rpm", packages::BINARY, packages::rpm),
    bytes("conda", packages::TEXT, packages::conda),
    bytes("gem", packages::TEXT, packages::gem),
    bytes("composer", packages::TEXT, packages::composer),
    bytes("dotnet", packages::TEXT, packages::dotnet),
    bytes("jar", packages::BINARY, packages::archive),
    bytes("go-info", packages::BINARY, packages::build_info),
    bytes("go-table", packages::BINARY, packages::function_table),
    bytes("symbols", packages::TEXT, packages::symbols),
];
