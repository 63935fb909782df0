//! Tests of the teacher, with a hybrid that responds as a test says.

use super::*;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

/// Responds with a function of the call number and the texts.
struct FakeHybrid<F> {
    respond: F,
    is_up: bool,
    calls: RefCell<usize>,
    /// The patience of each call.
    patience: RefCell<Vec<u32>>,
    learned: RefCell<BTreeSet<String>>,
}

impl<F: Fn(usize, &[String]) -> LearnResult> Learner for &FakeHybrid<F> {
    async fn learn(&self, body: Bytes, patience: u32) -> LearnResult {
        self.patience.borrow_mut().push(patience);
        let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        let texts: Vec<String> = serde_json::from_value(body["texts"].clone()).expect("texts");
        let number = self.calls.replace_with(|calls| *calls + 1);
        assert!(number < 1000, "too many calls");
        let result = (self.respond)(number, &texts);
        if result == LearnResult::Learned {
            self.learned.borrow_mut().extend(texts);
        }
        result
    }

    async fn is_up(&self) -> bool {
        self.is_up
    }
}

fn fake<F: Fn(usize, &[String]) -> LearnResult>(respond: F) -> FakeHybrid<F> {
    FakeHybrid {
        respond,
        is_up: true,
        calls: RefCell::default(),
        patience: RefCell::default(),
        learned: RefCell::default(),
    }
}

fn lines(range: std::ops::Range<u64>) -> Vec<Line> {
    range.map(|number| Line { number, json: format!("\"{number}\"") }).collect()
}

fn backoff() -> Backoff {
    Backoff { first: Duration::from_nanos(1), longest: Duration::from_nanos(1) }
}

fn bad(taught: &TeachResult) -> Vec<u64> {
    let mut lines: Vec<u64> = taught.bad.listed.iter().map(|bad| bad.line).collect();
    lines.sort_unstable();
    lines
}

fn rejected() -> LearnResult {
    LearnResult::Rejected("no".into())
}

fn slow() -> LearnResult {
    LearnResult::TimedOut("slow".into())
}

fn failed() -> LearnResult {
    LearnResult::Failed("oops".into())
}

#[tokio::test]
async fn only_rejected_lines_are_reported() {
    for poison in [&["7"][..], &["0", "31"], &["3", "4", "5"], &["16"]] {
        for error in [rejected(), failed()] {
            let is_poisoned = |texts: &[String]| texts.iter().any(|text| poison.contains(&text.as_str()));
            let hybrid =
                fake(|_, texts| if is_poisoned(texts) { error.clone() } else { LearnResult::Learned });
            let taught = Teacher::new(&hybrid, backoff()).teach(&lines(0..32), &|_| {}).await;
            let expected: Vec<u64> = poison.iter().map(|text| text.parse().expect("a number")).collect();
            assert_eq!((bad(&taught), taught.count), (expected, 32 - poison.len() as u64));
            assert_eq!(hybrid.learned.borrow().len(), 32 - poison.len());
        }
    }
}

#[tokio::test]
async fn an_outage_is_reported_and_loses_nothing() {
    let hybrid = fake(|call, _| match call {
        0..5 => LearnResult::Unavailable("down".into(), None),
        5..8 => failed(),
        _ => LearnResult::Learned,
    });
    let holds = RefCell::new(Vec::new());
    let taught = Teacher::new(&hybrid, backoff())
        .teach(&lines(0..3), &|hold| holds.borrow_mut().push(hold.map(|hold| hold.tries)))
        .await;
    assert_eq!(taught, TeachResult { count: 3, bad: BadLines::default() });
    let expected: Vec<_> = (1..=8).map(Some).chain([None]).collect();
    assert_eq!(holds.into_inner(), expected);
}

#[tokio::test]
async fn no_line_is_bad_if_hybrid_fails_for_all() {
    for error in [rejected(), failed()] {
        // Works, then fails for all texts for a while, then works again.
        let hybrid =
            fake(|call, _| if (1..90).contains(&call) { error.clone() } else { LearnResult::Learned });
        let mut teacher = Teacher::new(&hybrid, backoff());
        teacher.teach(&lines(0..1), &|_| {}).await;
        let taught = teacher.teach(&lines(1..9), &|_| {}).await;
        assert_eq!((taught.count, taught.bad.count), (8, 0), "{error:?}");
    }
    let hybrid = fake(|call, _| if call < 90 { failed() } else { LearnResult::Learned });
    let taught = Teacher::new(&hybrid, backoff()).teach(&lines(0..8), &|_| {}).await;
    assert_eq!((taught.count, taught.bad.count), (8, 0));
}

