//! Which key a new version lies under, and whether that key can be used.
//!
//! Nothing is encrypted: the bytes lie in the open, and only the questions that the service would ask
//! of KMS are asked.

use crate::world::kms::{KeyState, OF_S3};
use crate::world::object::Encryption;
use crate::world::{Answer, Bucket, Refusal, World};

/// The encryption of a new version: what the request says, else the bucket's default, else SSE-S3.
pub fn choose(bucket: &Bucket, asked: Option<Encryption>) -> Encryption {
    let default = || bucket.default_kms_key.clone();
    let set = bucket.encryption.as_ref();
    asked.unwrap_or_else(|| {
        default().map_or(Encryption::S3, |key| Encryption::Kms {
            key,
            dual: set.is_some_and(|set| set.algorithm == "aws:kms:dsse"),
            bucket_key: set.is_some_and(|set| set.bucket_key),
        })
    })
}

/// The ARN of a key that a request names by ARN, id or alias; without a name, the account's own S3 key.
pub fn key_arn(world: &World, name: Option<&str>) -> String {
    let config = &world.config;
    let arn = |rest: &str| format!("arn:aws:kms:{}:{}:{rest}", config.region, config.account);
    match name {
        None | Some("" | "alias/aws/s3") => arn(&format!("key/{OF_S3}")),
        Some(name) if name.ends_with(":alias/aws/s3") => arn(&format!("key/{OF_S3}")),
        Some(name) if name.starts_with("arn:") => world.kms.resolve(name).to_owned(),
        Some(name) if name.starts_with("alias/") => world.kms.resolve(&arn(name)).to_owned(),
        Some(name) => arn(&format!("key/{name}")),
    }
}

/// Whether S3 can encrypt and decrypt with it now.
///
/// # Errors
/// 400 `KMS.NotFoundException`, `KMS.DisabledException` or `KMS.KMSInvalidStateException`.
pub fn usable(world: &World, encryption: &Encryption) -> Answer<()> {
    let Encryption::Kms { key, .. } = encryption else {
        return Ok(());
    };
    let refuse = |code: &str, what: String| Err(Refusal::new(400, code, what));
    match world.kms.state(key) {
        Some(KeyState::Enabled) => Ok(()),
        Some(KeyState::Disabled) => refuse("KMS.DisabledException", format!("{key} is disabled.")),
        Some(KeyState::PendingDeletion) => {
            refuse("KMS.KMSInvalidStateException", format!("{key} is pending deletion."))
        }
        None => refuse("KMS.NotFoundException", format!("Key '{key}' does not exist")),
    }
}
