//! Generates a Compose project: its files, and which of them the switch reads.

use std::collections::BTreeMap;

use fastrand::Rng;

use super::environment::Environment;
use super::references::Request;
use super::text::{Piece, Slot, Source};

/// The focus of a batch of projects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    /// Includes, extended files, overrides and where Compose finds files.
    Files,
    /// Spellings of YAML.
    Texts,
    /// Variables, and the options of the switch.
    Variables,
    /// Projects that Compose rejects.
    Refusals,
    /// Files with typos. Compose rejects most of them.
    Typos,
}

/// A project. All paths are relative to the site; the repository is `repo`.
#[derive(Debug, Clone)]
pub struct Project {
    pub files: BTreeMap<String, Source>,
    /// The files given to Compose, in order.
    pub first: Vec<String>,
    /// Whether they are given with `--file`.
    pub is_named: bool,
    pub environment: Environment,
    pub request: Request,
    /// Whether the switch must report an unreadable file.
    pub has_unread: bool,
    /// Whether a typo makes the expected edits unknown.
    pub is_loose: bool,
    /// One more than the highest ID of a slot.
    pub markers: usize,
}

/// Generates one project.
pub struct Generator<'r> {
    pub rng: &'r mut Rng,
    pub theme: Theme,
    pub environment: Environment,
    pub has_unmarked: bool,
    /// The image of the extension `x-base`, if there is one.
    pub base: Option<Slot>,
    /// Keys that the current service has.
    pub keys: Vec<String>,
    pub files: BTreeMap<String, Source>,
    pub has_unread: bool,
    slots: usize,
    services: usize,
}

/// Services that make Compose reject a project.
const REFUSED: [&str; 14] = [
    "  bad: {image: x, wrong: 1}\n",
    "  bad: {image: x, depends_on: [missing]}\n",
    "  bad: {image: x}\n  bad: {image: y}\n",
    "  bad: {command: x}\n",
    "  bad: {image: *nowhere}\n",
    "  bad: {image: [x}\n",
    "\tbad: {image: x}\n",
    "  bad: {image: 'x${V'}\n",
    "  bad: {image: '${V!x}'}\n",
    "  bad: {extends: {file: gone.yml, service: x}}\n",
    "  bad: {extends: {service: gone}}\n",
    "  bad: {image: fx-alpha:1, ports: 5}\n",
    "  bad: {image: fx-alpha:1, networks: [gone]}\n",
    "  bad: {image: \"x}\n",
];

impl Generator<'_> {
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.rng.usize(..from.len())]
    }

    /// True for `percent` of projects; three times as often in batches with this theme.
    pub fn chance(&mut self, theme: Theme, percent: u32) -> bool {
        let times = if self.theme == theme { 3 } else { 1 };
        self.rng.u32(..100) < percent * times
    }

    pub fn next_slot(&mut self) -> usize {
        self.slots += 1;
        self.slots
    }

    pub fn next_service(&mut self) -> usize {
        self.services += 1;
        self.services
    }
}

impl Project {
    pub fn generate(theme: Theme, rng: &mut Rng) -> Project {
        let environment = Environment::new(rng, theme == Theme::Variables);
        let mut generator = Generator {
            rng,
            theme,
            environment,
            has_unmarked: false,
            base: None,
            keys: Vec::new(),
            files: BTreeMap::new(),
            has_unread: false,
            slots: 0,
            services: 0,
        };
        let request = generator.request();
        let (first, is_named) = generator.layout();
        let is_loose = theme == Theme::Typos;
        if is_loose {
            generator.mistype(&first[0]);
        }
        generator.spell();
        let Generator { environment, files, has_unread, slots, .. } = generator;
        let request = if is_loose { Request::plain(request.optimized) } else { request };
        Project { files, first, is_named, environment, request, has_unread, is_loose, markers: slots + 1 }
    }

    /// The slots by ID, and the one without a marker.
    pub fn slots(&self) -> BTreeMap<usize, &Slot> {
        self.files.values().flat_map(Source::slots).map(|slot| (slot.id, slot)).collect()
    }
}