#[tokio::test]
async fn no_line_is_bad_if_hybrid_fails_during_the_search() {
    for error in [rejected(), failed()] {
        for working_call in 1..60 {
            // Learns one text, then fails except for one call, then works again.
            let hybrid = fake(|call, _| {
                let fails = (1..90).contains(&call) && call != working_call;
                if fails { error.clone() } else { LearnResult::Learned }
            });
            let mut teacher = Teacher::new(&hybrid, backoff());
            teacher.teach(&lines(0..1), &|_| {}).await;
            let taught = teacher.teach(&lines(1..9), &|_| {}).await;
            assert_eq!((taught.count, taught.bad.count), (8, 0), "{error:?}, working call {working_call}");
        }
    }
}

#[tokio::test]
async fn a_single_line_is_bad_once_hybrid_has_learned_another() {
    let hybrid =
        fake(|_, texts| if texts.contains(&"5".to_owned()) { failed() } else { LearnResult::Learned });
    let mut teacher = Teacher::new(&hybrid, backoff());
    teacher.teach(&lines(0..1), &|_| {}).await;
    assert_eq!(bad(&teacher.teach(&lines(5..6), &|_| {}).await), [5]);
}

#[tokio::test]
async fn batches_too_large_for_hybrid_are_split() {
    let hybrid = fake(|_, texts| if texts.len() > 3 { rejected() } else { LearnResult::Learned });
    let taught = Teacher::new(&hybrid, backoff()).teach(&lines(0..32), &|_| {}).await;
    assert_eq!((taught.count, taught.bad.count), (32, 0));
    let nothing = Teacher::new(&hybrid, backoff()).teach(&[], &|_| {}).await;
    assert_eq!(nothing, TeachResult::default());
}

#[tokio::test]
async fn fewer_texts_are_sent_while_hybrid_is_too_slow() {
    let sizes = RefCell::new(Vec::new());
    // Responds in time to at most five texts.
    let hybrid = fake(|_, texts| {
        sizes.borrow_mut().push(texts.len());
        if texts.len() > 5 { LearnResult::TimedOut("slow".into()) } else { LearnResult::Learned }
    });
    let mut teacher = Teacher::new(&hybrid, backoff());
    let taught = teacher.teach(&lines(0..32), &|_| {}).await;
    assert_eq!(taught, TeachResult { count: 32, bad: BadLines::default() });
    assert_eq!(hybrid.learned.borrow().len(), 32);
    assert_eq!(sizes.borrow()[..4], [32, 16, 8, 4]);
    assert!(sizes.borrow().len() < 16, "{:?}", sizes.borrow());
    // One text is sent with more and more time.
    let hybrid = fake(|call, _| if call < 4 { slow() } else { LearnResult::Learned });
    let taught = Teacher::new(&hybrid, backoff()).teach(&lines(0..2), &|_| {}).await;
    assert_eq!((taught.count, &hybrid.patience.borrow()[..]), (2, &[1, 1, 2, 4, 8, 1][..]));
}

#[tokio::test]
async fn a_line_that_takes_too_long_is_bad_and_the_job_goes_on() {
    let hybrid = fake(|_, texts| if texts.contains(&"2".to_owned()) { slow() } else { LearnResult::Learned });
    let mut teacher = Teacher::new(&hybrid, backoff());
    let taught = teacher.teach(&lines(0..4), &|_| {}).await;
    assert_eq!((bad(&taught), taught.count), (vec![2], 3));
    assert_eq!(taught.bad.listed[0].reason, "slow");
    let calls = hybrid.patience.borrow().clone();
    assert_eq!(calls.iter().filter(|&&patience| patience > 1).collect::<Vec<_>>(), [&2, &4, &8]);
    // Also if hybrid has learned nothing yet, but is up.
    let taught = Teacher::new(&hybrid, backoff()).teach(&lines(2..3), &|_| {}).await;
    assert_eq!((bad(&taught), taught.count), (vec![2], 0));
}

#[tokio::test]
async fn no_line_is_bad_if_hybrid_hangs() {
    // Answers nothing for a while, with and without a text that it learned before.
    for learned in [1, 0] {
        let hybrid =
            fake(|call, _| if (learned..90).contains(&call) { slow() } else { LearnResult::Learned });
        let hybrid = FakeHybrid { is_up: false, ..hybrid };
        let mut teacher = Teacher::new(&hybrid, backoff());
        let taught = teacher.teach(&lines(0..9), &|_| {}).await;
        assert_eq!((taught.count, taught.bad.count), (9, 0), "after {learned}");
    }
}
