//! ELF files of nothing but what the loader reads.

/// A 64-bit library for amd64 that needs these others.
pub fn library(needed: &[&str]) -> Vec<u8> {
    let number = |value: u64, width: usize| value.to_le_bytes()[..width].to_vec();
    let (headers, segments) = (64_u64, 2 * 56_u64);
    let dynamic = headers + segments;
    let strings = dynamic + (needed.len() as u64 + 2) * 16;
    let (mut texts, mut section) = (vec![0], [number(5, 8), number(strings, 8)].concat());
    for name in needed {
        section.extend([number(1, 8), number(texts.len() as u64, 8)].concat());
        texts.extend([name.as_bytes(), b"\0"].concat());
    }
    section.extend([0; 16]);
    let all = strings + texts.len() as u64;
    let segment = |kind: u64, offset: u64, size: u64| {
        let place = number(offset, 8);
        [number(kind, 4), number(4, 4), place.clone(), place.clone(), place, number(size, 8), number(size, 8)]
            .into_iter()
            .chain([number(8, 8)])
            .flatten()
            .collect::<Vec<u8>>()
    };
    let mut file = vec![0; 64];
    file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    (file[16], file[18], file[32], file[54], file[56]) = (3, 62, 64, 56, 2);
    file.extend(segment(1, 0, all));
    file.extend(segment(2, dynamic, section.len() as u64));
    file.extend(section);
    file.extend(texts);
    file
}

/// A 64-bit program for amd64 that lists its crates as cargo-auditable does: name and version of each.
pub fn auditable(crates: &[(&str, &str)]) -> Vec<u8> {
    let number = |value: u64, width: usize| value.to_le_bytes()[..width].to_vec();
    let package = |(name, version): &(&str, &str)| serde_json::json!({"name": name, "version": version});
    let list = serde_json::json!({"packages": crates.iter().map(package).collect::<Vec<_>>()}).to_string();
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut zlib, list.as_bytes()).unwrap();
    let list = zlib.finish().unwrap();
    let names = b"\0.dep-v0\0.shstrtab\0";
    let section = |name: u64, kind: u64, offset: u64, size: u64| {
        let words = [0, 0, offset, size].map(|value| number(value, 8)).concat();
        [number(name, 4), number(kind, 4), words, vec![0; 24]].concat()
    };
    let end = 64 + list.len() as u64;
    let table = end + names.len() as u64;
    let mut file = vec![0; 64];
    file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    (file[16], file[18], file[20], file[52], file[58], file[60], file[62]) = (2, 62, 1, 64, 64, 3, 2);
    file[40..48].copy_from_slice(&number(table, 8));
    file.extend(list);
    file.extend(names);
    file.extend([0; 64]);
    file.extend(section(1, 1, 64, end - 64));
    file.extend(section(9, 3, end, names.len() as u64));
    file
}
