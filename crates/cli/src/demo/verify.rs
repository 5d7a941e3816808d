//! Verifying: every version of the source is at both destinations, with the same version id, bytes,
//! metadata and tags. Read through the S3 API, as a client would.

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::get_object::builders::GetObjectFluentBuilder;
use bytes::Bytes;

use super::scene::{REPLICAS, SOURCE, Scene, failed};
use crate::error::CliError;

/// One version as a client sees it.
#[derive(Debug, PartialEq)]
struct Seen {
    bytes: Bytes,
    content_type: Option<String>,
    metadata: Vec<(String, String)>,
    tags: Vec<(String, String)>,
}

/// Compares every pair of a version and a destination; gives how many agree and which do not.
pub(super) async fn all(
    scene: &Scene<'_>,
    progress: impl Fn(u64),
) -> Result<(u64, Vec<String>), CliError> {
    let (mut verified, mut mismatches) = (0, Vec::new());
    let (mut key_marker, mut version_marker) = (None, None);
    loop {
        let call = scene.app.clients.s3.list_object_versions().bucket(SOURCE);
        let call = call.set_key_marker(key_marker).set_version_id_marker(version_marker);
        let page = call.send().await.map_err(|why| failed("ListObjectVersions", why))?;
        for version in page.versions() {
            let key = version.key().unwrap_or_default();
            let id = version.version_id().unwrap_or_default();
            let Some(source) = see(scene, SOURCE, key, id).await? else {
                continue;
            };
            for replica in REPLICAS {
                match differs(&source, see(scene, replica, key, id).await?) {
                    None => verified += 1,
                    Some(how) => mismatches.push(format!("{key} ({id}) at {replica}: {how}")),
                }
                progress(verified);
            }
        }
        key_marker = page.next_key_marker().map(str::to_owned);
        version_marker = page.next_version_id_marker().map(str::to_owned);
        if key_marker.is_none() {
            return Ok((verified, mismatches));
        }
    }
}

fn differs(source: &Seen, replica: Option<Seen>) -> Option<&'static str> {
    let Some(replica) = replica else {
        return Some("it is not there");
    };
    if source.bytes != replica.bytes {
        return Some("other bytes");
    }
    if source.tags != replica.tags {
        return Some("other tags");
    }
    (*source != replica).then_some("other metadata")
}

/// Reads a version; `None` if it is not there.
async fn see(
    scene: &Scene<'_>,
    bucket: &str,
    key: &str,
    id: &str,
) -> Result<Option<Seen>, CliError> {
    let s3 = &scene.app.clients.s3;
    let call: GetObjectFluentBuilder = s3.get_object().bucket(bucket).key(key).version_id(id);
    let output = match call.send().await {
        Ok(output) => output,
        Err(why) if why.raw_response().is_some_and(|r| r.status().as_u16() == 404) => {
            return Ok(None);
        }
        Err(why) => return Err(failed("GetObject", why)),
    };
    let tags = match output.tag_count() {
        None | Some(0) => Vec::new(),
        Some(_) => tags(scene, bucket, key, id).await?,
    };
    let (content_type, metadata) = headers(&output);
    let bytes = output.body.collect().await.map_err(|why| failed("GetObject", why))?.into_bytes();
    Ok(Some(Seen { bytes, content_type, metadata, tags }))
}

fn headers(output: &GetObjectOutput) -> (Option<String>, Vec<(String, String)>) {
    let pairs = output.metadata().into_iter().flatten();
    let mut metadata: Vec<_> = pairs.map(|(name, value)| (name.clone(), value.clone())).collect();
    metadata.sort();
    (output.content_type().map(str::to_owned), metadata)
}

async fn tags(
    scene: &Scene<'_>,
    bucket: &str,
    key: &str,
    id: &str,
) -> Result<Vec<(String, String)>, CliError> {
    let call = scene.app.clients.s3.get_object_tagging().bucket(bucket).key(key).version_id(id);
    let output = call.send().await.map_err(|why| failed("GetObjectTagging", why))?;
    let pairs = output.tag_set().iter();
    let mut tags: Vec<_> =
        pairs.map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect();
    tags.sort();
    Ok(tags)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use std::sync::Arc;

    use resilver_emulator::Emulator;
    use resilver_emulator::world::object::Version;
    use resilver_emulator::world::{Config, World};

    use super::*;
    use crate::app::{App, Options};
    use crate::demo::objects::Objects;

    fn replica(world: &mut World, n: usize) -> &mut Version {
        let bucket = world.buckets.get_mut(REPLICAS[0]).unwrap();
        bucket.keys.values_mut().nth(n).and_then(|versions| versions.first_mut()).unwrap()
    }

    /// What would be missed by a comparison that only counts.
    #[tokio::test]
    async fn every_way_in_which_a_replica_may_differ_is_found() {
        let app = App::deploy(Emulator::new(Config::default()), &Options::default()).await.unwrap();
        let scene = Scene::set(&app).await.unwrap();
        let uploaded = scene.upload(&mut Objects::made_up(12, 1), None).await.unwrap();
        scene.replicated(uploaded).await.unwrap();
        let (verified, mismatches) = all(&scene, |_| {}).await.unwrap();
        assert_eq!((verified, mismatches), (2 * uploaded, Vec::new()));
        app.emulator.with(|world| {
            let other = replica(world, 1).content.clone();
            replica(world, 0).content = other;
            replica(world, 2).tags.insert("more".into(), "tags".into());
            let mut content = (**replica(world, 3).content.as_ref().unwrap()).clone();
            content.metadata = [("other".to_owned(), "metadata".to_owned())].into_iter().collect();
            replica(world, 3).content = Some(Arc::new(content));
            replica(world, 4).id = "another".into();
        });
        let (verified, mismatches) = all(&scene, |_| {}).await.unwrap();
        let how: Vec<&str> = mismatches.iter().filter_map(|m| m.split(": ").last()).collect();
        assert_eq!(how, ["other bytes", "other tags", "other metadata", "it is not there"]);
        assert_eq!(verified, 2 * uploaded - 4);
    }
}
