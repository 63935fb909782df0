//! Which build arguments a Dockerfile reads (Dockerfile reference: ARG, "Scope").

use crate::dockerfile::instructions;

/// How a Dockerfile treats one build argument.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Use {
    /// Lines of ARG instructions after which it is read within their scope.
    pub read: Vec<usize>,
    /// Lines of ARG instructions after which nothing in their scope names it.
    pub unread: Vec<usize>,
}

impl Use {
    /// Whether its value makes any difference.
    pub fn is_read(&self) -> bool {
        !self.read.is_empty()
    }
}

/// The ARG in whose scope the reader stands, by its line, and whether it was read.
type Scope = Option<(usize, bool)>;

/// Looks for `$NAME` and `${NAME…}` after `ARG NAME`. An argument that stands before the first FROM is seen by FROM lines
/// alone; any other by what follows it in its stage, here-documents included.
pub fn used(text: &str, name: &str) -> Use {
    let lines: Vec<&str> = text.lines().collect();
    let starts = instructions(text);
    let mut found = Use::default();
    let (mut global, mut local): (Scope, Scope) = (None, None);
    let mut stages = 0;
    for (index, (line, instruction)) in starts.iter().enumerate() {
        let (keyword, rest) = instruction.trim().split_once(char::is_whitespace).unwrap_or((instruction, ""));
        let end = starts.get(index + 1).map_or(lines.len(), |(next, _)| next - 1);
        let whole = lines.get(line - 1..end).unwrap_or_default();
        let reads = whole.iter().any(|line| !line.trim_start().starts_with('#') && names(line, name));
        if keyword.eq_ignore_ascii_case("FROM") {
            stages += 1;
            found.note(local.take());
            global = global.map(|(line, read)| (line, read || reads));
            continue;
        }
        let scope = if stages == 0 { &mut global } else { &mut local };
        *scope = scope.map(|(line, read)| (line, read || reads));
        let declares = |word: &str| word.split('=').next() == Some(name);
        if keyword.eq_ignore_ascii_case("ARG") && rest.split_whitespace().any(declares) {
            found.note(scope.take());
            *scope = Some((*line, false));
        }
    }
    found.note(local);
    found.note(global);
    found.read.sort_unstable();
    found.unread.sort_unstable();
    found
}

impl Use {
    fn note(&mut self, scope: Scope) {
        match scope {
            Some((line, true)) => self.read.push(line),
            Some((line, false)) => self.unread.push(line),
            None => {}
        }
    }
}

/// Whether a line names a variable: `$NAME` that does not go on, or `${NAME` with anything but more of a name behind it.
fn names(line: &str, name: &str) -> bool {
    let goes_on = |rest: &str| rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    line.match_indices('$').any(|(at, _)| {
        let rest = &line[at + 1..];
        let rest = rest.strip_prefix('{').unwrap_or(rest);
        rest.strip_prefix(name).is_some_and(|rest| !goes_on(rest))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_is_read_in_its_scope_alone() {
        let text = "ARG E=a\nFROM base-${E} AS one\nRUN echo $E\nFROM base AS two\nARG E\nRUN <<END\ncp $E /\nEND\n\
                    FROM x\nARG E=b V=c\n# $E\nENV F=$EDGE \\\n  G=${V:-d}\n";
        let of = |name| used(text, name);
        assert_eq!(of("E"), Use { read: vec![1, 5], unread: vec![10] });
        assert_eq!(of("V"), Use { read: vec![10], unread: vec![] });
        assert_eq!(of("EDGE"), Use::default());
    }

    #[test]
    fn what_only_a_stage_below_reads_is_not_read_by_the_global_argument() {
        let text = "ARG E\nFROM base\nENV X=$E\n";
        assert_eq!(used(text, "E"), Use { read: vec![], unread: vec![1] });
    }
}
