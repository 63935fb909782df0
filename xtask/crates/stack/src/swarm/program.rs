//! This program's files, for running it in a container.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use host::files;

/// The folder in the container.
const FOLDER: &str = "program";
/// The file name of the program in it.
const PROGRAM: &str = "program";

/// This program and the libraries that it has loaded.
#[derive(Debug)]
pub(super) struct ProgramFiles {
    program: PathBuf,
    /// By file name; empty for a static program.
    libraries: BTreeMap<String, PathBuf>,
}

impl ProgramFiles {
    /// The files of the current process.
    ///
    /// # Errors
    /// When they cannot be found, as on systems other than Linux.
    pub(super) fn of_this_process() -> Result<ProgramFiles> {
        let program = std::env::current_exe().context("cannot find this program's file")?;
        let maps = files::read(Path::new("/proc/self/maps"))?;
        Ok(ProgramFiles { program, libraries: libraries(&maps) })
    }

    /// The start of its command line in the container. The loader is named explicitly, because its path is different there.
    pub(super) fn command(&self) -> Vec<String> {
        let program = format!("/{FOLDER}/{PROGRAM}");
        match self.libraries.keys().find(|name| is_loader(name)) {
            Some(loader) => {
                vec![format!("/{FOLDER}/{loader}"), "--library-path".into(), format!("/{FOLDER}"), program]
            }
            None => vec![program],
        }
    }

    /// A tar archive of all files, to unpack in the root of a container.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub(super) fn archive(&self) -> Result<Vec<u8>> {
        let mut archive = tar::Builder::new(Vec::new());
        let libraries = self.libraries.iter().map(|(name, path)| (name.as_str(), path));
        for (name, path) in libraries.chain([(PROGRAM, &self.program)]) {
            let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            let mut header = tar::Header::new_gnu();
            header.set_size(u64::try_from(bytes.len())?);
            header.set_mode(0o755);
            archive.append_data(&mut header, format!("{FOLDER}/{name}"), bytes.as_slice())?;
        }
        Ok(archive.into_inner()?)
    }
}

/// The dynamic loader of glibc or musl.
fn is_loader(name: &str) -> bool {
    name.starts_with("ld-") || name.starts_with("ld64")
}

/// The loaded libraries, from `/proc/self/maps` (proc_pid_maps(5)).
fn libraries(maps: &str) -> BTreeMap<String, PathBuf> {
    let paths = maps.lines().filter_map(|line| line.find('/').map(|at| Path::new(&line[at..])));
    let named = paths.filter_map(|path| Some((path.file_name()?.to_str()?, path)));
    let libraries = named.filter(|(name, _)| name.ends_with(".so") || name.contains(".so."));
    libraries.map(|(name, path)| (name.to_owned(), path.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dynamic_program_is_started_by_its_own_loader() {
        let maps = "55d0-55d1 r--p 00000000 fe:00 1 /bin/images\n\
                    7f00-7f01 r-xp 00000000 fe:00 2    /usr/lib/x86_64-linux-gnu/libc.so.6\n\
                    7f02-7f03 r-xp 00000000 fe:00 3    /usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2\n\
                    7f04-7f05 rw-p 00000000 00:00 0    [stack]\n";
        let libraries = libraries(maps);
        assert_eq!(libraries.keys().collect::<Vec<_>>(), ["ld-linux-x86-64.so.2", "libc.so.6"]);
        let dynamic = ProgramFiles { program: "/bin/images".into(), libraries };
        assert_eq!(
            dynamic.command(),
            ["/program/ld-linux-x86-64.so.2", "--library-path", "/program", "/program/program"]
        );
        let fixed = ProgramFiles { program: "/bin/images".into(), libraries: BTreeMap::new() };
        assert_eq!(fixed.command(), ["/program/program"]);
    }
}
