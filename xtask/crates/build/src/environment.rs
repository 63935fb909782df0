//! What every build plan depends on besides the manifest: trust settings, the source of bases, the commit.

use std::collections::BTreeMap;
use std::thread;
use std::time::SystemTime;

use anyhow::Result;

use crate::bases::{self, BaseSource, BasesMode};
use crate::bootstrap::bootstrap;
use crate::package_date::{self, PackageDate, PackageDateChoice};
use crate::publish::run_tags;
use crate::upstreams::NeededUpstreams;
use engine::context::Context;
use engine::environment::require_reachable_builder;
use engine::trust::Trust;
use model::manifest::Manifest;

/// The environment of a build.
#[derive(Debug, Clone)]
pub struct BuildEnvironment {
    /// Private CA and proxies.
    pub trust: Trust,
    /// Where upstream bases come from.
    pub bases: BaseSource,
    /// Folders of this machine by the names of [`bases::context_key`].
    pub host_contexts: BTreeMap<&'static str, String>,
    /// The commit that is built.
    pub revision: String,
    /// A name unique to this run.
    pub run: String,
    /// Since when Debian packages are wanted.
    pub packages: PackageDate,
}

impl BuildEnvironment {
    /// Chooses the source of bases, prepares stand-ins where needed, and detects the rest.
    ///
    /// # Errors
    /// When the bases cannot be obtained.
    pub fn prepare(
        manifest: &Manifest,
        upstreams: &NeededUpstreams<'_>,
        mode: BasesMode,
        packages: &PackageDateChoice,
        context: &Context,
    ) -> Result<BuildEnvironment> {
        require_reachable_builder(context)?;
        let choice = bases::choose(mode, upstreams, context)?;
        let environment = BuildEnvironment::detect(upstreams, choice.source, packages, context)?;
        if choice.source == BaseSource::StandIn {
            bases::require_stand_ins(upstreams)?;
            bootstrap(manifest, &upstreams.platforms, environment.packages.time(), context)?;
        }
        Ok(environment)
    }

    /// Detects the environment for a known source of bases. Changes nothing on the machine.
    ///
    /// # Errors
    /// When the toolchain that a stand-in copies is missing.
    pub fn detect(
        upstreams: &NeededUpstreams<'_>,
        bases: BaseSource,
        packages: &PackageDateChoice,
        context: &Context,
    ) -> Result<BuildEnvironment> {
        let (host_contexts, revision) = thread::scope(|scope| {
            let revision = scope.spawn(|| context.git().revision());
            let host_contexts = match bases {
                BaseSource::Upstream => Ok(BTreeMap::new()),
                BaseSource::StandIn => bases::host_contexts(&upstreams.images, &context.docker.runner),
            };
            (host_contexts, revision.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        Ok(BuildEnvironment {
            trust: Trust::detect(),
            bases,
            host_contexts: host_contexts?,
            revision,
            run: run_tags::of_this_process(),
            packages: package_date::choose(packages, SystemTime::now(), &context.repository)?,
        })
    }
}
