//! Go's function table (`.gopclntab`, Go's `debug/gosym` and `runtime/symtab.go`). Stripping keeps it. It lists each
//! function's address and its name, which begins with its package.

use crate::code::Sums;
use crate::facts::InsideBytes;

/// Most functions: kubelet has about 100,000.
const MAX_FUNCTIONS: usize = 1_000_000;

/// Magic numbers of the table, since Go 1.20, 1.18, 1.16 and 1.2.
const MAGICS: [u32; 4] = [0xffff_fff1, 0xffff_fff0, 0xffff_fffa, 0xffff_fffb];

/// The layout of a table.
#[derive(Debug, Clone, Copy)]
struct Layout {
    is_big: bool,
    /// The size of a pointer.
    width: usize,
    /// Since Go 1.18 addresses are 32-bit offsets.
    is_relative: bool,
    /// Positions in the header of the offsets of names and functions, counted in pointers after the first eight bytes.
    fields: Option<[usize; 2]>,
}

impl Layout {
    fn of(table: &[u8]) -> Option<Layout> {
        let magic: [u8; 4] = table.get(..4)?.try_into().ok()?;
        let width = usize::from(*table.get(7)?);
        matches!(width, 4 | 8).then_some(())?;
        let (little, big) = (u32::from_le_bytes(magic), u32::from_be_bytes(magic));
        [(little, false), (big, true)].into_iter().find_map(|(magic, is_big)| {
            let (is_relative, fields) = match magic {
                0xffff_fff0 | 0xffff_fff1 => (true, Some([3, 7])),
                0xffff_fffa => (false, Some([2, 6])),
                0xffff_fffb => (false, None),
                _ => return None,
            };
            Some(Layout { is_big, width, is_relative, fields })
        })
    }

    fn number(self, bytes: &[u8], at: usize, width: usize) -> Option<u64> {
        let bytes = bytes.get(at..at.checked_add(width)?)?;
        Some(match (width, self.is_big) {
            (8, false) => u64::from_le_bytes(bytes.try_into().ok()?),
            (8, true) => u64::from_be_bytes(bytes.try_into().ok()?),
            (_, false) => u32::from_le_bytes(bytes.try_into().ok()?).into(),
            (_, true) => u32::from_be_bytes(bytes.try_into().ok()?).into(),
        })
    }

    fn place(self, table: &[u8], at: usize) -> Option<usize> {
        usize::try_from(self.number(table, at, self.width)?).ok()
    }
}

/// The table, if a linker other than Go's put it into a section with other data.
pub fn within(section: &[u8]) -> Option<&[u8]> {
    let at = MAGICS.iter().find_map(|magic| {
        let magic = magic.to_le_bytes();
        let mut starts = memchr::memmem::find_iter(section, &magic).filter(|at| at % 8 == 0);
        // The magic number is followed by two zeros, the size of the smallest instruction, and the size of a pointer.
        starts.find(|at| matches!(section.get(at + 4..at + 8), Some([0, 0, 1 | 2 | 4, 4 | 8])))
    })?;
    section.get(at..)
}

/// Machine code by package, from a whole table.
pub fn packages(table: &[u8]) -> Vec<InsideBytes> {
    add_up(table).unwrap_or_default()
}

fn add_up(table: &[u8]) -> Option<Vec<InsideBytes>> {
    let layout = Layout::of(table)?;
    let count = layout.place(table, 8)?.min(MAX_FUNCTIONS);
    let (names, functions) = match layout.fields {
        Some([names, functions]) => {
            let part = |field: usize| table.get(layout.place(table, 8 + field * layout.width)?..);
            (part(names)?, part(functions)?)
        }
        // Before Go 1.16 all places are counted from the start of the table.
        None => (table, table.get(8 + layout.width..)?),
    };
    let field = if layout.is_relative { 4 } else { layout.width };
    // Names may share their bytes.
    let (mut sums, mut room) = (Sums::default(), table.len().saturating_mul(4));
    for index in 0..count {
        let at = index * 2 * field;
        let (Some(start), Some(function), Some(end)) = (
            layout.number(functions, at, field),
            layout.number(functions, at + field, field),
            layout.number(functions, at + 2 * field, field),
        ) else {
            break;
        };
        // A function's place is counted from where the functions begin, and before Go 1.16 from the start of the table.
        let base = if layout.fields.is_some() { functions } else { table };
        let name = usize::try_from(function).ok().and_then(|function| {
            let name = layout.number(base, function.checked_add(field)?, 4)?;
            text(names.get(usize::try_from(name).ok()?..)?)
        });
        let Some(rest) = room.checked_sub(name.map_or(0, str::len)) else { break };
        room = rest;
        if let (Some(package), Some(bytes)) = (name.map(package), end.checked_sub(start)) {
            sums.add(package, bytes);
        }
    }
    Some(sums.finish())
}

