//! Selects the images of a service by platform.

use host::failure::{Failure, FailureClass};

use crate::platform::Platform;
use crate::service::Service;

impl Service {
    /// The images that a command uses for the requested platforms, if any. `Some`: the image whose tag ends in the platform's suffix.
    /// `None`: the image with the plain tag, for the service's only platform or the engine's platform.
    pub fn images_by_platform(&self, requested: &[Platform]) -> Vec<Option<Platform>> {
        let known = self.known_platforms();
        if self.pulled.is_some() || known.len() == 1 {
            return vec![None];
        }
        let wanted = match requested {
            [] => &self.platforms,
            requested => requested,
        };
        if wanted.is_empty() { vec![None] } else { wanted.iter().cloned().map(Some).collect() }
    }

    /// The platforms of a complete index: the declared platforms, else the requested platforms.
    pub fn index_platforms(&self, requested: &[Platform]) -> Vec<Platform> {
        let known = self.known_platforms();
        if known.is_empty() { requested.to_vec() } else { known }
    }

    /// Checks that the service is built for these platforms.
    ///
    /// # Errors
    /// The first requested platform that the service does not declare.
    pub fn require_platforms(&self, requested: &[Platform]) -> Result<(), Failure> {
        let known = self.known_platforms();
        let Some(missing) = requested.iter().find(|one| !known.is_empty() && !known.contains(one)) else {
            return Ok(());
        };
        let names: Vec<String> = known.iter().map(Platform::to_string).collect();
        let what = format!("`{}` is not built for {missing}, only for {}", self.name, names.join(", "));
        let remedy = format!("use one of these, or add \"{missing}\" to the platforms of `{}`", self.name);
        Err(Failure::new(FailureClass::Usage, what, remedy))
    }

    /// The platform of the image with the plain tag; `None` for the engine's platform.
    pub fn only_platform(&self) -> Option<Platform> {
        match self.known_platforms().as_slice() {
            [only] => Some(only.clone()),
            _ => None,
        }
    }

    /// The service with image references for a platform.
    #[must_use]
    pub fn on(&self, platform: &Platform) -> Service {
        let is_only = self.only_platform().is_some_and(|only| only == *platform);
        Service { chosen: (!is_only).then(|| platform.clone()), ..self.clone() }
    }

    /// The platforms from the manifest, else from Compose or bake files. Docker reports invalid platforms there.
    fn known_platforms(&self) -> Vec<Platform> {
        if !self.platforms.is_empty() {
            return self.platforms.clone();
        }
        let build = self.build(self.shipped());
        build.into_iter().flat_map(|build| &build.platforms).filter_map(|text| text.parse().ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edition::Edition;
    use crate::manifest::Build;
    use crate::variant::Variant;

    fn platforms(texts: &[&str]) -> Vec<Platform> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn service(declared: &[&str], of_compose: &[&str]) -> Service {
        let platforms_of_compose = of_compose.iter().map(|text| (*text).to_owned()).collect();
        Service {
            name: "web".into(),
            platforms: platforms(declared),
            original: Some(Build { platforms: platforms_of_compose, ..Build::default() }),
            ..Service::default()
        }
    }

    #[test]
    fn several_platforms_have_tags_of_their_own() {
        let (amd, arm) = ("linux/amd64", "linux/arm64");
        for (declared, of_compose, requested, images) in [
            (&[][..], &[][..], &[][..], "plain"),
            (&[], &[], &[arm], "linux/arm64"),
            (&[amd, arm], &[], &[], "linux/amd64 linux/arm64"),
            (&[amd, arm], &[], &[arm], "linux/arm64"),
            // The plain tag is for this platform.
            (&[arm], &[], &[], "plain"),
            (&[arm], &[], &[arm], "plain"),
            (&[], &[arm], &[arm], "plain"),
            // Compose builds for all of these, or for one of them when it starts the service.
            (&[], &[amd, arm], &[], "plain"),
            (&[], &[amd, arm], &[arm, amd], "linux/arm64 linux/amd64"),
        ] {
            let found = service(declared, of_compose).images_by_platform(&platforms(requested));
            let found: Vec<String> =
                found.iter().map(|one| one.as_ref().map_or("plain".into(), Platform::to_string)).collect();
            assert_eq!(found.join(" "), images, "{declared:?} {of_compose:?} {requested:?}");
        }
    }

    #[test]
    fn references_are_of_the_chosen_platform() {
        let arm: Platform = "linux/arm64".parse().unwrap();
        let of = |service: &Service| {
            let tags =
                service.references(&"1".parse().unwrap(), Edition::NONE, Variant::Original, Edition::NONE);
            tags.iter().map(|tag| tag.tag().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(of(&service(&["linux/amd64", "linux/arm64"], &[])), ["1"]);
        assert_eq!(of(&service(&["linux/amd64", "linux/arm64"], &[]).on(&arm)), ["1-arm64"]);
        // Not the plain tag, which is for another platform.
        assert_eq!(of(&service(&["linux/amd64"], &[]).on(&arm)), ["1-arm64"]);
        assert_eq!(of(&service(&["linux/arm64"], &[]).on(&arm)), ["1"]);
    }

    #[test]
    fn a_platform_that_is_not_declared_is_refused() {
        let requested = platforms(&["linux/s390x"]);
        assert!(service(&[], &[]).require_platforms(&requested).is_ok());
        for service in [service(&["linux/amd64"], &[]), service(&[], &["linux/x86_64"])] {
            let failure = service.require_platforms(&requested).unwrap_err();
            assert_eq!(
                failure.to_string(),
                "`web` is not built for linux/s390x, only for linux/amd64\n\
                 help: use one of these, or add \"linux/s390x\" to the platforms of `web`"
            );
        }
    }
}
