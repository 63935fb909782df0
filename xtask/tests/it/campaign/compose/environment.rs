//! The variables of a generated project, from the shell and from `.env`.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;

use super::references::Kind;

/// Variables and their values.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    pub shell: Vec<(String, String)>,
    pub dotenv: Vec<(String, String)>,
    /// The value of `P`, used at the end of tags.
    pub ending: Option<Kind>,
    /// Variables that a reference requires.
    pub required: BTreeSet<String>,
}

impl Environment {
    pub fn new(rng: &mut Rng, often: bool) -> Environment {
        let mut environment = Environment::default();
        let hubs = ["h2.example", "h2.example:5000/team", ""];
        let choices: [(&str, &[&str]); 4] = [
            ("V", &["7", "2.0", "", "rc_1"]),
            ("W", &["w", "1.2.3", ""]),
            ("HUB", &hubs),
            ("SUTRA_VERSION", &["3", "3-optimized", "2.0-rc.1"]),
        ];
        for (name, values) in choices {
            if rng.u32(..100) < if often { 70 } else { 30 } {
                let value = values[rng.usize(..values.len())].to_owned();
                environment.add(rng, name, value);
            }
        }
        if rng.u32(..100) < 6 {
            let (kind, value) = match rng.bool() {
                true => (Kind::VariantInValue, "1-optimized"),
                false => (Kind::EditionInValue, "1-community"),
            };
            environment.ending = Some(kind);
            environment.add(rng, "P", value.to_owned());
        }
        environment
    }

    /// Sets a variable in the shell or in `.env`. The shell takes precedence.
    pub fn add(&mut self, rng: &mut Rng, name: &str, value: String) {
        match rng.u32(..4) {
            0 => self.shell.push((name.to_owned(), value)),
            1 => {
                self.shell.push((name.to_owned(), value));
                self.dotenv.push((name.to_owned(), "hidden".to_owned()));
            }
            _ => self.dotenv.push((name.to_owned(), value)),
        }
    }

    fn value(&self, name: &str) -> Option<&str> {
        let of = |all: &'_ [(String, String)]| all.iter().rposition(|(found, _)| found == name);
        match of(&self.shell) {
            Some(index) => Some(&self.shell[index].1),
            None => of(&self.dotenv).map(|index| self.dotenv[index].1.as_str()),
        }
    }

    /// The user's environment as a deployment sees it: `3-optimized` means the tag `3`, and required variables are set.
    pub fn own(&self) -> BTreeMap<String, String> {
        let mut own: BTreeMap<_, _> = self.shell.iter().cloned().collect();
        if let Some(tag) = self.value("SUTRA_VERSION").and_then(|value| value.strip_suffix("-optimized")) {
            own.insert("SUTRA_VERSION".to_owned(), tag.to_owned());
        }
        for name in &self.required {
            if self.value(name).is_none_or(str::is_empty) {
                own.insert(name.clone(), "8".to_owned());
            }
        }
        own
    }

    /// The environment with other values for all variables in references.
    pub fn other(&self, markers: usize) -> BTreeMap<String, String> {
        let mut other = self.own();
        for (name, value) in
            [("V", "o.1"), ("W", "o_2"), ("HUB", "o.example:81/o"), ("SUTRA_VERSION", "9"), ("P", "9")]
        {
            other.insert(name.to_owned(), value.to_owned());
        }
        for id in 0..markers {
            other.insert(format!("Kk{id}"), format!("k{id}.o"));
        }
        other
    }

    /// The text of `.env`, in one of several equivalent spellings.
    pub fn dotenv_text(&self, rng: &mut Rng) -> String {
        let mut text = String::new();
        for (name, value) in &self.dotenv {
            let line = match rng.u32(..9) {
                0 => format!("{name}='{value}'"),
                1 => format!("{name}=\"{value}\""),
                2 => format!("export {name}={value}"),
                3 => format!("{name}=\"{value}\" # {name}=no"),
                4 => format!("# {name}=no\n{name}={value} # no"),
                5 if !value.is_empty() => format!("{name}=${{NONE_{name}:-{value}}}"),
                6 => format!("{name}=no\n{name}={value}"),
                7 if !value.is_empty() => format!("{name}: {value}"),
                _ => format!("{name}={value}"),
            };
            text.push_str(&line);
            text.push('\n');
        }
        if rng.u32(..8) == 0 { text.replace('\n', "\r\n") } else { text }
    }
}
