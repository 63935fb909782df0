//! Images such as others build, made in memory.

use serde_json::json;

use super::saved::{LayerTar, Saved};

// As packages did before /usr was merged: the first folder is a link now.
pub const LIBX: &str = "/.\n/lib\n/lib/arch\n/lib/arch/libx.so.1\n/usr/share/doc/libx1/copyright\n/usr/share/doc/libx1/changelog.gz\n";
pub const GCC: &str = "/usr/bin/gcc\n/usr/share/man/man1/x.1.gz\n";
pub const APT: &str = "/usr/bin/apt\n/usr/share/locale/de/x.mo\n";

/// A Debian image: dpkg's database, merged /usr, what installing wrote, and much that a service needs not.
pub fn debian() -> Saved {
    let status = "Package: libx1\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.0-1\n\n\
                  Package: apt\nStatus: install ok installed\nArchitecture: amd64\nVersion: 3.0\n\n\
                  Package: gcc-14\nStatus: install ok installed\nArchitecture: amd64\nVersion: 14\n\n\
                  Package: gone\nStatus: deinstall ok config-files\nVersion: 9\n";
    let base = LayerTar::new()
        .link("lib", "usr/lib")
        .file("usr/lib/os-release", "ID=debian\nVERSION_ID=\"13\"\nPRETTY_NAME=\"Debian 13\"\n")
        .file("usr/lib/arch/libx.so.1", [1; 5000])
        .file("usr/share/doc/libx1/copyright", [2; 100])
        .file("usr/share/doc/libx1/changelog.gz", [3; 200])
        .file("usr/share/man/man1/x.1.gz", [4; 300])
        .file("usr/share/locale/de/x.mo", [5; 400])
        .file("usr/bin/gcc", [6; 7000])
        .file("var/lib/dpkg/status", status)
        .file("var/lib/dpkg/info/libx1:amd64.list", LIBX)
        .file("var/lib/dpkg/info/gcc-14.list", GCC)
        .file("var/lib/dpkg/info/apt.list", APT);
    let update = LayerTar::new().file("var/lib/apt/lists/index", [7; 900]).file("root/.cache/pip/x", [8; 50]);
    Saved::new(
        "debian-like:1",
        vec![("ADD rootfs.tar / # buildkit", base), ("RUN /bin/sh -c apt-get update # buildkit", update)],
    )
}

pub const RECORD: &str =
    "torch/a.py,sha256=x,1\n\"torch/b,c.py\",,\n../../../bin/torchrun,,\nnvidia/libcudart.so.13,,\n";
pub const LOCAL: &str = r#"{"url":"file:///src","dir_info":{}}"#;

pub fn metadata(name: &str, version: &str) -> String {
    format!("Metadata-Version: 2.4\nName: {name}\nVersion: {version}\nLicense: MIT\n\nLong words\n")
}

/// A Python image as pip leaves it.
pub fn python(torch: usize) -> Saved {
    let site = "usr/local/lib/python3.13/site-packages";
    let at = |path: &str| format!("{site}/{path}");
    let base = LayerTar::new()
        .file("usr/local/lib/python3.13/os.py", [1; 3000])
        .file("usr/local/lib/python3.13/__pycache__/os.cpython-313.pyc", [2; 2000])
        .program("usr/local/bin/python3.13", 0o755, &[3; 6000]);
    let packages = LayerTar::new()
        .file(&at("torch-2.9.dist-info/METADATA"), metadata("torch", "2.9"))
        .file(&at("torch-2.9.dist-info/RECORD"), RECORD)
        .file(&at("torch/a.py"), vec![4; torch])
        .file(&at("torch/b,c.py"), [5; 50])
        .file(&at("torch/__pycache__/a.cpython-313.pyc"), [6; 40])
        // Of a source that is gone: still whose that was.
        .file(&at("torch/tests/unlisted.txt"), [7; 30])
        .file(&at("nvidia/libcudart.so.13"), [8; 800])
        .file("usr/local/bin/torchrun", [9; 20])
        .file("opt/models/small/model.safetensors", [10; 5000])
        .file("opt/models/small/tokenizer.json", [11; 100]);
    let own = LayerTar::new()
        .file(&at("mine-1.dist-info/METADATA"), metadata("mine", "1"))
        .file(&at("mine-1.dist-info/direct_url.json"), LOCAL)
        .file(&at("mine-1.dist-info/RECORD"), "mine/x.py,,\n")
        .file(&at("mine/x.py"), [12; 60]);
    let lines = vec![
        ("ADD / /", base),
        ("RUN /bin/sh -c pip install torch # buildkit", packages),
        ("COPY mine / # buildkit", own),
    ];
    Saved::new(if torch > 5000 { "python-like:2" } else { "python-like:1" }, lines)
        .config(json!({"Env": ["PYTHON_VERSION=3.13.9"], "Cmd": ["python3", "-m", "mine"]}))
}

/// Three layers that hide each other in every way there is, and the two long names in the first.
pub fn layered() -> (Saved, String, String) {
    let long = format!("{}/long.txt", "d".repeat(100));
    let longer = format!("deep/{}", "x/".repeat(900)) + "end";
    let base = LayerTar::new()
        .file("kept", [1; 10])
        .file("overwritten", [2; 20])
        .file("deleted", [3; 40])
        .file("folder/a", [4; 80])
        .file("folder/b/c", [5; 160])
        .file("opaque/old", [6; 320])
        .file("first", [7; 640])
        .hard("second", "first")
        .file("third", [8; 1280])
        .hard("fourth", "third")
        .file("becomes-folder", [9; 2560])
        .file("becomes-file/inner", [10; 5120])
        .file(&long, [11; 3])
        .pax_file(&longer, &[12; 5])
        .gnu_sparse("sparse", 100_000)
        .pax_sparse("holes", 7_000_000);
    let change = LayerTar::new()
        .file("overwritten", [13; 21])
        .file(".wh.deleted", "")
        .file(".wh.folder", "")
        // The marks of a layer mean lower ones, wherever they stand in it.
        .file("opaque/new", [14; 42])
        .file("opaque/.wh..wh..opq", "")
        .file(".wh.first", "")
        .file(".wh.third", "")
        .file(".wh.fourth", "")
        .folder("becomes-folder")
        .file("becomes-folder/x", [15; 84])
        .file("becomes-file", [16; 168]);
    let again = LayerTar::new().file("overwritten", [17; 22]).folder("becomes-file").file("copy", [1; 10]);
    let image = Saved::new(
        "layers:1",
        vec![("COPY a /", base), ("RUN /bin/sh -c change", change), ("COPY b /", again)],
    );
    (image, long, longer)
}
