//! Applies a project's `[check]` rules to the findings.

use std::collections::BTreeSet;

use crate::report::{Finding, Subject};
use model::check_rules::{Allowance, CheckRules};

/// Findings after the rules are applied.
#[derive(Debug, Default)]
pub struct Judged {
    /// Findings that fail the check.
    pub breaches: Vec<Finding>,
    /// Allowed findings, warnings, and unused allowances.
    pub notes: Vec<Finding>,
}

/// What was inspected. Allowances for anything else are not reported as unused.
#[derive(Debug, Default)]
pub struct Scope<'s> {
    /// The services whose images were inspected.
    pub services: BTreeSet<&'s str>,
    /// Whether tracked files were searched.
    pub files: bool,
}

/// Applies the rules to findings.
pub fn judge(rules: &CheckRules, findings: Vec<Finding>, inspected: &Scope<'_>) -> Judged {
    let mut judged = Judged::default();
    let mut used = BTreeSet::new();
    for finding in findings {
        let covers_file = |rule: &Allowance| {
            let path = finding.path.as_deref().filter(|_| finding.images.is_empty());
            path.is_some_and(|path| rule.covers_file(finding.kind, path))
        };
        if let Some(index) = rules.allowances.iter().position(covers_file) {
            used.insert(index);
            judged.notes.push(allowed(&finding, &rules.allowances[index]));
            continue;
        }
        let (mut allowed_images, mut other): (Vec<(usize, Subject)>, Vec<Subject>) = (Vec::new(), Vec::new());
        for image in &finding.images {
            let path = finding.path.as_deref();
            let covers =
                |rule: &Allowance| path.is_some_and(|path| rule.covers(finding.kind, path, &image.service));
            match rules.allowances.iter().position(covers) {
                Some(index) => allowed_images.push((index, image.clone())),
                None => other.push(image.clone()),
            }
        }
        for (index, image) in allowed_images {
            used.insert(index);
            let note = allowed(&finding, &rules.allowances[index]);
            judged.notes.push(Finding { images: vec![image], ..note });
        }
        if !other.is_empty() || finding.images.is_empty() {
            let finding = Finding { images: other, ..finding };
            let is_warning = rules.warnings.contains(&finding.kind);
            if is_warning { judged.notes.push(finding) } else { judged.breaches.push(finding) }
        }
    }
    for (index, allowance) in rules.allowances.iter().enumerate() {
        let is_inspected = match allowance.services.as_slice() {
            [] => inspected.files || !allowance.is_in_repository(),
            services => services.iter().all(|service| inspected.services.contains(service.as_str())),
        };
        if is_inspected && !used.contains(&index) {
            judged.notes.push(stale(allowance));
        }
    }
    judged
}

fn allowed(finding: &Finding, allowance: &Allowance) -> Finding {
    let what = format!("{} (allowed: {})", finding.what, allowance.reason);
    Finding { what, ..finding.clone() }
}

fn stale(allowance: &Allowance) -> Finding {
    let what = format!("the allowance for {} at {} covers nothing", allowance.kind.name(), allowance.path);
    let remedy = "remove it from [[check.allow]], or correct its path";
    Finding { path: Some(allowance.path.clone()), ..Finding::new(allowance.kind, Vec::new(), what, remedy) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::check_rules::FindingKind;

    fn finding(kind: FindingKind, path: Option<&str>, services: &[&str]) -> Finding {
        let images = services.iter().map(|service| Subject::new(*service, "simple")).collect();
        Finding { path: path.map(str::to_owned), ..Finding::new(kind, images, "w", "r") }
    }

    fn rules(warnings: &[FindingKind], allowances: &[(FindingKind, &str, &[&str])]) -> CheckRules {
        let allowance = |(kind, path, services): &(FindingKind, &str, &[&str])| Allowance {
            kind: *kind,
            path: (*path).to_owned(),
            services: services.iter().map(ToString::to_string).collect(),
            reason: "tests".into(),
        };
        CheckRules { warnings: warnings.to_vec(), allowances: allowances.iter().map(allowance).collect() }
    }

    fn of<'s>(services: &[&'s str]) -> Scope<'s> {
        Scope { services: services.iter().copied().collect(), files: true }
    }

    fn whats(findings: &[Finding]) -> Vec<String> {
        findings.iter().map(|finding| format!("{}: {}", finding.about(), finding.what)).collect()
    }

    #[test]
    fn an_allowed_finding_is_a_note_with_its_reason_for_the_named_services_only() {
        let rules = rules(&[], &[(FindingKind::Secret, "/k", &["api"])]);
        let findings = vec![finding(FindingKind::Secret, Some("/k"), &["api", "nlg"])];
        let judged = judge(&rules, findings, &of(&["api", "nlg"]));
        assert_eq!(whats(&judged.breaches), ["nlg (simple): w"]);
        assert_eq!(whats(&judged.notes), ["api (simple): w (allowed: tests)"]);
    }

    #[test]
    fn a_stale_allowance_is_reported_if_its_services_were_inspected() {
        let rules =
            rules(&[], &[(FindingKind::Secret, "/k", &["api"]), (FindingKind::Pruned, "/x", &["nlg"])]);
        let judged = judge(&rules, Vec::new(), &of(&["api"]));
        assert_eq!(whats(&judged.notes), ["the repository: the allowance for secret at /k covers nothing"]);
    }

    #[test]
    fn a_relative_path_allows_files_of_the_repository_and_is_stale_only_if_they_were_searched() {
        let rules = rules(&[], &[(FindingKind::Secret, "tests/", &[]), (FindingKind::Secret, "gone", &[])]);
        let findings = || {
            vec![
                finding(FindingKind::Secret, Some("tests/a"), &[]),
                finding(FindingKind::Secret, Some("a"), &[]),
            ]
        };
        let judged = judge(&rules, findings(), &of(&[]));
        assert_eq!(judged.breaches.len(), 1);
        assert_eq!(judged.breaches[0].path.as_deref(), Some("a"));
        assert_eq!(
            whats(&judged.notes),
            [
                "the repository: w (allowed: tests)",
                "the repository: the allowance for secret at gone covers nothing"
            ]
        );
        assert_eq!(judge(&rules, findings(), &Scope::default()).notes.len(), 1);
    }

    #[test]
    fn warnings_fail_nothing_and_other_kinds_still_do() {
        let rules = rules(&[FindingKind::User], &[]);
        let findings = vec![
            finding(FindingKind::User, None, &["api"]),
            finding(FindingKind::Secret, Some("/k"), &["api"]),
        ];
        let judged = judge(&rules, findings, &Scope::default());
        assert_eq!((judged.breaches.len(), judged.notes.len()), (1, 1));
        assert_eq!(judged.notes[0].kind, FindingKind::User);
    }
}
