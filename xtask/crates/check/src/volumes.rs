//! Finds volumes that a container's user cannot write to. A new volume gets the content, owner and mode of the image's folder at
//! that path, or belongs to root if there is none (moby, `volume/mounts`).

use contents::facts::EntryKind;
use contents::tree::Tree;
use engine::compose::ComposeService;
use engine::inspect::ContainerConfig;

/// A volume that the user cannot write to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LockedVolume {
    /// Its path in the container, absolute.
    pub(crate) path: String,
    /// What is wrong.
    pub(crate) what: String,
    /// How to fix it.
    pub(crate) remedy: String,
}

/// A numeric user. User names are not looked up in the image's `/etc/passwd`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct User {
    id: u32,
    /// `None` if the image's `/etc/passwd` decides.
    group: Option<u32>,
}

impl User {
    fn parse(text: &str) -> Option<User> {
        let (id, group) = text.split_once(':').map_or((text, None), |(id, group)| (id, Some(group)));
        let group = group.map(str::parse).transpose().ok()?;
        Some(User { id: id.parse().ok()?, group })
    }
}

/// The image's own volumes (`VOLUME`).
pub(crate) fn of_image(tree: &Tree<'_>, config: &ContainerConfig) -> Vec<LockedVolume> {
    let paths = config.volumes.iter().flatten().map(|(path, _)| path.as_str());
    paths.filter_map(|path| locked(tree, &config.user, path)).collect()
}

/// The volumes that a Compose service mounts, without bind mounts: their owner is unknown here.
pub(crate) fn of_service(
    tree: &Tree<'_>,
    config: &ContainerConfig,
    service: &ComposeService,
) -> Vec<LockedVolume> {
    let user = service.user.as_deref().unwrap_or(&config.user);
    let mounts = service.volumes.iter().filter(|mount| mount.kind == "volume" && !mount.read_only);
    mounts.filter_map(|mount| locked(tree, user, &mount.target)).collect()
}

fn locked(tree: &Tree<'_>, user: &str, path: &str) -> Option<LockedVolume> {
    let user = User::parse(user).filter(|user| user.id != 0)?;
    let real = tree.real(&format!("{path}/."));
    let folder = tree.folder(&real);
    let state = match folder {
        Some(folder) if may_write(user, folder.owner, folder.mode) => return None,
        Some(folder) => {
            let [owner, group] = folder.owner;
            format!("belongs to {owner}:{group} with mode {:03o}", folder.mode & 0o777)
        }
        None if matches!(tree.kind(&real), None | Some(EntryKind::Folder)) => {
            "is not in the image, so the volume will belong to root".to_owned()
        }
        // Not a folder: the container would not even start.
        None => return None,
    };
    let group = user.group.unwrap_or(user.id);
    Some(LockedVolume {
        path: path.to_owned(),
        what: format!("user {} cannot write to volume {path}: its folder {state}", user.id),
        remedy: format!(
            "create the folder in the Dockerfile: `COPY --chown={0}:{group} --from=STAGE /EMPTY-FOLDER {path}`, or \
             `RUN install -d -o {0} -g {group} {path}`; existing volumes keep their owner",
            user.id
        ),
    })
}

/// Whether a user may create files in a folder (path_resolution(7)).
fn may_write(user: User, [owner, group]: [u32; 2], mode: u32) -> bool {
    let needs = |shift: u32| mode >> shift & 0o3 == 0o3;
    if owner == user.id {
        return needs(6);
    }
    // If the group is unknown, assume it may be the folder's.
    let is_in_group = user.group.is_none_or(|own| own == group);
    (is_in_group && needs(3)) || needs(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{file, link};
    use contents::facts::{LayerEntry, LayerFacts};

    fn folder(path: &str, mode: u32, owner: [u32; 2]) -> LayerEntry {
        LayerEntry { path: path.into(), mode, owner, kind: EntryKind::Folder }
    }

    /// Those of `paths` that `user` cannot write to.
    fn found(user: &str, paths: &[&str]) -> Vec<String> {
        let entries = vec![
            folder("root", 0o755, [0, 0]),
            folder("own", 0o700, [7, 0]),
            folder("own-but-closed", 0o500, [7, 0]),
            folder("group", 0o775, [0, 8]),
            folder("all", 0o1777, [0, 0]),
            file("implied/file", 0o644),
            file("a-file", 0o644),
            link("var", "own"),
            folder("own/data", 0o755, [7, 7]),
        ];
        let layer = LayerFacts { entries, metadata: Vec::new() };
        let volumes = paths.iter().map(|path| ((*path).to_owned(), serde_json::json!({}))).collect();
        let config =
            ContainerConfig { user: user.into(), volumes: Some(volumes), ..ContainerConfig::default() };
        of_image(&Tree::of(&[&layer]), &config).into_iter().map(|volume| volume.path).collect()
    }

    #[test]
    fn a_volume_is_writable_if_its_folder_is() {
        let all = [
            "/root",
            "/own/",
            "/own-but-closed",
            "/group",
            "/all",
            "/implied",
            "/missing",
            "/var/data",
            "/a-file",
        ];
        assert_eq!(found("7:7", &all), ["/group", "/implied", "/missing", "/own-but-closed", "/root"]);
        assert_eq!(
            found("9:8", &all),
            ["/implied", "/missing", "/own-but-closed", "/own/", "/root", "/var/data"]
        );
        assert_eq!(found("9", &["/group", "/root"]), ["/root"]);
        for privileged in ["", "0", "0:5", "root", "nginx"] {
            assert_eq!(found(privileged, &all), [""; 0], "{privileged}");
        }
    }

    #[test]
    fn the_remedy_is_for_that_user() {
        let service: ComposeService = serde_json::from_str(
            r#"{"user": "1000", "volumes": [{"type": "volume", "source": "a", "target": "/data"},
                {"type": "volume", "source": "a", "target": "/seen", "read_only": true},
                {"type": "bind", "source": "/x", "target": "/host"}, {"type": "tmpfs", "target": "/tmp"}]}"#,
        )
        .unwrap();
        let config = ContainerConfig { user: "65532".into(), ..ContainerConfig::default() };
        let layer = LayerFacts::default();
        let [volume] = &of_service(&Tree::of(&[&layer]), &config, &service)[..] else { panic!("one volume") };
        assert_eq!(
            volume.what,
            "user 1000 cannot write to volume /data: its folder is not in the image, so the volume will belong to root"
        );
        assert!(volume.remedy.contains("--chown=1000:1000") && !volume.remedy.contains("65532"));
    }
}
