//! The state of a builder, as `docker buildx inspect` prints it.

use model::platform::Platform;

/// A builder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuilderState {
    /// Its name.
    pub name: String,
    /// Its driver, such as `docker-container`; empty if the builder cannot be reached.
    pub driver: String,
    /// Why the builder's state cannot be read.
    pub error: Option<String>,
    /// Its nodes.
    pub nodes: Vec<BuilderNode>,
}

/// A node: one BuildKit daemon.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuilderNode {
    /// Its name.
    pub name: String,
    /// Its location: a context, an address, or a description.
    pub endpoint: String,
    /// Its state, such as `running` or `inactive`; empty if it is unknown.
    pub status: String,
    /// Why it does not answer.
    pub error: Option<String>,
    /// BuildKit's version, if it is known.
    pub version: Option<String>,
    /// The platforms that it can run programs for, natively or emulated.
    pub platforms: Vec<Platform>,
}

impl BuilderNode {
    /// Whether it answers.
    pub fn is_running(&self) -> bool {
        self.status == "running"
    }
}

impl BuilderState {
    /// Parses the output. Unknown lines are skipped.
    pub fn parse(about: &str) -> BuilderState {
        let mut state = BuilderState::default();
        let mut in_nodes = false;
        // Lists, such as labels and garbage collection rules, are indented.
        for line in about.lines().filter(|line| !line.starts_with([' ', '\t'])) {
            let Some((key, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            match (in_nodes, key) {
                (false, "Name") => state.name = value.to_owned(),
                (false, "Driver") => state.driver = value.to_owned(),
                (false, "Error") => state.error = Some(value.to_owned()),
                (_, "Nodes") => in_nodes = true,
                (true, "Name") => {
                    state.nodes.push(BuilderNode { name: value.to_owned(), ..BuilderNode::default() })
                }
                (true, key) => {
                    if state.nodes.is_empty() {
                        state.nodes.push(BuilderNode::default());
                    }
                    if let Some(node) = state.nodes.last_mut() {
                        node.set(key, value);
                    }
                }
                _ => {}
            }
        }
        state
    }

    /// Whether it is part of an engine.
    pub fn is_in_engine(&self) -> bool {
        self.driver == "docker"
    }

    /// Whether a build starts it if none of its nodes is running.
    pub fn starts_on_demand(&self) -> bool {
        matches!(self.driver.as_str(), "docker-container" | "kubernetes")
    }

    /// The platforms of all nodes.
    pub fn platforms(&self) -> Vec<Platform> {
        self.nodes.iter().flat_map(|node| node.platforms.iter().cloned()).collect()
    }

    /// Why none of its nodes is running; `None` if one is, or if their states are unknown.
    pub fn why_down(&self) -> Option<String> {
        if let Some(error) = &self.error {
            return Some(error.clone());
        }
        let known = |node: &BuilderNode| !node.status.is_empty() || node.error.is_some();
        if self.nodes.iter().any(BuilderNode::is_running) || !self.nodes.iter().any(known) {
            return None;
        }
        let why = |node: &BuilderNode| {
            let state = node.error.as_deref().unwrap_or(&node.status);
            format!("node {} at {}: {state}", node.name, node.endpoint)
        };
        Some(self.nodes.iter().map(why).collect::<Vec<_>>().join("; "))
    }
}

impl BuilderNode {
    fn set(&mut self, key: &str, value: &str) {
        match key {
            "Endpoint" => self.endpoint = value.to_owned(),
            "Status" => self.status = value.to_owned(),
            "Error" => self.error = Some(value.to_owned()),
            // Buildx 0.13 and newer; `Buildkit` before that.
            "BuildKit version" | "BuildKit" | "Buildkit" if !value.contains("unknown") => {
                self.version = Some(value.to_owned());
            }
            // Buildx marks user-defined platforms with an asterisk.
            "Platforms" => {
                let names = value.split(',').map(|name| name.trim().trim_end_matches('*'));
                self.platforms = names.filter_map(|name| name.parse().ok()).collect();
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `docker buildx inspect` of a builder with two nodes, Buildx 0.13.
    const TWO: &str = "Name:          farm\nDriver:        docker-container\nLast Activity: 2026-11-30 16:41:21 +0000 UTC\n\n\
        Nodes:\nName:                  farm0\nEndpoint:              unix:///var/run/docker.sock\n\
        Driver Options:        env.x=\"1\"\nStatus:                running\nBuildKit daemon flags: --debug\n\
        BuildKit version:      v0.13.2\nPlatforms:             linux/amd64, linux/amd64/v2, linux/arm/v7\n\
        Labels:\n org.mobyproject.buildkit.worker.executor:         oci\nGC Policy rule#0:\n All:           true\n\
        Name:                  farm1\nEndpoint:              tcp://build.example:1234\nStatus:                inactive\n\
        Platforms:             linux/arm64*\n";

    #[test]
    fn nodes_are_read_with_their_state_and_platforms() {
        let state = BuilderState::parse(TWO);
        assert_eq!((state.name.as_str(), state.driver.as_str()), ("farm", "docker-container"));
        let nodes: Vec<_> = state
            .nodes
            .iter()
            .map(|node| (node.name.as_str(), node.status.as_str(), node.version.as_deref()))
            .collect();
        assert_eq!(nodes, [("farm0", "running", Some("v0.13.2")), ("farm1", "inactive", None)]);
        let platforms: Vec<String> = state.platforms().iter().map(Platform::to_string).collect();
        assert_eq!(platforms, ["linux/amd64", "linux/amd64/v2", "linux/arm/v7", "linux/arm64"]);
        assert_eq!(state.why_down(), None, "one node runs");
    }

    #[test]
    fn an_engines_unnamed_version_is_no_version() {
        let about = "Name: default\nDriver: docker\nNodes:\nName: default\nEndpoint: default\nStatus: running\n\
                     BuildKit version: v0.0.0+unknown\n";
        let state = BuilderState::parse(about);
        assert!(state.is_in_engine() && state.nodes[0].version.is_none());
    }

    #[test]
    fn a_builder_is_down_when_no_node_runs() {
        let node = |status: &str| format!("\nName:     b0\nEndpoint: tcp://127.0.0.1:1\n{status}\n");
        let about = |nodes: &[&str]| {
            "Name: b\nDriver: remote\n\nNodes:".to_owned()
                + &nodes.iter().map(|status| node(status)).collect::<String>()
        };
        for (nodes, why) in [
            (&["Status:   inactive"][..], Some("node b0 at tcp://127.0.0.1:1: inactive")),
            (&["Status: inactive", "Status: running"], None),
            (&["Status:   running"], None),
            (&["Error:    no route to host"], Some("node b0 at tcp://127.0.0.1:1: no route to host")),
            // Don't blame the builder for output we can't parse.
            (&["State: well"], None),
            (&[], None),
        ] {
            assert_eq!(BuilderState::parse(&about(nodes)).why_down().as_deref(), why, "{nodes:?}");
        }
        let unreachable =
            "Name:   away\nDriver: \nError:  Cannot connect to the Docker daemon at tcp://127.0.0.1:1.\n";
        let why = BuilderState::parse(unreachable).why_down();
        assert_eq!(why.as_deref(), Some("Cannot connect to the Docker daemon at tcp://127.0.0.1:1."));
    }
}
