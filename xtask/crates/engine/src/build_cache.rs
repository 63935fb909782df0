//! The builder's build cache: its size, and pruning it.

use anyhow::{Context as _, Result};

use crate::docker::Docker;
use model::bytes::Bytes;

impl Docker {
    /// The size of the whole build cache (`docker buildx du`), what images share with it included.
    ///
    /// # Errors
    /// When docker fails or prints no total.
    pub fn build_cache_size(&self) -> Result<Bytes> {
        total(&self.buildx(["du"]).read()?)
    }

    /// Prunes the whole build cache (`docker buildx prune`) and returns the bytes freed. Docker keeps what a running build
    /// uses and what images share with the cache.
    ///
    /// # Errors
    /// When docker fails or prints no total.
    pub fn prune_build_cache(&self) -> Result<Bytes> {
        total(&self.buildx(["prune", "--force"]).long().read()?)
    }
}

/// Both commands end with a line `Total:\t12.3GB`.
fn total(output: &str) -> Result<Bytes> {
    let total = output.lines().rev().find_map(|line| line.strip_prefix("Total:"));
    let total = total.context("docker buildx printed no total of the build cache")?;
    total.trim().parse().with_context(|| format!("the build cache's total `{}`", total.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_on_the_last_line() {
        let output = "ID\tRECLAIMABLE\tSIZE\tLAST ACCESSED\nx\ttrue\t2GB\t\t2 hours ago\nShared:\t\t1GB\nTotal:\t\t27.39GB\n";
        assert_eq!(total(output).unwrap(), Bytes(27_390_000_000));
        assert_eq!(total("Total:\t0B\n").unwrap(), Bytes(0));
        assert!(total("").is_err());
    }
}
