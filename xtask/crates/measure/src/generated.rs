//! Sentences, questions and vectors for loads: the same in every run, all different within one.

use serde_json::Value;

const PLACES: &str = "Aberdeen Bergen Cordoba Dresden Evora Fes Galway Havana Izmir Jakarta Kyoto Lisbon Marrakesh Nantes \
    Oslo Porto Quito Riga Seville Tromso";
const OWNERS: &str = "archivist baker carpenter diver engineer farmer gardener harpist innkeeper jeweller librarian mason \
    navigator optician painter rower surveyor tailor violinist weaver";
const QUALITIES: &str = "amber brittle copper dusty elegant faded gilded hollow ivory jagged knotted lacquered mottled narrow \
    ornate polished quiet rusty silver tangled";
const THINGS: &str = "anchor barometer clock drum engine flute gate hammer instrument jar kettle lantern mirror net oven \
    piano quilt ribbon saddle telescope";
const DEEDS: &str = "repairs measures paints carries hides borrows counts cleans draws examines guards heats inherits \
    mends restores sells";
const TIMES: &str = "before dawn|after the harvest|on market days|every second winter|during the flood|at high tide|\
    when the bells ring|between two storms|once the snow has gone|on the eve of the fair";

/// Makes values that depend on a name and a number alone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Generator(u64);

impl Generator {
    /// A generator of its own for each name.
    pub(crate) fn new(name: &str) -> Generator {
        // FNV-1a.
        let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        Generator(name.bytes().fold(0xcbf2_9ce4_8422_2325, hash))
    }

    /// The value of one of [`GENERATED`](model::load::GENERATED) for an item.
    pub(crate) fn value(self, kind: &str, number: u64, dimension: u64) -> Value {
        let mut random = Random(self.0 ^ number.wrapping_mul(0xd129_0d3d_38f2_6b4b));
        match kind {
            "number" => Value::from(number.to_string()),
            "text" => Value::from(sentence(&mut random, number)),
            "question" => Value::from(question(&mut random)),
            _ => unit_vector(&mut random, dimension),
        }
    }
}

/// `SplitMix64`.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of several words, or of phrases with `|` between them.
    fn pick<'a>(&mut self, words: &'a str) -> &'a str {
        let separator = if words.contains('|') { '|' } else { ' ' };
        let index = usize::try_from(self.next() >> 33).unwrap_or_default() % words.split(separator).count();
        words.split(separator).nth(index).unwrap_or_default()
    }

    /// Above 0, at most 1.
    fn fraction(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    /// Normally distributed (Box–Muller).
    fn normal(&mut self) -> f64 {
        let (radius, angle) = (self.fraction(), self.fraction());
        (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
    }
}

fn sentence(random: &mut Random, number: u64) -> String {
    let (owner, place, deed) = (random.pick(OWNERS), random.pick(PLACES), random.pick(DEEDS));
    let (quality, thing) = (random.pick(QUALITIES), random.pick(THINGS));
    let (other_quality, other) = (random.pick(QUALITIES), random.pick(THINGS));
    let time = random.pick(TIMES);
    format!(
        "The {owner} of {place} {deed} the {quality} {thing} beside the {other_quality} {other} {time}; entry {number}."
    )
}

fn question(random: &mut Random) -> String {
    let (owner, place, thing) = (random.pick(OWNERS), random.pick(PLACES), random.pick(THINGS));
    let (quality, deed, time) = (random.pick(QUALITIES), random.pick(DEEDS), random.pick(TIMES));
    match random.next() % 3 {
        0 => format!("What does the {owner} of {place} do with the {quality} {thing}?"),
        1 => format!("Who {deed} the {quality} {thing} {time}?"),
        _ => format!("When is the {quality} {thing} of the {owner} in {place} used?"),
    }
}

fn unit_vector(random: &mut Random, dimension: u64) -> Value {
    let numbers: Vec<f64> = (0..dimension).map(|_| random.normal()).collect();
    let length = numbers.iter().map(|number| number * number).sum::<f64>().sqrt();
    // Six decimals keep requests small.
    numbers.iter().map(|number| Value::from((number / length * 1e6).round() / 1e6)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_reproducible_and_differ_by_name_and_number() {
        for kind in ["text", "question", "vector"] {
            let value = |name, number| Generator::new(name).value(kind, number, 8);
            assert_eq!(value("a", 1), value("a", 1));
            assert!(value("a", 1) != value("a", 2) && value("a", 1) != value("b", 1), "{kind}");
        }
    }

    #[test]
    fn vectors_have_length_one() {
        let vector = Generator::new("v").value("vector", 7, 384);
        let numbers: Vec<f64> = vector.as_array().unwrap().iter().filter_map(Value::as_f64).collect();
        let length: f64 = numbers.iter().map(|number| number * number).sum();
        assert!(numbers.len() == 384 && (length - 1.0).abs() < 1e-3, "{length}");
    }
}
