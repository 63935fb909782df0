//! The layout of a project: its files, and how they include and extend each other.

use super::environment::Environment;
use super::project::{Generator, Theme};
use super::references::{Kind, Reference};
use super::text::Source;

/// Default file names, in Compose's order of preference.
const MAIN: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];
const OVERRIDES: [&str; 4] = [
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
];

impl Generator<'_> {
    /// Generates the files. Returns the ones given to Compose, and whether with `--file`.
    pub fn layout(&mut self) -> (Vec<String>, bool) {
        let named = self.chance(Theme::Files, 12);
        let listed = !named && self.chance(Theme::Files, 8);
        let folder = if (named || listed) && self.rng.bool() { "repo/deploy" } else { "repo" };
        let count = self.rng.usize(1..=5);
        let (main, names) = self.main(folder, count);
        let mut first = Vec::new();
        let mut others = 0;
        if named || listed {
            first.push(format!("{folder}/{}", self.pick(&["stack.yml", "main file.yaml", "compose.yml"])));
            others = self.rng.usize(..=2);
            for other in 0..others {
                first.push(format!("{folder}/{}", ["more.yml", "sub/more.yml"][other]));
            }
        } else {
            let index = self.rng.usize(..MAIN.len());
            first.push(format!("{folder}/{}", MAIN[index]));
            if self.chance(Theme::Files, 15) {
                others = 1;
                let overriding = self.rng.usize(..OVERRIDES.len());
                first.push(format!("{folder}/{}", OVERRIDES[overriding]));
                // Compose reads only the first of each.
                if overriding + 1 < OVERRIDES.len() && self.rng.u32(..4) == 0 {
                    self.decoy(&format!("{folder}/{}", OVERRIDES[overriding + 1]));
                }
            }
            if index + 1 < MAIN.len() && self.rng.u32(..8) == 0 {
                self.decoy(&format!("{folder}/{}", MAIN[index + 1]));
            }
        }
        self.files.insert(first[0].clone(), main);
        for path in &first[1..=others] {
            let file = self.overriding(&names);
            self.files.insert(path.clone(), file);
        }
        let is_in_dotenv = listed && self.list(&first);
        // The `.env` beside the first file matters less than the one that lists the files.
        let (dotenv, other) = if is_in_dotenv { ("repo", folder) } else { (folder, "repo") };
        if listed && dotenv != other {
            let hidden = self.environment.dotenv.iter().filter(|(name, _)| !name.starts_with("COMPOSE_"));
            let hidden: String = hidden.map(|(name, _)| format!("{name}=hidden\n")).collect();
            self.files.insert(format!("{other}/.env"), Source::new(hidden));
        }
        let text = self.environment.dotenv_text(self.rng);
        if !text.is_empty() {
            self.files.insert(format!("{dotenv}/.env"), Source::new(text));
        }
        (first, named)
    }

    /// Lists the files in COMPOSE_FILE; true if that is in `.env`.
    fn list(&mut self, first: &[String]) -> bool {
        let separator = self.pick(&[":", ";", ","]);
        let names: Vec<&str> = first.iter().filter_map(|path| path.strip_prefix("repo/")).collect();
        let names = names.join(separator);
        let is_in_dotenv = self.rng.bool();
        let Environment { shell, dotenv, .. } = &mut self.environment;
        let place = if is_in_dotenv { dotenv } else { shell };
        if separator != ":" {
            place.push(("COMPOSE_PATH_SEPARATOR".to_owned(), separator.to_owned()));
        }
        place.push(("COMPOSE_FILE".to_owned(), names));
        is_in_dotenv
    }

    /// An unused file.
    fn decoy(&mut self, path: &str) {
        let mut file = Source { is_read: false, ..Source::new("services:\n") };
        self.base = None;
        self.service(&mut file);
        self.files.insert(path.to_owned(), file);
    }

    /// A file that changes services of an earlier one, and adds others.
    fn overriding(&mut self, names: &[String]) -> Source {
        let mut file = Source::new("services:\n");
        self.base = None;
        for name in names {
            match self.rng.u32(..8) {
                0 | 1 => {
                    let slot = self.slot(false, true);
                    file.put(&format!("  {name}:\n    image: @@\n"), [slot]);
                }
                2 => {
                    let slot = self.slot(false, false);
                    file.put(&format!("  {name}:\n    image: !override @@ # fx-alpha:1\n"), [slot]);
                }
                3 => file.put(&format!("  {name}:\n    image: !reset null\n    build: .\n"), []),
                4 => file.put(&format!("  {name}: {{environment: {{X: fx-alpha:1}}}}\n"), []),
                _ => {}
            }
        }
        self.service(&mut file);
        file
    }

    /// Adds a service that extends one of another file; returns its name.
    pub fn extending(&mut self, folder: &str, file: &mut Source) -> String {
        let number = self.next_service();
        let path = format!("parts/base{number}.yml");
        let mut other = Source::new("services:\n");
        let (x, y) = (self.slot(false, true), self.slot(true, false));
        if self.rng.u32(..3) == 0 {
            // The path is relative to that file.
            other.put(&format!("  x: {{extends: {{file: deep{number}.yml, service: z}}}}\n"), []);
            let mut deep = Source::new("services:\n");
            deep.put("  z:\n    image: @@\n", [x]);
            self.files.insert(format!("{folder}/parts/deep{number}.yml"), deep);
        } else {
            other.put("  x:\n    image: @@\n", [x]);
        }
        other.put("  unused: {image: @@}\n", [y]);
        self.files.insert(format!("{folder}/{path}"), other);
        let forms = [
            "    extends:\n      file: FILE\n      service: x\n",
            "    extends: {file: './FILE', service: x}\n",
            "    extends: {service: x, \"file\": \"parts/../FILE\"}\n    labels: {l: fx-beta:1}\n",
            "    extends:\n      file: FILE\n      service: x\n    image: @@\n",
        ];
        let form = self.pick(&forms).replace("FILE", &path);
        let slots: Vec<_> = form.contains("@@").then(|| self.slot(false, true)).into_iter().collect();
        file.put(&format!("  s{number}:\n{form}"), slots);
        format!("s{number}")
    }

    /// Adds `include:` with one to three items.
    pub fn includes(&mut self, folder: &str, file: &mut Source) {
        file.put("include:\n", []);
        for _ in 0..self.rng.usize(1..=3) {
            let number = self.next_service();
            let path = format!("parts/inc{number}.yml");
            let parts = format!("{folder}/parts");
            match self.rng.u32(..9) {
                0..3 => {
                    let form =
                        self.pick(&["- FILE", "- './FILE' # fx-alpha:1", "- \"${PARTS:-parts}/FILE\""]);
                    let name = if form.contains('$') { path.trim_start_matches("parts/") } else { &path };
                    file.put(&format!("  {}\n", form.replace("FILE", name)), []);
                    self.included(folder, &path, &parts);
                }
                3 | 4 => {
                    file.put(&format!("  -\n    path: {path}\n    project_directory: .\n"), []);
                    self.included(folder, &path, folder);
                }
                5 => {
                    file.put(&format!("  - {{project_directory: \"other\", path: [{path}]}}\n"), []);
                    self.included(folder, &path, &format!("{folder}/other"));
                }
                6 => {
                    let second = format!("parts/also{number}.yml");
                    file.put(&format!("  - path: [{path}, {second}]\n"), []);
                    self.included(folder, &path, &parts);
                    let mut other = Source::new("services:\n");
                    let slot = self.slot(true, false);
                    other.put(&format!("  i{number}: {{image: @@}}\n"), [slot]);
                    self.files.insert(format!("{folder}/{second}"), other);
                }
                7 => {
                    let values = format!("V=part\nW=\"part\"\nPARTS=none\nTAG{number}=1\n");
                    self.files.insert(format!("{folder}/values{number}.env"), Source::new(values));
                    file.put(&format!("  - {{path: {path}, env_file: ./values{number}.env}}\n"), []);
                    self.included(folder, &path, &parts);
                }
                _ => self.outside(folder, number, file),
            }
        }
    }

    /// A file outside of the repository, which cannot be switched.
    fn outside(&mut self, folder: &str, number: usize, file: &mut Source) {
        let up = if folder == "repo" { ".." } else { "../.." };
        file.put(&format!("  - {up}/outside{number}.yml\n"), []);
        let mut other = Source { is_read: false, ..Source::new("services:\n") };
        // The switch does not read that file, so it must not require variables, or hide names or registries.
        let slot = loop {
            let slot = self.slot(true, false);
            let Reference { kind, prefix, .. } = &slot.reference;
            let is_plain = matches!(kind, Kind::Ours | Kind::Foreign) && !prefix.contains('$');
            if is_plain && !slot.reference.text().contains('?') {
                break slot;
            }
        };
        other.put(&format!("  i{number}: {{image: @@}}\n"), [slot]);
        self.files.insert(format!("outside{number}.yml"), other);
        self.has_unread = true;
    }

    /// Writes an included file; `base` is its project directory.
    fn included(&mut self, folder: &str, path: &str, base: &str) {
        let number = self.next_service();
        let name = path.trim_start_matches("parts/inc").trim_end_matches(".yml").to_owned();
        let mut file = Source::new("");
        if self.rng.u32(..4) == 0 {
            let mut deep = Source::new("services:\n");
            let slot = self.slot(false, true);
            deep.put(&format!("  deep{number}:\n    image: @@\n"), [slot]);
            self.files.insert(format!("{base}/deep{number}.yml"), deep);
            file.put(&format!("include: [deep{number}.yml]\n"), []);
        }
        let slot = self.slot(false, true);
        file.put(&format!("services:\n  i{name}:\n    image: @@\n"), [slot]);
        if self.rng.u32(..3) == 0 {
            file.put(&format!("  e{number}:\n    extends: {{file: e{number}.yml, service: x}}\n"), []);
            for place in [folder, base, &format!("{folder}/parts"), &format!("{folder}/other")] {
                let mut other = Source::new("services:\n");
                let slot = self.slot(false, false);
                other.put("  x:\n    image: @@\n", [slot]);
                other.is_read = place == base;
                let path = format!("{place}/e{number}.yml");
                self.files.entry(path).or_insert(other);
            }
        }
        if self.rng.u32(..6) == 0 {
            self.files.entry(format!("{base}/.env")).or_insert_with(|| Source::new("V=base\nW=''\n"));
        }
        self.files.insert(format!("{folder}/{path}"), file);
    }
}
