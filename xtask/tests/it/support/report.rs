//! A report page with every section filled.

use build::comparison::{self, Comparison, Measured, Original, Total, Verdict};
use check::report::{Finding, FindingKind, Place, Subject};
use contents::opportunity::Opportunity;
use contents::owner::OwnerKind;
use contents::record::Surface;
use contents::use_shares::UsedBytes;
use engine::provenance::Commit;
use measure::record::{LeftOut, Machine, MadeFrom, MeasureRecord};
use model::baseline::{Drift, Weights};
use model::benefit::{Benefit, Figure};
use model::bound::WHOLE;
use model::bytes::Bytes;
use model::edition::Edition;
use model::opportunity_kind::OpportunityKind;
use model::quantity::Quantity;
use model::variant::Variant;
use release::report::record::{
    BenefitOutcome, BenefitReport, EditionReport, ImageContents, ImageReport, LockChange, LockRowChange,
    OwnerBytes, ReportPage, ReportSection, SCHEMA,
};
use stack::probes::report::{ParityReport, ProbeOutcome, ProbeReport, ProbeVerdict, StackReport};

/// Services with the sizes of their original and optimized images.
const SERVICES: [(&str, u64, u64); 8] = [
    ("embedding", 6_260_000_000, 141_000_000),
    ("nlg", 5_970_000_000, 49_300_000),
    ("hybrid", 165_000_000, 37_500_000),
    ("control", 165_000_000, 37_800_000),
    ("api", 165_000_000, 37_400_000),
    ("ingester", 81_800_000, 2_570_000),
    ("storage", 89_700_000, 6_870_000),
    ("client", 101_000_000, 14_300_000),
];

pub fn report() -> ReportPage {
    ReportPage {
        schema: SCHEMA,
        project: "fixture".into(),
        tag: "latest".into(),
        at: "2026-01-02T03:04:05Z".into(),
        commit: Some(Commit { id: "0123456789abcdef".into(), changes: None }),
        editions: ["simple", "community", "enterprise"]
            .map(|name| edition_report(Edition::named(name)))
            .into(),
        benefits: benefits(),
        measured: ReportSection::Fresh { record: measured() },
        history: Some(vec![LockChange {
            commit: "fedcba9876543210".into(),
            day: "2026-01-02".into(),
            subject: "A <b>bold</b> change & more".into(),
            rows: vec![LockRowChange {
                service: "api".into(),
                edition: "simple".into(),
                before: Some(Weights { own: Bytes(40_000), base: Bytes(36_000_000) }),
                after: Some(Weights { own: Bytes(40_000), base: Bytes(37_360_000) }),
            }],
        }]),
    }
}

fn edition_report(edition: Edition) -> EditionReport {
    EditionReport {
        edition,
        sizes: ReportSection::Fresh { record: sizes(edition) },
        check: match edition.name() {
            "community" => ReportSection::Stale {
                record: guarded(edition),
                why: "recorded at commit 01234567, now at 89abcdef".into(),
                remedy: "cargo xtask check --edition community --tag latest".into(),
            },
            _ => ReportSection::Fresh { record: guarded(edition) },
        },
        test: ReportSection::Fresh {
            record: StackReport {
                edition,
                variant: Variant::Optimized,
                report: probed(edition == Edition::named("community")),
            },
        },
        parity: match edition.name() {
            "simple" => {
                ReportSection::Fresh { record: ParityReport { recorded: true, report: probed(false) } }
            }
            _ => ReportSection::Absent {
                why: "nobody looked yet".into(),
                remedy: format!("cargo xtask test --parity=recorded --edition {edition} --tag latest"),
            },
        },
        images: SERVICES.map(|(service, _, bytes)| image(service, bytes)).into(),
    }
}

