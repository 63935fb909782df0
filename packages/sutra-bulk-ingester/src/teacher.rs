//! Teaching a batch: tries again while hybrid is away, and finds the lines that are to blame where it refuses.

use crate::backoff::Backoff;
use crate::batch::Line;
use crate::hybrid::{Answer, Learner};
use crate::job::{BadLines, Hold};

/// Tries of the same texts before a failure of hybrid (500 and the like) counts as theirs.
const FAULT_TRIES: u32 = 4;

/// Teaches one job's batches.
pub(crate) struct Teacher<L> {
    learner: L,
    backoff: Backoff,
    /// A text that was learned before, as JSON. Before any text is blamed, hybrid must learn this one again (which
    /// changes nothing): if it does not, hybrid is at fault and not the text.
    control: Option<String>,
    /// Tries in a row that failed.
    failures: u32,
}

/// What came of a batch.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Taught {
    /// Texts that were learned.
    pub count: u64,
    /// Lines that hybrid refused.
    pub bad: BadLines,
}

/// What hybrid thinks of some texts.
enum Verdict {
    Learned,
    Refused(String),
    /// It failed at them as often as it was asked.
    Fault(String),
}

impl<L: Learner> Teacher<L> {
    /// A teacher of a new job.
    pub(crate) fn new(learner: L, backoff: Backoff) -> Self {
        Self { learner, backoff, control: None, failures: 0 }
    }

    /// Teaches all lines that can be taught, however long it takes; dropping the future gives up. `hold` hears what
    /// keeps it from going on, and none when it goes on.
    pub(crate) async fn teach(&mut self, lines: &[Line], hold: &impl Fn(Option<Hold>)) -> Taught {
        loop {
            match self.attempt(lines, hold).await {
                Ok(taught) => return taught,
                Err(reason) => self.pause(reason, None, hold).await,
            }
        }
    }

    /// An error says why hybrid, and no text, is at fault.
    async fn attempt(&mut self, lines: &[Line], hold: &impl Fn(Option<Hold>)) -> Result<Taught, String> {
        let mut taught = Taught::default();
        if lines.is_empty() {
            return Ok(taught);
        }
        let first = self.ask(texts(lines), FAULT_TRIES, hold).await;
        if !matches!(first, Verdict::Learned) {
            self.check_hybrid(hold).await?;
        }
        let mut suspects = Vec::new();
        let mut parts = vec![(lines, Some(first))];
        while let Some((part, verdict)) = parts.pop() {
            let verdict = match verdict {
                Some(verdict) => verdict,
                None => {
                    let tries = if part.len() == 1 { FAULT_TRIES } else { 1 };
                    self.ask(texts(part), tries, hold).await
                }
            };
            // Right after each line, since hybrid may break at any moment of the search.
            if part.len() == 1 && !matches!(verdict, Verdict::Learned) {
                self.check_hybrid(hold).await?;
            }
            match (verdict, part) {
                (Verdict::Learned, [.., last]) => {
                    taught.count += part.len() as u64;
                    self.control = Some(last.json.clone());
                }
                (Verdict::Refused(reason), [line]) => taught.bad.add(line.number, reason),
                (Verdict::Fault(reason), [line]) => suspects.push((line.number, reason)),
                _ => {
                    let (left, right) = part.split_at(part.len() / 2);
                    parts.extend([(right, None), (left, None)]);
                }
            }
        }
        self.convict(suspects, taught)
    }

    /// An error says why hybrid is at fault: it does not learn again what it has learned before.
    async fn check_hybrid(&mut self, hold: &impl Fn(Option<Hold>)) -> Result<(), String> {
        let Some(control) = self.control.clone() else {
            return Ok(());
        };
        match self.ask(control, FAULT_TRIES, hold).await {
            Verdict::Learned => Ok(()),
            Verdict::Refused(reason) | Verdict::Fault(reason) => {
                Err(format!("{reason}, also for a text that it learned before"))
            }
        }
    }

