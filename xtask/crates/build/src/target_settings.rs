//! The settings of a build in its bake target.

use engine::bake::Target;
use model::build_settings::{BuildSettings, fields};

/// Passes the settings of a build on. A secret of its own replaces one of the same id that every target gets.
pub fn set(target: &mut Target, settings: &BuildSettings) {
    let is_own = |spec: &String| {
        let given = fields(spec);
        let id = given.iter().find(|(key, _)| key == "id");
        settings.secrets.iter().any(|secret| id.is_some_and(|(_, id)| *id == secret.id))
    };
    target.secret.retain(|spec| !is_own(spec));
    target.secret.extend(settings.secrets.iter().map(ToString::to_string));
    target.env_file.clone_from(&settings.env_file);
    target.ssh.clone_from(&settings.ssh);
    target.network.clone_from(&settings.network);
    target.extra_hosts.clone_from(&settings.extra_hosts);
    target.shm_size.clone_from(&settings.shm_size);
    target.ulimits.clone_from(&settings.ulimits);
    target.cache_from.clone_from(&settings.cache_from);
    target.labels.clone_from(&settings.labels);
    target.no_cache = settings.no_cache;
    target.no_cache_filter.clone_from(&settings.no_cache_filter);
    target.pull = settings.pull;
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::build_settings::{BuildSecret, SecretSource};

    #[test]
    fn a_secret_of_the_build_replaces_a_common_one() {
        let source = SecretSource::Variable("OWN".to_owned());
        let settings = BuildSettings {
            secrets: vec![BuildSecret { id: "ca".to_owned(), source }],
            ..BuildSettings::default()
        };
        let common = vec!["id=ca,src=/bundle".to_owned(), "id=cache,src=/x".to_owned()];
        let mut target = Target { secret: common, ..Target::default() };
        set(&mut target, &settings);
        assert_eq!(target.secret, ["id=cache,src=/x", "id=ca,env=OWN"]);
    }
}
