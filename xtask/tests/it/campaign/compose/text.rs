//! Files made of text and known image references.

use super::references::{Outcome, Reference, Request};

/// An image reference in a file.
#[derive(Debug, Clone)]
pub struct Slot {
    /// Unique in the project; part of the image's text unless the image is unmarked.
    pub id: usize,
    pub reference: Reference,
    pub spelling: Spelling,
    /// Whether an alias also uses it for something other than an image.
    pub is_shared: bool,
    /// Whether Compose reads it as the image of a service.
    pub is_image: bool,
}

/// How YAML spells the reference.
#[derive(Debug, Clone)]
pub enum Spelling {
    Plain,
    Quoted(char),
    /// As this text: with escapes or split over several lines.
    Odd(String),
}

/// A part of a file.
#[derive(Debug, Clone)]
pub enum Piece {
    Text(String),
    Image(Slot),
}

/// A file of a project.
#[derive(Debug, Clone)]
pub struct Source {
    pub pieces: Vec<Piece>,
    /// Whether the switch reads it.
    pub is_read: bool,
}

/// A reference that the switch must report.
#[derive(Debug)]
pub struct Report {
    pub line: usize,
    pub text: String,
    pub reason: &'static str,
}

impl Slot {
    fn render(&self) -> String {
        let text = self.reference.text();
        match &self.spelling {
            Spelling::Plain if text.starts_with('[') => format!("\"{text}\""),
            Spelling::Plain => text,
            Spelling::Quoted(quote) => format!("{quote}{text}{quote}"),
            Spelling::Odd(raw) => raw.clone(),
        }
    }

    /// The result of the switch.
    pub fn outcome(&self, request: &Request) -> Outcome {
        if !self.is_image {
            return Outcome::Same;
        }
        match self.reference.outcome(request) {
            Outcome::New(_) if self.is_shared => Outcome::Left("its anchor is also used"),
            Outcome::New(_) if matches!(self.spelling, Spelling::Odd(_)) => {
                Outcome::Left("uses escapes or spans several lines")
            }
            outcome => outcome,
        }
    }
}

impl Source {
    pub fn new(text: impl Into<String>) -> Source {
        Source { pieces: vec![Piece::Text(text.into())], is_read: true }
    }

    /// Adds a piece and joins it with a preceding text, so that only the first text starts at the beginning of a line.
    pub fn push(&mut self, piece: Piece) {
        match (self.pieces.last_mut(), piece) {
            (Some(Piece::Text(last)), Piece::Text(text)) => last.push_str(&text),
            (_, piece) => self.pieces.push(piece),
        }
    }

    /// Adds a text in which each `@@` stands for the next slot.
    pub fn put(&mut self, text: &str, slots: impl IntoIterator<Item = Slot>) {
        let mut slots = slots.into_iter();
        for (index, part) in text.split("@@").enumerate() {
            if index > 0 {
                self.pieces.push(Piece::Image(slots.next().expect("a slot for each @@")));
            }
            self.push(Piece::Text(part.to_owned()));
        }
        assert!(slots.next().is_none(), "a slot without @@ in {text}");
    }

    pub fn render(&self) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Image(slot) => slot.render(),
        };
        self.pieces.iter().map(piece).collect()
    }

    /// Changes everything except references: line endings, indentation, characters.
    pub fn map_text(&mut self, change: impl Fn(&str) -> String) {
        for piece in &mut self.pieces {
            match piece {
                Piece::Text(text) | Piece::Image(Slot { spelling: Spelling::Odd(text), .. }) => {
                    *text = change(text);
                }
                Piece::Image(_) => {}
            }
        }
    }

    /// Switches the references, and returns what must be reported.
    pub fn switch(&mut self, request: &Request) -> Vec<Report> {
        let (mut line, mut reports) = (1, Vec::new());
        for piece in &mut self.pieces {
            if let (true, Piece::Image(slot)) = (self.is_read, &mut *piece) {
                match slot.outcome(request) {
                    Outcome::Same => {}
                    Outcome::New(new) => slot.reference = new,
                    Outcome::Left(reason) => {
                        reports.push(Report { line, text: slot.reference.text(), reason });
                    }
                }
            }
            line += match piece {
                Piece::Text(text) => text.matches('\n').count(),
                Piece::Image(slot) => slot.render().matches('\n').count(),
            };
        }
        reports
    }

    pub fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Image(slot) => Some(slot),
            Piece::Text(_) => None,
        })
    }
}