fn sizes(edition: Edition) -> Comparison {
    let measured = |bytes| Measured { image: "i".into(), id: "sha256:1".into(), bytes: Bytes(bytes) };
    let original = |bytes| match edition.name() {
        "simple" => Original::Built { measured: measured(bytes), stand_in: true },
        "community" => Original::Guide { bytes: Bytes(bytes) },
        _ => Original::Missing,
    };
    let row = |(service, before, after): (&str, u64, u64)| {
        let (target, goal) = (Some(Bytes(after * 2)), Some(Bytes(after * 10 / 11)));
        let has = edition != Edition::named("enterprise");
        comparison::ComparisonRow {
            service: service.into(),
            original: original(before),
            optimized: Some(measured(after)),
            accepted: None,
            target,
            goal,
            saved: has.then(|| Bytes(before) - Bytes(after)),
            saved_percent: Bytes(after).saved_of(Bytes(before)).filter(|_| has),
            verdict: Verdict::of(Some(Bytes(after)), target, goal),
        }
    };
    let services: Vec<comparison::ComparisonRow> = SERVICES.map(row).into();
    Comparison {
        schema: 1,
        platform: None,
        edition,
        tag: "latest".into(),
        total: Total::of(&services),
        services,
        unique_bytes: Some(Bytes(175_000_000)),
        fleet: None,
    }
}

fn guarded(edition: Edition) -> check::report::CheckReport {
    let finding = |kind, what: &str| Finding {
        kind,
        images: vec![Subject::new("api", edition)],
        what: what.into(),
        remedy: "do something about it".into(),
        path: None,
        place: Some(Place { file: "packages/api/Dockerfile".into(), line: 3 }),
    };
    let row = |(service, _, bytes): (&str, u64, u64)| {
        let grown = service == "api";
        check::report::CheckRow {
            service: service.into(),
            edition,
            image: format!("{service}:latest"),
            measured: Some(check::report::MeasuredImage {
                id: "sha256:1".into(),
                platform: "linux/amd64".into(),
                weights: Weights { own: Bytes(bytes), base: Bytes(0) },
            }),
            baseline: Some(Weights {
                own: Bytes(if grown { bytes - 2_000_000 } else { bytes }),
                base: Bytes(0),
            }),
            target: None,
            goal: None,
            verdict: Verdict::Unjudged,
            own: Some(if grown { Drift::Grown } else { Drift::Within }),
            base: Some(Drift::Within),
        }
    };
    check::report::CheckReport {
        schema: 1,
        tag: "latest".into(),
        editions: vec![edition],
        images: SERVICES.map(row).into(),
        breaches: match edition.name() {
            "simple" => {
                vec![finding(FindingKind::Baseline, "own layers are 2MB above their baseline")]
            }
            _ => Vec::new(),
        },
        notes: vec![finding(FindingKind::Target, "it is above our goal")],
        fleet: Vec::new(),
    }
}

fn probed(failing: bool) -> ProbeReport {
    let outcome = |probe: &str, verdict| ProbeOutcome {
        group: "api".into(),
        probe: probe.into(),
        verdict,
        milliseconds: 3,
        tries: 1,
    };
    let failed = ProbeVerdict::Failed {
        wrong: vec!["/status was \"ok\", is \"<none>\"".into()],
        request: "GET /health of api".into(),
        answer: String::new(),
    };
    ProbeReport {
        schema: stack::probes::report::SCHEMA,
        project: "fixture".into(),
        images: Default::default(),
        outcomes: vec![
            outcome("health", ProbeVerdict::Passed),
            outcome("ask", if failing { failed } else { ProbeVerdict::Passed }),
        ],
        unprobed: Vec::new(),
        routes: Vec::new(),
    }
}

