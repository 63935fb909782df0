//! The workflows under `.github/workflows`, read; and what no linter knows that they must keep to.

use std::fs;
use std::path::{Path, PathBuf};

use stack::switch::document::{Document, NodeId};

/// Where they are.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../.github/workflows")
}

/// Names and texts, sorted.
pub fn texts() -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read_to_string(path).unwrap())
        })
        .collect();
    found.sort();
    assert!(found.len() >= 4, "the workflows were not found");
    found
}

/// A workflow.
pub struct Workflow {
    text: String,
    document: Document,
    root: NodeId,
}

/// One step of a job.
pub struct Step {
    pub uses: Option<String>,
    pub run: Option<String>,
    pub shell: Option<String>,
    with: Vec<(String, String)>,
}

impl Workflow {
    pub fn parse(text: &str) -> Workflow {
        let document = Document::parse(text).unwrap();
        let root = document.roots()[0];
        Workflow { text: text.to_owned(), document, root }
    }

    fn get(&self, node: NodeId, key: &str) -> Option<NodeId> {
        self.document.get(node, key)
    }

    fn text(&self, node: NodeId, key: &str) -> Option<String> {
        self.get(node, key).and_then(|node| self.document.scalar(node)).map(str::to_owned)
    }

    /// A mapping's keys, a sequence's items, or the one word that stands in their place.
    fn words(&self, node: NodeId) -> Vec<String> {
        let keys = self.document.entries(node).iter().map(|(key, _)| *key);
        let nodes = keys.chain(self.document.items(node).iter().copied()).chain([node]);
        nodes.filter_map(|node| self.document.scalar(node)).map(str::to_owned).collect()
    }

    pub fn triggers(&self) -> Vec<String> {
        self.get(self.root, "on").map(|node| self.words(node)).unwrap_or_default()
    }

    pub fn jobs(&self) -> Vec<(String, NodeId)> {
        let jobs = self.get(self.root, "jobs").unwrap();
        let entries = self.document.entries(jobs).iter();
        entries.map(|(name, job)| (self.document.scalar(*name).unwrap().to_owned(), *job)).collect()
    }

    pub fn steps(&self) -> Vec<Step> {
        let mut found = Vec::new();
        for (_, job) in self.jobs() {
            let steps = self.get(job, "steps").map(|steps| self.document.items(steps)).unwrap_or_default();
            for &step in steps {
                let with = self.get(step, "with").map(|with| self.document.entries(with)).unwrap_or_default();
                let text = |node: NodeId| self.document.scalar(node).unwrap_or_default().to_owned();
                found.push(Step {
                    uses: self.text(step, "uses"),
                    run: self.text(step, "run"),
                    shell: self.text(step, "shell"),
                    with: with.iter().map(|(key, value)| (text(*key), text(*value))).collect(),
                });
            }
        }
        found
    }

    /// The faults of a composite action's steps, one sentence each. `text` is an action.yml.
    pub fn faults_of_action(text: &str) -> Vec<String> {
        // Its steps, as those of a job.
        let runs = text.split_once("\nruns:\n").map_or("", |(_, runs)| runs);
        Workflow::parse(&format!("jobs:\n action:\n{runs}")).steps().iter().flat_map(step_faults).collect()
    }

    /// What the workflow and its jobs are allowed, `SCOPE: LEVEL` each.
    fn permissions(&self) -> Vec<(String, String)> {
        let nodes = self.jobs().into_iter().map(|(_, job)| job).chain([self.root]);
        let mut found = Vec::new();
        for permissions in nodes.filter_map(|node| self.get(node, "permissions")) {
            let entries = self.document.entries(permissions).iter();
            found.extend(entries.map(|(scope, level)| {
                let text = |node: NodeId| self.document.scalar(node).unwrap_or_default().to_owned();
                (text(*scope), text(*level))
            }));
            // `read-all`, `write-all`
            found.extend(self.document.scalar(permissions).map(|word| ("all".to_owned(), word.to_owned())));
        }
        found
    }

    /// What is wrong with it, a sentence each.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = self.frame();
        faults.extend(self.trust());
        faults.extend(self.steps().iter().flat_map(step_faults));
        faults
    }

    /// Bounds in time, in number and in rights.
    fn frame(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for key in ["permissions", "concurrency"] {
            if self.get(self.root, key).is_none() {
                faults.push(format!("it has no {key}"));
            }
        }
        for (name, job) in self.jobs() {
            if self.get(job, "timeout-minutes").is_none() {
                faults.push(format!("job {name} has no timeout-minutes"));
            }
        }
        if self.permissions().iter().any(|(scope, _)| scope == "all") {
            faults.push("it is allowed everything".to_owned());
        }
        faults
    }

    /// Who runs what strangers wrote may write nothing, and who may write runs nothing that strangers wrote.
    fn trust(&self) -> Vec<String> {
        let triggers = self.triggers();
        let is_on = |name: &str| triggers.iter().any(|trigger| trigger == name);
        let mut faults = Vec::new();
        if is_on("pull_request_target") {
            faults.push("it runs on pull_request_target".to_owned());
        }
        if is_on("pull_request") {
            let writing = self.permissions().into_iter().filter(|(_, level)| level != "read");
            faults.extend(writing.map(|(scope, level)| format!("a pull request has {scope}: {level}")));
            if self.text.contains("secrets.") || self.text.contains("--write-cache") {
                faults.push("a pull request has secrets, or writes the cache".to_owned());
            }
        }
        if is_on("workflow_run") {
            for step in self.steps() {
                let run = step.run.unwrap_or_default();
                let brings = [
                    "git ",
                    "cargo",
                    ".github/",
                    "gh pr checkout",
                    "gh repo clone",
                    "head_ref",
                    "extractall",
                ];
                if step.uses.is_some() || brings.iter().any(|word| run.contains(word)) {
                    faults.push("it runs after a pull request, and brings code".to_owned());
                }
            }
        }
        faults
    }
}

fn step_faults(step: &Step) -> Vec<String> {
    let mut faults = Vec::new();
    let scripts =
        step.run.iter().chain(step.with.iter().filter(|(key, _)| key == "script").map(|(_, text)| text));
    for script in scripts {
        if script.contains("${{") {
            faults.push(format!("an expression stands in a script: {script}"));
        }
        // Without a shell that is named, bash does not look at what is before a pipe.
        if script.contains(" | ") && step.shell.is_none() && script.contains("cargo") {
            faults.push(format!("a failure before a pipe is not seen: {script}"));
        }
    }
    let Some(uses) = &step.uses else { return faults };
    let (name, version) = uses.split_once('@').unwrap_or((uses, ""));
    let is_commit = version.len() == 40 && version.chars().all(|c| c.is_ascii_hexdigit());
    if !is_commit || !(name.starts_with("actions/") || name.starts_with("docker/")) {
        faults.push(format!("{uses} is no commit of an official action"));
    }
    let keeps = |(key, value): &(String, String)| key == "persist-credentials" && value == "false";
    if name == "actions/checkout" && !step.with.iter().any(keeps) {
        faults.push("a checkout leaves its token behind".to_owned());
    }
    faults
}
