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