fn image(service: &str, bytes: u64) -> ImageReport {
    // One image was not traced.
    let is_traced = service != "storage";
    let owner = |kind, label: &str, tenths: u64| OwnerBytes {
        kind,
        label: label.into(),
        bytes: Bytes(bytes / 1000 * tenths),
        // Small owners are never opened.
        opened: is_traced.then_some(Bytes(if tenths > 5 { bytes / 2000 * tenths } else { 0 })),
    };
    let mut owners = vec![
        owner(OwnerKind::Python, "numpy 2.3", 300),
        owner(OwnerKind::Dpkg, "libpython3.13-stdlib 3.13.5", 250),
        owner(OwnerKind::Model, "all-MiniLM-L6-v2", 150),
        owner(OwnerKind::Rust, "server", 100),
        owner(OwnerKind::Static, "assets", 60),
        owner(OwnerKind::Npm, "react 19", 40),
        owner(OwnerKind::Program, "nginx", 30),
        owner(OwnerKind::Runtime, "python", 20),
        owner(OwnerKind::Own, service, 15),
        owner(OwnerKind::Unowned, "unowned", 5),
    ];
    owners.extend((0..20).map(|index| owner(OwnerKind::Dpkg, &format!("lib{index}"), 1)));
    let known: u64 = owners.iter().map(|owner| owner.bytes.0).sum();
    let opened: Bytes = owners.iter().filter_map(|owner| owner.opened).sum();
    let used = UsedBytes { never: Bytes(known) - opened, start_only: opened, ..UsedBytes::default() };
    let opportunity =
        Opportunity { bytes: Bytes(bytes / 100), files: 3, ..Opportunity::empty(OpportunityKind::ByteCode) };
    let inside = ImageContents {
        bytes: Bytes(bytes),
        owners,
        waste: Bytes(bytes - known),
        used: is_traced.then_some(used),
        opportunities: vec![opportunity],
        surface: Surface { packages: 30, executables: 12, setuid: 0 },
    };
    ImageReport { service: service.into(), inside: (service != "client").then_some(inside) }
}

fn benefits() -> Vec<BenefitReport> {
    let row = |name: &str, figure, guide, goal, outcome: Option<(f64, f64, f64, bool)>| BenefitReport {
        benefit: Benefit { name: name.into(), figure, guide, goal },
        outcome: outcome.map(|(less, worst, best, overlap)| BenefitOutcome {
            less,
            between: (worst, best),
            overlap,
            runs: Some(3),
        }),
    };
    vec![
        row("Images, unpacked", Figure::Size, Some((58.0, 58.0)), None, Some((97.5, 97.5, 97.5, false))),
        row(
            "Image pull time",
            Figure::Measured(Quantity::Pull),
            Some((60.0, 60.0)),
            Some(85.0),
            Some((91.0, 88.5, 93.0, false)),
        ),
        row(
            "Start of the stack",
            Figure::Measured(Quantity::Start),
            Some((20.0, 30.0)),
            Some(60.0),
            Some((2.0, -9.0, 9.0, true)),
        ),
        row("Memory, idle", Figure::Measured(Quantity::MemoryIdle), Some((15.0, 25.0)), Some(70.0), None),
    ]
}

fn measured() -> MeasureRecord {
    let of = MadeFrom {
        edition: Edition::named("simple"),
        tag: "latest".into(),
        original: Default::default(),
        optimized: Default::default(),
        stand_in: true,
        runs: 3,
        settle: 5,
        machine: Machine { cores: 2, engine: "26.1".into(), store: "classic".into(), kernel: "6.1".into() },
        commit: Some("0123456789abcdef".into()),
        at: "2026-01-02T03:04:05Z".into(),
        load: (20, 140),
    };
    let mut record = MeasureRecord { complete: true, ..MeasureRecord::default() };
    for (subject, factor) in [(WHOLE, 8), ("embedding", 3), ("api", 1)] {
        for (quantity, original, optimized) in [
            (Quantity::PullBytes, 900_000_000, 30_000_000),
            (Quantity::Start, 900_000, 210_000),
            (Quantity::Request, 1_500, 1_480),
        ] {
            for sample in 0..3_u64 {
                let near = |value: u64| value * factor + value * factor * sample / 20;
                record.add(subject, quantity, Variant::Original, near(original), &of, false);
                record.add(subject, quantity, Variant::Optimized, near(optimized), &of, false);
            }
        }
    }
    record.left_out =
        vec![LeftOut { subject: "client".into(), what: "original".into(), reason: "not built".into() }];
    record
}