    /// Lines at which hybrid failed are to blame only if it is known to learn others.
    fn convict(&self, suspects: Vec<(u64, String)>, mut taught: Taught) -> Result<Taught, String> {
        for (line, reason) in suspects {
            if self.control.is_none() {
                return Err(format!(
                    "{reason} (at line {line} at least), and it has learned no text of this job"
                ));
            }
            taught.bad.add(line, format!("{reason}, {FAULT_TRIES} times"));
        }
        Ok(taught)
    }

    /// Asks until there is a verdict: as long as it takes where hybrid is away, `tries` times where it fails.
    async fn ask(&mut self, texts: String, tries: u32, hold: &impl Fn(Option<Hold>)) -> Verdict {
        let body = format!("{{\"texts\":[{texts}]}}");
        let mut faults = 0;
        loop {
            let answer = self.learner.learn(body.clone()).await;
            if matches!(answer, Answer::Learned | Answer::Refused(_)) {
                self.failures = 0;
                hold(None);
            }
            match answer {
                Answer::Learned => return Verdict::Learned,
                Answer::Refused(reason) => return Verdict::Refused(reason),
                Answer::Fault(reason) => {
                    faults += 1;
                    if faults >= tries {
                        return Verdict::Fault(reason);
                    }
                    self.pause(reason, None, hold).await;
                }
                Answer::Later(reason, asked) => self.pause(reason, asked, hold).await,
            }
        }
    }

    async fn pause(
        &mut self,
        reason: String,
        asked: Option<std::time::Duration>,
        hold: &impl Fn(Option<Hold>),
    ) {
        self.failures = self.failures.saturating_add(1);
        hold(Some(Hold { reason, tries: self.failures }));
        tokio::time::sleep(self.backoff.pause(self.failures, asked)).await;
    }
}

