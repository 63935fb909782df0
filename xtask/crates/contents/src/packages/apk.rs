//! The database of Alpine's apk (`lib/apk/db/installed`, apk-tools' "Alpine package database"): paragraphs of `LETTER:VALUE`,
//! where `F:` names a folder and each `R:` behind it a file in there.

use crate::facts::{Ecosystem, Installed};
use crate::paths::PathBudget;

/// More packages than any system has. A hostile database could name millions.
const MOST: usize = 50_000;

/// The installed packages.
pub fn read(bytes: &[u8], budget: &mut PathBudget) -> Vec<Installed> {
    let text = String::from_utf8_lossy(bytes);
    text.split("\n\n").filter_map(|paragraph| package(paragraph, budget)).take(MOST).collect()
}

fn package(paragraph: &str, budget: &mut PathBudget) -> Option<Installed> {
    let mut found = Installed::new(Ecosystem::Apk, "", "");
    let mut folder = "";
    for line in paragraph.lines() {
        let Some((letter, value)) = line.split_once(':') else { continue };
        match letter {
            "P" => value.clone_into(&mut found.package.name),
            "V" => value.clone_into(&mut found.package.version),
            "A" => found.package.architecture = Some(value.to_owned()),
            "L" => found.package.licence = Some(value.to_owned()),
            "F" => folder = value,
            "R" => found.files.extend(budget.joined(folder, value)),
            _ => {}
        }
    }
    (!found.package.name.is_empty()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As apk-tools 2.14 writes it, shortened.
    const INSTALLED: &[u8] = b"C:Q1a6u=\nP:musl\nV:1.2.4-r2\nA:x86_64\nS:405\nI:667\nT:the musl c library\n\
        U:https://musl.libc.org/\nL:MIT\no:musl\nm:T <t@example.org>\nt:1700\nc:abc\np:so:libc.musl-x86_64.so.1=1\n\
        F:lib\nR:ld-musl-x86_64.so.1\na:0:0:755\nZ:Q1x=\nR:libc.musl-x86_64.so.1\na:0:0:777\nZ:Q1y=\n\n\
        P:busybox\nV:1.36.1-r4\nA:x86_64\nL:GPL-2.0-only\nF:\nR:.placeholder\nF:bin\nR:busybox\nF:etc/network/if-up.d\nR:dad\n\n";

    #[test]
    fn packages_list_their_files_by_folder() {
        let found = read(INSTALLED, &mut PathBudget::default());
        let [musl, busybox] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((musl.package.name.as_str(), musl.package.version.as_str()), ("musl", "1.2.4-r2"));
        assert_eq!(musl.package.licence.as_deref(), Some("MIT"));
        assert_eq!(musl.files, ["lib/ld-musl-x86_64.so.1", "lib/libc.musl-x86_64.so.1"]);
        assert_eq!(busybox.files, [".placeholder", "bin/busybox", "etc/network/if-up.d/dad"]);
    }

    #[test]
    fn a_damaged_database_lists_what_is_left_of_it() {
        let hostile = b"R:x\nF:../../../etc\nR:../shadow\nP:evil\n\nV:1\n\n\xff\xfe:\n";
        let found = read(hostile, &mut PathBudget::default());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].files, ["x", "shadow"]);
    }
}
