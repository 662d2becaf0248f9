//! Which images of ours may go from a node.

use std::collections::{BTreeMap, BTreeSet};

use dinp_common::build::BuildId;
use dinp_common::digest::Digest;
use dinp_common::name::ClusterId;
use dinp_common::wire::ImagesKept;

pub const LABEL_CLUSTER: &str = "dinp.image.cluster";
pub const LABEL_BUILD: &str = "dinp.image.build";

/// Images removed per pass: deleting layers is slow in Docker, and starts wait for its locks meanwhile.
pub const IMAGES_PER_PASS: usize = 4;

/// An image as Docker lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalImage {
    pub id: Digest,
    pub labels: BTreeMap<String, String>,
}

/// The images that go now, oldest build first: built for this cluster, settled, not kept, and under no container.
/// `used` are the images of all containers, whoever owns them and whether they run or not.
pub fn removable(cluster: &ClusterId, images: &[LocalImage], kept: &ImagesKept, used: &BTreeSet<Digest>) -> Vec<Digest> {
    let Some(settled) = kept.settled else { return Vec::new() };
    let mut found: Vec<(BuildId, &Digest)> = images
        .iter()
        .filter(|image| image.labels.get(LABEL_CLUSTER).map(String::as_str) == Some(cluster.as_str()))
        .filter_map(|image| Some((BuildId(image.labels.get(LABEL_BUILD)?.parse().ok()?), &image.id)))
        .filter(|(build, id)| *build <= settled && !kept.keep.contains(id) && !used.contains(id))
        .collect();
    found.sort();
    found.into_iter().take(IMAGES_PER_PASS).map(|(_, id)| id.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(n: u8, cluster: &str, build: &str) -> LocalImage {
        let labels = [(LABEL_CLUSTER, cluster), (LABEL_BUILD, build)].map(|(k, v)| (k.to_owned(), v.to_owned()));
        LocalImage { id: Digest::from_sha256([n; 32]), labels: labels.into() }
    }

    #[test]
    fn only_settled_unkept_unused_images_of_this_cluster_go() {
        let cluster = ClusterId::parse("cl").expect("cluster");
        let images = [
            image(1, "cl", "1"),
            image(2, "cl", "2"),
            image(3, "cl", "3"),
            image(4, "cl", "9"),
            image(5, "other", "1"),
            image(6, "cl", "x"),
            LocalImage { id: Digest::from_sha256([7; 32]), labels: BTreeMap::new() },
        ];
        let kept = ImagesKept { keep: vec![Digest::from_sha256([2; 32])], settled: Some(BuildId(5)) };
        let used = [Digest::from_sha256([3; 32])].into();
        assert_eq!(removable(&cluster, &images, &kept, &used), [Digest::from_sha256([1; 32])]);
        let unsettled = ImagesKept { keep: vec![], settled: None };
        assert_eq!(removable(&cluster, &images, &unsettled, &BTreeSet::new()), [], "nothing was said, so nothing goes");
    }
}
