//! The objects of a demo: made up from a seed, or the files of a directory. What cannot be uploaded
//! is listed, never left out silently.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use walkdir::WalkDir;

use crate::error::CliError;

/// Bytes of an object that is made up.
const BYTES: usize = 1_024;
/// Bytes that an object key may have (S3 User Guide: object-keys).
const KEY_MAX: usize = 1_024;

/// A file that was not uploaded.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Skipped {
    /// Its path below the directory, as far as it can be written.
    pub path: String,
    /// Why.
    pub why: String,
}

/// The objects.
#[derive(Debug)]
pub enum Objects {
    /// So many, from a seed.
    MadeUp {
        /// How many.
        number: usize,
        /// The seed.
        seed: u64,
    },
    /// A directory's files.
    Files {
        /// Key and path, in order of key.
        files: Vec<(String, PathBuf)>,
        /// What is not uploaded.
        skipped: Vec<Skipped>,
    },
}

/// The bytes of one object.
#[derive(Debug)]
pub(super) enum Body {
    /// In memory.
    Bytes(Bytes),
    /// A file that is too large to be read at once, and its length.
    File(File, u64),
}

/// Files from this size on go up in parts.
pub(super) const MULTIPART_FROM: u64 = 16 * 1024 * 1024;

impl Objects {
    /// Objects that are made up.
    pub fn made_up(number: usize, seed: u64) -> Self {
        Self::MadeUp { number, seed }
    }

    /// The files below a directory.
    pub fn of_directory(directory: &Path) -> Result<Self, CliError> {
        let next = "name a directory with files, or try `resilver demo`";
        let name = directory.display();
        match std::fs::metadata(directory) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Err(CliError::path(format!("{name} is no directory"), next)),
            Err(why) => {
                return Err(CliError::path(format!("{name} cannot be read: {why}"), next));
            }
        }
        let (mut files, mut skipped) = (Vec::new(), Vec::new());
        for found in WalkDir::new(directory).min_depth(1).sort_by_file_name() {
            match found {
                Ok(found) if found.file_type().is_dir() => {}
                Ok(found) => match key_of(directory, &found) {
                    Ok(key) => files.push((key, found.into_path())),
                    Err(why) => skipped.push(skip(directory, found.path(), why)),
                },
                Err(why) => {
                    let path = why.path().unwrap_or(directory).to_owned();
                    skipped.push(skip(directory, &path, why.to_string()));
                }
            }
        }
        if files.is_empty() && skipped.is_empty() {
            return Err(CliError::path(format!("{name} is empty"), next));
        }
        files.sort();
        Ok(Self::Files { files, skipped })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::MadeUp { number, .. } => *number,
            Self::Files { files, .. } => files.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is not uploaded.
    pub fn skipped(self) -> Vec<Skipped> {
        match self {
            Self::MadeUp { .. } => Vec::new(),
            Self::Files { skipped, .. } => skipped,
        }
    }

    /// The `n`th is not uploaded after all.
    pub(super) fn leave_out(&mut self, n: usize, why: &std::io::Error) {
        if let Self::Files { files, skipped } = self {
            let path = files.get(n).map(|(key, _)| key.clone()).unwrap_or_default();
            skipped.push(Skipped { path, why: format!("it cannot be read: {why}") });
        }
    }

    /// The key of the `n`th.
    pub(super) fn key(&self, n: usize) -> String {
        match self {
            Self::MadeUp { .. } => {
                let folder = ["invoices/2026", "photos", "logs/app", "back up", "münchen+co"];
                let folder = folder.get(n % folder.len()).copied().unwrap_or("other");
                format!("{folder}/{n:07}.bin")
            }
            Self::Files { files, .. } => {
                files.get(n).map(|(key, _)| key.clone()).unwrap_or_default()
            }
        }
    }

    /// The bytes of the `n`th.
    pub(super) fn body(&self, n: usize) -> std::io::Result<Body> {
        match self {
            Self::MadeUp { seed, .. } => Ok(Body::Bytes(made_up(*seed, n as u64))),
            Self::Files { files, .. } => {
                let Some((_, path)) = files.get(n) else {
                    return Ok(Body::Bytes(Bytes::new()));
                };
                let mut file = File::open(path)?;
                let length = file.metadata()?.len();
                if length >= MULTIPART_FROM {
                    return Ok(Body::File(file, length));
                }
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes)?;
                Ok(Body::Bytes(Bytes::from(bytes)))
            }
        }
    }
}

/// Bytes that no two objects share, from SplitMix64.
fn made_up(seed: u64, n: u64) -> Bytes {
    let mut state = seed ^ n.wrapping_mul(0xA076_1D64_78BD_642F);
    let mut bytes = Vec::with_capacity(BYTES);
    while bytes.len() < BYTES {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bytes.extend_from_slice(&(z ^ (z >> 31)).to_le_bytes());
    }
    Bytes::from(bytes)
}

fn key_of(directory: &Path, found: &walkdir::DirEntry) -> Result<String, String> {
    if found.file_type().is_symlink() {
        return Err("it is a link; links are not followed".to_owned());
    }
    if !found.file_type().is_file() {
        return Err("it is no regular file".to_owned());
    }
    let below = found.path().strip_prefix(directory).unwrap_or(found.path());
    let key = below.to_str().ok_or("its name is not UTF-8, and an object key has to be")?;
    if key.len() > KEY_MAX {
        return Err(format!("its name has {} bytes, more than the {KEY_MAX} of a key", key.len()));
    }
    File::open(found.path()).map_err(|why| format!("it cannot be read: {why}"))?;
    Ok(key.to_owned())
}

fn skip(directory: &Path, path: &Path, why: String) -> Skipped {
    let below = path.strip_prefix(directory).unwrap_or(path);
    Skipped { path: below.to_string_lossy().into_owned(), why }
}
