//! Services in every spelling that YAML and Compose allow.

use super::project::Generator;
use super::references::Kind;
use super::text::{Slot, Source, Spelling};

/// Lines that look like images but are not.
const NOISE: [&str; 16] = [
    "    environment: {IMAGE: fx-alpha:1, N: \"fx-beta:${V:-2}\"}\n",
    "    environment:\n      - IMAGE=fx-alpha:1\n      - image=hub.example/fx-beta:2-optimized\n",
    "    labels:\n      - \"image: fx-beta:1\"\n      - 'über=fx-alpha:1 ✓'\n",
    "    labels: {ünï: \"日本 fx-alpha:1\"}\n",
    "    command: [\n      \"fx-alpha:1\"\n    ]\n",
    "    command: |\n      cat <<END\n      image: fx-alpha:1\n      END\n",
    "    command: >-\n      echo\n      image: fx-beta:1-optimized\n\n    # image: fx-alpha:1\n",
    "    profiles: [p]\n",
    "    ports: [\"127.0.0.1::80\", '${PORT:-8080}:81']\n",
    "    # fx-alpha:1 stays: 'image: fx-beta:1'\n",
    "\n",
    "    x-image: &unused fx-alpha:1\n    x-note: {image: \"fx-beta:1\"}\n",
    "    healthcheck: {test: [NONE]}\n",
    "    deploy: {resources: {limits: {cpus: '0.5'}}}\n",
    "    command: \"its $$HOME\n      image: fx-alpha:1\"\n",
    "    entrypoint: [\"sh\", \"-c\", \"# {image: fx-alpha:1}\"]\n",
];

/// Spellings of the image key in block style; `@@` is the image, `%` the service's number.
const KEYS: [&str; 14] = [
    "    image: @@\n",
    "    image: @@\n",
    "    image:   @@   # fx-alpha:1 stays\n",
    "    image:\t@@\n",
    "    \"image\": @@\n",
    "    'image' : @@ \n",
    "    image:\n      @@\n",
    "    image:\n    # fx-alpha:1\n\n      @@\n",
    "    ? image\n    : @@\n",
    "    image: !!str @@\n",
    "    image: &i% @@\n",
    "    image: !!str &i% @@ # é\n",
    "    image: &i% !!str @@\n",
    "    build: .\n    image: @@\n",
];

/// Block forms, each with its number of images. `{}` is a line that names an image.
const BLOCKS: [&str; 16] = [
    "  s%:\n{}",
    "  s%:\n{}",
    "  s%:\n{}",
    "  ? s%\n  :\n{}",
    "  \"s%\": &m%\n{}",
    "  s%: &m%\n{}  t%:\n    <<: *m%\n",
    "  s%: &m%\n{}  t%:\n    <<: [*m%]\n    image: @@\n",
    "  s%: &m%\n{}  t%: *m%\n",
    "  s%: &m%\n{}  t%:\n    image: @@\n    << : *m%\n  u%:\n    <<: *m%\n",
    "  s%: &m%\n{}  t%: &n%\n    image: @@\n  u%: {<<: [*m%, *n%]}\n",
    "  s%:\n    image: &j% @@\n  t%:\n    image: *j%\n  u%: {image: *j%}\n",
    "  s%:\n    extends: {service: t%}\n  t%:\n{}",
    "  s%:\n    extends: t%\n  t%:\n{}",
    "  s%:\n    extends:\n      service: t%\n    image: @@\n  t%:\n{}",
    "  s%: &m%\n    extends: {service: t%}\n  t%:\n{}  u%:\n    <<: *m%\n",
    "  s%:\n    build: {context: ., dockerfile: alpha/Dockerfile}\n  t%:\n{}",
];

/// Flow forms: unquoted images must not contain flow indicators.
const FLOWS: [&str; 7] = [
    "  s%: {image: @@}\n",
    "  s%: {labels: {über: \"fx-beta:1\"}, image: @@ , profiles: [p]}\n",
    "  s%: {\n    image: @@,\n    # fx-alpha:1\n    command: x\n  }\n",
    "  s%: {image: @@, environment: {IMAGE: fx-alpha:1}} # fx-alpha:1\n",
    "  s%: {? image : @@}\n",
    "  s%: &m% {image: @@}\n  t%: {<<: *m%, command: [x]}\n  u%: *m%\n",
    "  s%: {image: &i% @@}\n  t%: {image: *i%, tty: true}\n",
];

