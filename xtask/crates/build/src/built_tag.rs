//! The registry tag for an image's fingerprint: `built-FINGERPRINT-OS-ARCHITECTURE`. For images with unpinned packages or downloads, the
//! tag ends in the Monday of their week, so that each week has its own. A push never moves such a tag to another image, so immutable tags
//! work too.

use std::time::SystemTime;

use crate::fingerprint::Fingerprint;
use crate::package_date::PackageDate;
use crate::plan::BuildPlan;
use crate::reuse::packages::{Dates, Packages, PackagesLabel};
use engine::images::Image;
use engine::labels;
use model::platform::Platform;

/// The maximum number of weeks to look up.
const MOST_WEEKS: usize = 5;

fn tag(print: &str, platform: &Platform, week: Option<&PackageDate>) -> String {
    let week = week.map(|week| format!("-{}", week.as_str())).unwrap_or_default();
    format!("built-{print}-{}-{}{week}", platform.os(), platform.architecture())
}

/// The tag of an image in the engine. `None` if the image has no fingerprint, was built from uncommitted changes (a clean checkout would
/// not accept it), may have newer bases than the fingerprint names, or has packages of unknown age.
pub(crate) fn of_image(image: &Image, project: &str, dates: &Dates) -> Option<String> {
    if image.label(labels::REVISION).is_some_and(|revision| revision.ends_with("-dirty")) {
        return None;
    }
    if image.label(&labels::newer_bases(project)).is_some() {
        return None;
    }
    let print = image.label(&labels::fingerprint(project))?;
    let date = match image.label(&labels::packages_as_of(project)) {
        Some(label) => Some(PackagesLabel::parse(label).filter(|label| label.is_certain)?.date),
        None => dates.0.get(&image.id).cloned(),
    };
    Some(tag(print, &image.platform(), date.map(|date| date.week()).as_ref()))
}

/// The possible tags of a planned image, newest first, each with the week of its packages. Weeks before `since` are left out.
pub(crate) fn wanted(
    print: &Fingerprint,
    plan: &BuildPlan,
    platform: &Platform,
    since: &PackageDate,
    now: SystemTime,
) -> Vec<(String, Option<PackageDate>)> {
    if Packages::of(print, plan) == Packages::None {
        return vec![(tag(&print.hash, platform, None), None)];
    }
    let weeks = since.weeks_until(now, MOST_WEEKS).into_iter();
    weeks.map(|week| (tag(&print.hash, platform, Some(&week)), Some(week))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::image_ref::is_tag;

    fn image(labels: &str) -> Image {
        let json = format!(
            r#"{{"Id":"sha256:a","Os":"linux","Architecture":"arm64","Config":{{"Labels":{{{labels}}}}}}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn an_images_tag_says_what_it_was_built_from_and_for() {
        let dates = Dates([("sha256:a".to_owned(), "2026-01-07".parse().unwrap())].into());
        let print = "0".repeat(64);
        let label = format!(r#""p.images.fingerprint":"{print}""#);
        let of = |more: &str, dates: &Dates| of_image(&image(&format!("{label}{more}")), "p", dates);
        let none = Dates::default();
        assert_eq!(of("", &none), Some(format!("built-{print}-linux-arm64")));
        assert_eq!(of("", &dates), Some(format!("built-{print}-linux-arm64-2026-01-05")));
        let labelled = r#","p.images.packages-as-of":"2026-01-12T10:00:00Z""#;
        assert_eq!(of(labelled, &none), Some(format!("built-{print}-linux-arm64-2026-01-12")));
        assert!(is_tag(&of(labelled, &none).unwrap()));
        assert_eq!(of(r#","p.images.packages-as-of":"cached-2026-01-12""#, &none), None, "of unknown age");
        assert_eq!(of(r#","p.images.newer-bases":"true""#, &none), None, "newer bases");
        let revision = format!(r#","{}":"1234-dirty""#, labels::REVISION);
        assert_eq!(of(&revision, &none), None);
        assert_eq!(of_image(&image(""), "p", &none), None);
    }
}
