//! Which build arguments a Dockerfile uses (Dockerfile reference: ARG, "Scope").

use crate::dockerfile::instructions;

/// How a Dockerfile uses a build argument.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ArgUsage {
    /// Lines of ARG instructions whose scope uses the argument.
    pub used: Vec<usize>,
    /// Lines of ARG instructions whose scope does not.
    pub unused: Vec<usize>,
}

impl ArgUsage {
    /// Whether any ARG instruction declares it.
    pub fn is_declared(&self) -> bool {
        self.is_used() || !self.unused.is_empty()
    }

    /// Whether any scope uses the argument.
    pub fn is_used(&self) -> bool {
        !self.used.is_empty()
    }
}

/// The line of the ARG in scope, and whether it was used.
type Scope = Option<(usize, bool)>;

/// Looks for `$NAME` and `${NAME…}` after `ARG NAME`. An argument before the first FROM is visible to FROM lines only; any other
/// to the rest of its stage, including here-documents.
pub fn usage(text: &str, name: &str) -> ArgUsage {
    let lines: Vec<&str> = text.lines().collect();
    let starts = instructions(text);
    let mut found = ArgUsage::default();
    let (mut global, mut local): (Scope, Scope) = (None, None);
    let mut stages = 0;
    for (index, (line, instruction)) in starts.iter().enumerate() {
        let (keyword, rest) = instruction.trim().split_once(char::is_whitespace).unwrap_or((instruction, ""));
        let end = starts.get(index + 1).map_or(lines.len(), |(next, _)| next - 1);
        let whole = lines.get(line - 1..end).unwrap_or_default();
        let uses = whole.iter().any(|line| !line.trim_start().starts_with('#') && names(line, name));
        if keyword.eq_ignore_ascii_case("FROM") {
            stages += 1;
            found.note(local.take());
            global = global.map(|(line, used)| (line, used || uses));
            continue;
        }
        let scope = if stages == 0 { &mut global } else { &mut local };
        *scope = scope.map(|(line, used)| (line, used || uses));
        let declares = |word: &str| word.split('=').next() == Some(name);
        if keyword.eq_ignore_ascii_case("ARG") && rest.split_whitespace().any(declares) {
            found.note(scope.take());
            *scope = Some((*line, false));
        }
    }
    found.note(local);
    found.note(global);
    found.used.sort_unstable();
    found.unused.sort_unstable();
    found
}

impl ArgUsage {
    fn note(&mut self, scope: Scope) {
        match scope {
            Some((line, true)) => self.used.push(line),
            Some((line, false)) => self.unused.push(line),
            None => {}
        }
    }
}

/// Whether a line contains `$NAME` or `${NAME…` and the name ends there.
fn names(line: &str, name: &str) -> bool {
    let continues = |rest: &str| rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    line.match_indices('$').any(|(at, _)| {
        let rest = &line[at + 1..];
        let rest = rest.strip_prefix('{').unwrap_or(rest);
        rest.strip_prefix(name).is_some_and(|rest| !continues(rest))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_is_used_only_in_its_scope() {
        let text = "ARG E=a\nFROM base-${E} AS one\nRUN echo $E\nFROM base AS two\nARG E\nRUN <<END\ncp $E /\nEND\n\
                    FROM x\nARG E=b V=c\n# $E\nENV F=$EDGE \\\n  G=${V:-d}\n";
        let of = |name| usage(text, name);
        assert_eq!(of("E"), ArgUsage { used: vec![1, 5], unused: vec![10] });
        assert_eq!(of("V"), ArgUsage { used: vec![10], unused: vec![] });
        assert_eq!(of("EDGE"), ArgUsage::default());
    }

    #[test]
    fn use_in_a_stage_does_not_count_for_the_global_argument() {
        let text = "ARG E\nFROM base\nENV X=$E\n";
        assert_eq!(usage(text, "E"), ArgUsage { used: vec![], unused: vec![1] });
    }
}