/// Forms in which the image is also used as another value.
const SHARED: [&str; 4] = [
    "  s%:\n    image: &i% @@\n    environment:\n      IMAGE: *i%\n",
    "  s%:\n    environment: {X: &e% @@}\n    image: *e%\n",
    "  s%: {image: &i% @@, labels: [*i%]}\n",
    "  s%:\n    build: .\n    labels: &l%\n      image: @@\n  t%:\n    <<: *l%\n",
];

impl Generator<'_> {
    /// Adds one service, or a few that refer to each other; returns the first one's name.
    pub fn service(&mut self, file: &mut Source) -> String {
        let number = self.next_service();
        self.keys.clear();
        let numbered = |text: &str| text.replace('%', &number.to_string());
        match self.rng.u32(..100) {
            0..22 => {
                let form = self.pick(&FLOWS);
                let slot = self.slot(true, false);
                file.put(&numbered(form), [slot]);
            }
            22..26 => {
                let form = self.pick(&SHARED);
                let slot = Slot { is_shared: true, ..self.slot(true, false) };
                file.put(&numbered(form), [slot]);
            }
            26..34 if self.base.is_some() => self.with_base(file, number),
            _ => {
                let form = self.pick(&BLOCKS);
                let (first, second) = (self.noise(1), self.noise(1));
                let key = self.pick(&KEYS);
                let key = numbered(&format!("{first}{key}{second}"));
                let text = numbered(form).replace("{}", &key);
                // Anything after a block scalar on its line would become part of it.
                let may_be_odd = !text.contains("@@ ");
                let slots: Vec<Slot> =
                    (0..text.matches("@@").count()).map(|_| self.slot(false, may_be_odd)).collect();
                file.put(&text, slots);
            }
        }
        format!("s{number}")
    }

    /// A service that merges the extension `x-base`.
    fn with_base(&mut self, file: &mut Source, number: usize) {
        let forms = ["<<: *base", "<<: [*base]", "<<: [*base, *more]", "<<: *base\n    image: @@"];
        let form = self.pick(&forms);
        let has_own = form.contains("@@");
        if let Some(base) = self.base.as_mut() {
            base.is_image |= !has_own;
        }
        let noise = self.noise(1);
        let slots: Vec<Slot> = has_own.then(|| self.slot(false, true)).into_iter().collect();
        file.put(&format!("  s{number}:\n    {form}\n{noise}"), slots);
    }

    /// A few lines without an image, with distinct keys.
    fn noise(&mut self, most: usize) -> String {
        let mut text = String::new();
        for _ in 0..self.rng.usize(..=most) {
            let line = self.pick(&NOISE);
            // Blank lines and comments may be repeated.
            let key = line.split(':').next().unwrap_or_default().trim();
            if key.is_empty() || key.starts_with('#') || !self.keys.contains(&key.to_owned()) {
                self.keys.push(key.to_owned());
                text.push_str(line);
            }
        }
        text
    }

    /// An image and how it is spelled.
    pub fn slot(&mut self, in_flow: bool, may_be_odd: bool) -> Slot {
        let id = self.next_slot();
        let reference = self.reference(id);
        let text = reference.text();
        let is_plain = !in_flow || !text.contains(['{', '}', '[', ']', ',']);
        let spelling = match self.rng.u32(..100) {
            0..4 if may_be_odd && reference.kind != Kind::Hidden => Spelling::Odd(odd(self.rng, &text)),
            0..45 if is_plain && !text.starts_with('[') => Spelling::Plain,
            45..70 => Spelling::Quoted('\''),
            _ => Spelling::Quoted('"'),
        };
        Slot { id, reference, spelling, is_shared: false, is_image: true }
    }
}

/// The text with escapes or split over several lines.
fn odd(rng: &mut fastrand::Rng, text: &str) -> String {
    let (start, end) = text.split_at(text.len() - 1);
    match rng.u32(..5) {
        0 => format!(">-\n          {text}"),
        1 => format!("|-\n          {text}"),
        2 => format!("\"{start}\\u{:04x}\"", u32::from(end.as_bytes()[0])),
        3 => format!("\"{start}\\x{:02X}\"", end.as_bytes()[0]),
        _ => format!("\"{start}\\\n          {end}\""),
    }
}