fn texts(lines: &[Line]) -> String {
    let texts: Vec<_> = lines.iter().map(|line| line.json.as_str()).collect();
    texts.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::collections::BTreeSet;
    use std::time::Duration;

    /// Learns as a function of the texts and the number of the call says.
    struct Fake<F> {
        answer: F,
        calls: RefCell<usize>,
        learned: RefCell<BTreeSet<String>>,
    }

    impl<F: Fn(usize, &[String]) -> Answer> Learner for &Fake<F> {
        async fn learn(&self, body: String) -> Answer {
            let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
            let texts: Vec<String> = serde_json::from_value(body["texts"].clone()).expect("texts");
            let number = self.calls.replace_with(|calls| *calls + 1);
            assert!(number < 1000, "it asks without end");
            let answer = (self.answer)(number, &texts);
            if answer == Answer::Learned {
                self.learned.borrow_mut().extend(texts);
            }
            answer
        }
    }

    fn fake<F: Fn(usize, &[String]) -> Answer>(answer: F) -> Fake<F> {
        Fake { answer, calls: RefCell::default(), learned: RefCell::default() }
    }

    fn lines(range: std::ops::Range<u64>) -> Vec<Line> {
        range.map(|number| Line { number, json: format!("\"{number}\"") }).collect()
    }

    fn backoff() -> Backoff {
        Backoff { first: Duration::from_nanos(1), longest: Duration::from_nanos(1) }
    }

    fn bad(taught: &Taught) -> Vec<u64> {
        let mut lines: Vec<u64> = taught.bad.listed.iter().map(|bad| bad.line).collect();
        lines.sort_unstable();
        lines
    }

    fn refused() -> Answer {
        Answer::Refused("no".into())
    }

    fn fault() -> Answer {
        Answer::Fault("oops".into())
    }

    #[tokio::test]
    async fn only_lines_that_are_to_blame_are_reported() {
        for poison in [&["7"][..], &["0", "31"], &["3", "4", "5"], &["16"]] {
            for verdict in [refused(), fault()] {
                let is_poisoned = |texts: &[String]| texts.iter().any(|text| poison.contains(&text.as_str()));
                let hybrid =
                    fake(|_, texts| if is_poisoned(texts) { verdict.clone() } else { Answer::Learned });
                let taught = Teacher::new(&hybrid, backoff()).teach(&lines(0..32), &|_| {}).await;
                let expected: Vec<u64> = poison.iter().map(|text| text.parse().expect("a number")).collect();
                assert_eq!((bad(&taught), taught.count), (expected, 32 - poison.len() as u64));
                assert_eq!(hybrid.learned.borrow().len(), 32 - poison.len());
            }
        }
    }

    #[tokio::test]
    async fn an_outage_loses_nothing_and_is_told() {
        let hybrid = fake(|call, _| match call {
            0..5 => Answer::Later("away".into(), None),
            5..8 => fault(),
            _ => Answer::Learned,
        });
        let holds = RefCell::new(Vec::new());
        let taught = Teacher::new(&hybrid, backoff())
            .teach(&lines(0..3), &|hold| holds.borrow_mut().push(hold.map(|hold| hold.tries)))
            .await;
        assert_eq!(taught, Taught { count: 3, bad: BadLines::default() });
        let expected: Vec<_> = (1..=8).map(Some).chain([None]).collect();
        assert_eq!(holds.into_inner(), expected);
    }

    #[tokio::test]
    async fn a_hybrid_that_fails_at_everything_is_not_believed() {
        for verdict in [refused(), fault()] {
            // It works, then fails at all texts for a while, then works again.
            let hybrid =
                fake(|call, _| if (1..90).contains(&call) { verdict.clone() } else { Answer::Learned });
            let mut teacher = Teacher::new(&hybrid, backoff());
            teacher.teach(&lines(0..1), &|_| {}).await;
            let taught = teacher.teach(&lines(1..9), &|_| {}).await;
            assert_eq!((taught.count, taught.bad.count), (8, 0), "{verdict:?}");
        }
        let hybrid = fake(|call, _| if call < 90 { fault() } else { Answer::Learned });
        let taught = Teacher::new(&hybrid, backoff()).teach(&lines(0..8), &|_| {}).await;
        assert_eq!((taught.count, taught.bad.count), (8, 0));
    }

    #[tokio::test]
    async fn a_hybrid_that_breaks_during_the_search_is_not_believed() {
        for verdict in [refused(), fault()] {
            for broken in 1..60 {
                // It has learned a text, then fails but for one call, in which it learns that text again; then it works.
                let hybrid = fake(|call, _| {
                    let fails = (1..90).contains(&call) && call != broken;
                    if fails { verdict.clone() } else { Answer::Learned }
                });
                let mut teacher = Teacher::new(&hybrid, backoff());
                teacher.teach(&lines(0..1), &|_| {}).await;
                let taught = teacher.teach(&lines(1..9), &|_| {}).await;
                assert_eq!((taught.count, taught.bad.count), (8, 0), "{verdict:?}, learned in call {broken}");
            }
        }
    }

    #[tokio::test]
    async fn a_lone_line_is_blamed_once_hybrid_has_learned_another() {
        let hybrid = fake(|_, texts| if texts.contains(&"5".to_owned()) { fault() } else { Answer::Learned });
        let mut teacher = Teacher::new(&hybrid, backoff());
        teacher.teach(&lines(0..1), &|_| {}).await;
        assert_eq!(bad(&teacher.teach(&lines(5..6), &|_| {}).await), [5]);
    }

    #[tokio::test]
    async fn batches_larger_than_hybrid_takes_are_divided() {
        let hybrid = fake(|_, texts| if texts.len() > 3 { refused() } else { Answer::Learned });
        let taught = Teacher::new(&hybrid, backoff()).teach(&lines(0..32), &|_| {}).await;
        assert_eq!((taught.count, taught.bad.count), (32, 0));
        let nothing = Teacher::new(&hybrid, backoff()).teach(&[], &|_| {}).await;
        assert_eq!(nothing, Taught::default());
    }
}
