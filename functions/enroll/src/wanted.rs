//! Which buckets the settings name: by name, and by a tag of the bucket.

use std::collections::BTreeSet;

use futures::StreamExt;
use resilver_aws::{AwsError, Kind, buckets};
use resilver_heal::key::Bucket;
use resilver_heal::limits::ENROLL_AT_ONCE;

use crate::Ctx;

/// What is wanted, as far as it can be told.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) buckets: BTreeSet<Bucket>,
    /// What is written in the settings and is no bucket's name: what is wrong with it.
    pub(crate) no_names: Vec<String>,
    /// Buckets whose tags cannot be read: whether they are wanted cannot be told.
    pub(crate) unknown: BTreeSet<Bucket>,
    /// Buckets could not be listed, so that any may be wanted; or S3 did not tell the tags of one. That
    /// we may not read them is no problem: an account has buckets that are nobody else's business.
    pub(crate) problem: Option<AwsError>,
    unlisted: bool,
}

impl Wanted {
    /// Reads the names, and the tags of every bucket of the Region if there is a tag.
    pub(crate) async fn find(ctx: &Ctx) -> Self {
        let mut wanted = Self::default();
        for name in &ctx.names {
            match Bucket::try_from(name.clone()) {
                Ok(bucket) => drop(wanted.buckets.insert(bucket)),
                Err(why) => wanted.no_names.push(why.to_string()),
            }
        }
        let Some((key, value)) = &ctx.tag else { return wanted };
        let listed = match buckets::list(&ctx.clients).await {
            Ok(listed) => listed,
            Err(problem) => {
                return Self { problem: Some(problem), unlisted: true, ..wanted };
            }
        };
        // A tag of the stack is one of the state bucket too, and that is no source.
        let others = listed.into_iter().filter(|name| *name != ctx.store.bucket);
        let named = others.filter_map(|name| Bucket::try_from(name).ok());
        let asked = named.map(|bucket| async move {
            let tags = buckets::tags(&ctx.clients, bucket.as_str()).await;
            (bucket, tags)
        });
        let mut asked = futures::stream::iter(asked).buffered(ENROLL_AT_ONCE);
        while let Some((bucket, tags)) = asked.next().await {
            match tags {
                Ok(Some(tags)) if tags.iter().any(|tag| tag.0 == *key && tag.1 == *value) => {
                    wanted.buckets.insert(bucket);
                }
                Ok(_) => {}
                Err(problem) => {
                    tracing::warn!(bucket = bucket.as_str(), error = %problem, "tags unread");
                    wanted.unknown.insert(bucket);
                    if problem.kind != Kind::Denied {
                        wanted.problem.get_or_insert(problem);
                    }
                }
            }
        }
        wanted
    }

    /// Whether a bucket is wanted; `None` if that cannot be told.
    pub(crate) fn has(&self, bucket: &Bucket) -> Option<bool> {
        match self.buckets.contains(bucket) {
            true => Some(true),
            false if self.unlisted || self.unknown.contains(bucket) => None,
            false => Some(false),
        }
    }
}