fn text(bytes: &[u8]) -> Option<&str> {
    let end = bytes.iter().take(4096).position(|byte| *byte == 0)?;
    std::str::from_utf8(&bytes[..end]).ok()
}

/// The package of a function's name: `golang.org/x/text/unicode/norm` of `golang.org/x/text/unicode/norm.(*Iter).Next`.
fn package(name: &str) -> &str {
    // The types in brackets have packages of their own.
    let plain = name.split('[').next().unwrap_or(name);
    let last = plain.rfind('/').map_or(0, |at| at + 1);
    match plain[last..].find('.') {
        Some(0) | None => "runtime",
        Some(end) => &plain[..last + end],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table of a few functions; `end` is the address behind the last.
    fn table(magic: u32, functions: &[(&str, u32)], end: u32) -> Vec<u8> {
        let is_relative = (0xffff_fff0..0xffff_fffa).contains(&magic);
        let field = if is_relative { 4 } else { 8 };
        let number = |value: usize, width: usize| (value as u64).to_le_bytes()[..width].to_vec();
        let mut names = Vec::new();
        let places: Vec<usize> = functions
            .iter()
            .map(|(name, _)| {
                names.extend([name.as_bytes(), b"\0"].concat());
                names.len() - name.len() - 1
            })
            .collect();
        let fields = match magic {
            0xffff_fffb => 0,
            0xffff_fffa => 7,
            _ => 8,
        };
        let head = 8 + 8 + fields * 8 - if fields > 0 { 8 } else { 0 };
        // Without fields, names stand behind the functions.
        let size = functions.len() * 2 * field + field;
        let (names_at, functions_at) = if fields > 0 { (head, head + names.len()) } else { (0, head) };
        let mut out = [magic.to_le_bytes().as_slice(), &[0, 0, 1, 8], &number(functions.len(), 8)].concat();
        let order: &[usize] = if fields == 8 {
            &[0, 0, names_at, 0, 0, 0, functions_at]
        } else {
            &[0, names_at, 0, 0, 0, functions_at]
        };
        if fields > 0 {
            order.iter().for_each(|place| out.extend(number(*place, 8)));
            out.extend(&names);
        }
        let base = if fields > 0 { size } else { functions_at + size };
        let mut records = Vec::new();
        for (index, (_, start)) in functions.iter().enumerate() {
            out.extend([number(*start as usize, field), number(base + records.len(), field)].concat());
            let records_size = functions.len() * (field + 4);
            let name =
                if fields > 0 { places[index] } else { functions_at + size + records_size + places[index] };
            records.extend([number(*start as usize, field), number(name, 4)].concat());
        }
        out.extend(number(end as usize, field));
        out.extend(records);
        if fields == 0 {
            out.extend(&names);
        }
        out
    }

    const FUNCTIONS: [(&str, u32); 4] = [
        ("runtime.main", 100),
        ("golang.org/x/text/unicode/norm.(*Iter).Next", 150),
        ("main.main.func1", 350),
        ("main.Map[go.shape.example.org/a.b]", 360),
    ];

    #[test]
    fn code_is_added_up_by_package_in_every_version_of_the_table() {
        for magic in MAGICS {
            let found = packages(&table(magic, &FUNCTIONS, 400));
            let found: Vec<(&str, u64)> = found.iter().map(|one| (one.name.as_str(), one.bytes)).collect();
            let expected = [("golang.org/x/text/unicode/norm", 200), ("main", 50), ("runtime", 50)];
            assert_eq!(found, expected, "{magic:#x}");
            let section = [[0xff; 16].as_slice(), &table(magic, &FUNCTIONS, 400)].concat();
            assert_eq!(within(&section), Some(&section[16..]));
        }
    }

    #[test]
    fn damaged_tables_do_no_harm() {
        let whole = table(0xffff_fff1, &FUNCTIONS, 400);
        for at in 0..whole.len() {
            for value in [0, 0x7f, 0xff] {
                let mut damaged = whole.clone();
                damaged[at] = value;
                drop(packages(&damaged));
            }
            drop(packages(&whole[..at]));
        }
    }
}