impl Generator<'_> {
    fn request(&mut self) -> Request {
        let mut request = Request::plain(self.rng.u32(..100) < 75);
        if self.chance(Theme::Variables, 14) {
            request.edition = Some(self.pick(&["simple", "community"]));
        }
        if self.chance(Theme::Variables, 8) {
            request.tag = Some(self.pick(&["3", "2.0-rc.2"]));
        }
        if self.chance(Theme::Variables, 12) {
            request.registry = Some(self.pick(&["r.example/t", "[::1]:5000/t", "localhost:5000"]));
        }
        request
    }

    /// The main file: header, extensions, includes, services.
    pub fn main(&mut self, folder: &str, services: usize) -> (Source, Vec<String>) {
        if self.chance(Theme::Texts, 15) {
            let slot = self.slot(false, true);
            self.base = Some(Slot { is_image: false, ..slot });
        }
        let mut body = Source::new("services:\n");
        let mut names = Vec::new();
        for _ in 0..services {
            names.push(self.service(&mut body));
        }
        for _ in 0..3 {
            if self.chance(Theme::Files, 14) {
                names.push(self.extending(folder, &mut body));
            }
        }
        if self.theme == Theme::Refusals && self.rng.u32(..5) > 0 {
            body.put(self.pick(&REFUSED), []);
        }
        let mut file = Source::new("");
        if self.rng.u32(..4) == 0 {
            file.put("# fx-alpha:1 — image: fx-beta:1\n\n", []);
        }
        if let Some(base) = self.base.take() {
            // Of two merged mappings, the first one's image takes precedence.
            let more = Slot { is_image: false, ..self.slot(false, false) };
            file.put("x-base: &base\n  image: @@\nx-more: &more\n  tty: true\n  image: @@\n", [base, more]);
        }
        if self.rng.u32(..6) == 0 {
            file.put("x-images: [fx-alpha:1, {image: 'fx-beta:1-optimized'}]\n", []);
        }
        if self.chance(Theme::Files, 20) {
            self.includes(folder, &mut file);
        }
        body.pieces.into_iter().for_each(|piece| file.push(piece));
        if self.rng.u32(..6) == 0 {
            file.put("volumes:\n  image: {}\nx-last:\n  services: {a: {image: fx-alpha:1}}\n", []);
        }
        if self.chance(Theme::Texts, 3) {
            file.put("---\nservices:\n", []);
            self.base = None;
            names.push(self.service(&mut file));
        }
        (file, names)
    }

    /// Puts a typo into a file. Its references are then unknown.
    fn mistype(&mut self, name: &str) {
        let Some(file) = self.files.get(name) else { return };
        let mut text: Vec<char> = file.render().chars().collect();
        for _ in 0..self.rng.usize(1..=2) {
            let at = self.rng.usize(..text.len());
            let typed = self.pick(&[
                ' ', '\n', '\t', ':', '#', '\'', '"', '{', '}', '[', ']', ',', '&', '*', '!', '|', '>', '-',
                '?', '%', '@', '`', 'x', '\\', '$', '\u{feff}', '\u{85}', '\u{2028}', '\r', '\u{a0}', 'é',
                '=', '<', '~', '.', '0',
            ]);
            match self.rng.u32(..3) {
                0 => drop(text.remove(at)),
                1 => text[at] = typed,
                _ => text.insert(at, typed),
            }
        }
        let text: String = text.into_iter().collect();
        self.files.insert(name.to_owned(), Source::new(text));
    }

    /// Varies line endings, indentation and document markers of every file.
    fn spell(&mut self) {
        let names: Vec<String> = self.files.keys().cloned().collect();
        for name in names.iter().filter(|name| !name.ends_with(".env")) {
            let Some(mut file) = self.files.remove(name) else { continue };
            let often = if self.theme == Theme::Texts { 3 } else { 10 };
            let mut one_in = |count: u32| self.rng.u32(..count) == 0;
            if one_in(often) {
                let start = if one_in(2) { "---\n" } else { "%YAML 1.1\n--- # fx-alpha:1\n" };
                file.pieces.insert(0, Piece::Text(start.to_owned()));
                if one_in(3) {
                    file.put("...\n", []);
                }
            }
            if one_in(often) {
                let width = [1, 3, 4, 5][self.rng.usize(..4)];
                file.map_text(|text| indent(text, width));
            }
            let mut one_in = |count: u32| self.rng.u32(..count) == 0;
            if one_in(often) {
                file.map_text(|text| text.replace('\n', "\r\n"));
            }
            if one_in(2 * often) {
                file.pieces.insert(0, Piece::Text("\u{feff}".to_owned()));
            }
            if one_in(60) {
                let filler = "# long file: fx-alpha:1 ünïcode\n".repeat(2000);
                file.put(&filler, []);
            }
            self.files.insert(name.clone(), file);
        }
    }
}

/// Changes the indentation from two spaces to another width.
fn indent(text: &str, width: usize) -> String {
    let mut lines = text.split('\n');
    let mut indented = lines.next().unwrap_or_default().to_owned();
    for line in lines {
        let bare = line.trim_start_matches(' ');
        let spaces = line.len() - bare.len();
        indented.push('\n');
        indented.push_str(&" ".repeat(spaces / 2 * width + spaces % 2));
        indented.push_str(bare);
    }
    indented
}
