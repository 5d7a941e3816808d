//! A world that survives its server: every request that can change it, in the order in which it was
//! answered, in one file. The same requests at the same times make the same world, so that reading the
//! file again is all that a restart takes.
//!
//! A frame is a [`Prefix`], a header in JSON, and the body of the request. A frame that was cut off by a crash is
//! the last one, and is dropped; what is whole and not what was written is damaged, and refused. A world is only
//! ever read by the release that wrote it: another one might draw its ids differently.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use serde::{Deserialize, Serialize};

use super::caller::Caller;
use crate::world::{Config, Millis};

/// The name of the file in its directory.
const FILE: &str = "journal";
/// The release that writes and reads it.
const RELEASE: &str = env!("CARGO_PKG_VERSION");

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file cannot be read or written.
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    /// Another server has it.
    #[error("{0} is in use by another server")]
    Taken(PathBuf),
    /// It was written by another release, or for another account.
    #[error("{0} holds a world of {1}, not of {2}")]
    Other(PathBuf, String, String),
    /// It is no journal.
    #[error("{0} is no journal of a world: {1}")]
    Foreign(PathBuf, String),
}

/// The first frame: whose world it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Title {
    release: String,
    account: String,
    region: String,
    seed: u64,
    queues_elsewhere: bool,
    bus_elsewhere: bool,
    start: Millis,
}

impl Title {
    fn name(&self) -> String {
        let elsewhere = match (self.queues_elsewhere, self.bus_elsewhere) {
            (false, false) => "",
            (true, false) => ", queues elsewhere",
            (false, true) => ", bus elsewhere",
            (true, true) => ", queues and bus elsewhere",
        };
        format!(
            "resilver {}, account {}, Region {}, seed {}{elsewhere}",
            self.release, self.account, self.region, self.seed
        )
    }
}

/// One request, and the state of the world that it met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// The world's time.
    pub(crate) now: Millis,
    /// The state of its source of chance.
    pub(crate) chance: u64,
    /// The status that it was answered with; 0 where the connection broke.
    pub(crate) status: u16,
    method: String,
    uri: String,
    headers: Vec<(String, String)>,
    account: String,
    role: Option<String>,
    key: String,
}

impl Entry {
    /// The entry of a request.
    pub(crate) fn of(
        request: &Request<Bytes>,
        (now, chance): (Millis, u64),
        status: u16,
        caller: &Caller,
    ) -> Self {
        // A header is bytes, not text: each of them becomes the character of its number.
        let headers = request.headers().iter().map(|(name, value)| {
            let value = value.as_bytes().iter().map(|byte| char::from(*byte)).collect();
            (name.as_str().to_owned(), value)
        });
        Self {
            now,
            chance,
            status,
            method: request.method().to_string(),
            uri: request.uri().to_string(),
            headers: headers.collect(),
            account: caller.account.clone(),
            role: caller.role.clone(),
            key: caller.key.clone(),
        }
    }

    /// The request again, its caller with it.
    fn request(&self, body: Bytes) -> Option<Request<Bytes>> {
        let mut request = Request::new(body);
        *request.method_mut() = Method::from_bytes(self.method.as_bytes()).ok()?;
        *request.uri_mut() = self.uri.parse::<Uri>().ok()?;
        for (name, value) in &self.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            let value: Option<Vec<u8>> =
                value.chars().map(|it| u8::try_from(u32::from(it)).ok()).collect();
            request.headers_mut().append(name, HeaderValue::from_bytes(&value?).ok()?);
        }
        let (account, role, key) = (self.account.clone(), self.role.clone(), self.key.clone());
        let caller = Caller { account, role, key };
        request.extensions_mut().insert(caller);
        Some(request)
    }
}

/// An open journal, written at its end.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    start: Millis,
    /// Where the last whole frame ends.
    end: u64,
    /// The frame of a request that was done and could not be written: it comes before any other.
    owed: Vec<u8>,
}

/// What a frame begins with: how long its header and its body are, and checksums of that and of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Prefix {
    header: u32,
    body: u64,
    content: u32,
}

impl Prefix {
    const BYTES: usize = 20;

    fn of(header: &[u8], body: &[u8]) -> io::Result<Self> {
        let length = u32::try_from(header.len()).map_err(io::Error::other)?;
        Ok(Self { header: length, body: body.len() as u64, content: checksum(&[header, body]) })
    }

    fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::BYTES);
        bytes.extend(self.header.to_le_bytes());
        bytes.extend(self.body.to_le_bytes());
        bytes.extend(self.content.to_le_bytes());
        bytes.extend(checksum(&[&bytes]).to_le_bytes());
        bytes
    }

    /// `None` if it is not what was written.
    fn parse(bytes: &[u8; Self::BYTES]) -> Option<Self> {
        let (header, rest) = bytes.split_first_chunk()?;
        let (body, rest) = rest.split_first_chunk()?;
        let content = rest.first_chunk()?;
        let read = Self {
            header: u32::from_le_bytes(*header),
            body: u64::from_le_bytes(*body),
            content: u32::from_le_bytes(*content),
        };
        (read.to_bytes() == bytes).then_some(read)
    }
}

fn checksum(pieces: &[&[u8]]) -> u32 {
    let mut sum = flate2::Crc::new();
    for piece in pieces {
        sum.update(piece);
    }
    sum.sum()
}

impl Journal {
    /// Opens the journal in a directory, or begins one for a world of this configuration.
    ///
    /// # Errors
    /// When it is another world's, in use, or cannot be read and written.
    pub fn open(dir: &Path, config: &Config) -> Result<Self, JournalError> {
        let path = dir.join(FILE);
        let failed = |why| JournalError::File(path.clone(), why);
        std::fs::create_dir_all(dir).map_err(failed)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&path).map_err(failed)?;
        file.try_lock().map_err(|why| match why {
            TryLockError::WouldBlock => JournalError::Taken(path.clone()),
            TryLockError::Error(why) => failed(why),
        })?;
        let mine = Title {
            release: RELEASE.to_owned(),
            account: config.account.clone(),
            region: config.region.clone(),
            seed: config.seed,
            queues_elsewhere: config.queues_elsewhere,
            bus_elsewhere: config.bus_elsewhere,
            start: config.start,
        };
        let empty = is_empty(&mut file, &mine).map_err(failed)?;
        if empty {
            file.set_len(0).map_err(failed)?;
        }
        let start = if empty {
            write_frame(&mut file, &mine, &[]).map_err(failed)?;
            mine.start
        } else {
            let foreign = |why: String| JournalError::Foreign(path.clone(), why);
            let frame = read_frame(&mut file).map_err(|why| foreign(why.to_string()))?;
            let Some((header, _)) = frame else {
                return Err(foreign("it has no beginning".to_owned()));
            };
            let theirs: Title =
                serde_json::from_slice(&header).map_err(|why| foreign(why.to_string()))?;
            if theirs != (Title { start: theirs.start, ..mine.clone() }) {
                return Err(JournalError::Other(path, theirs.name(), mine.name()));
            }
            theirs.start
        };
        let end = file.stream_position().map_err(failed)?;
        Ok(Self { path, file, start, end, owed: Vec::new() })
    }

    /// When the world began.
    pub fn start(&self) -> Millis {
        self.start
    }

    /// Hands every request of the past to `each`, in order.
    pub(crate) async fn replay<F>(&mut self, mut each: F) -> Result<(), JournalError>
    where
        F: AsyncFnMut(&Entry, Request<Bytes>),
    {
        let path = self.path.clone();
        let failed = |why| JournalError::File(path.clone(), why);
        let file = &mut self.file;
        let mut reader = BufReader::new(&mut *file);
        loop {
            let damaged = |what: &str| {
                JournalError::Foreign(path.clone(), format!("{what} at byte {}", self.end))
            };
            let read = read_entry(&mut reader).map_err(|why| match why.kind() {
                // Not cut off, but something else: what is behind it may be good, and is not thrown away.
                io::ErrorKind::InvalidData => damaged("it is damaged"),
                _ => failed(why),
            })?;
            let Some((entry, body)) = read else {
                break;
            };
            let request = entry.request(body).ok_or_else(|| damaged("it holds no request"))?;
            each(&entry, request).await;
            self.end = reader.stream_position().map_err(failed)?;
        }
        drop(reader);
        // What was cut off by a crash makes room, and is kept all the same.
        file.seek(SeekFrom::Start(self.end)).map_err(failed)?;
        let mut rest = Vec::new();
        file.read_to_end(&mut rest).map_err(failed)?;
        if !rest.is_empty() {
            let cut = path.with_extension("cut");
            let others = (2..).map(|at: u32| path.with_extension(format!("cut{at}")));
            let mut names = std::iter::once(cut.clone()).chain(others);
            let kept = names.find(|it| !it.exists()).unwrap_or(cut);
            std::fs::write(&kept, &rest).map_err(|why| JournalError::File(kept.clone(), why))?;
            tracing::warn!(bytes = rest.len(), kept = %kept.display(), "the journal ends in the middle of a request");
        }
        file.set_len(self.end).map_err(failed)?;
        file.seek(SeekFrom::Start(self.end)).map_err(failed)?;
        Ok(())
    }

    /// Adds a request that was done. It is in the operating system's hands when this returns; one that could not
    /// be written is owed, and nothing may be done before [`Self::catch_up`] has written it: the world is ahead
    /// of its past.
    pub(crate) fn add(&mut self, entry: &Entry, body: &[u8]) -> io::Result<()> {
        self.catch_up()?;
        let mut frame = Vec::with_capacity(body.len() + 1_024);
        write_frame(&mut frame, entry, body)?;
        self.owed = frame;
        self.catch_up()
    }

    /// Writes what is owed.
    pub(crate) fn catch_up(&mut self) -> io::Result<()> {
        if self.owed.is_empty() {
            return Ok(());
        }
        // Over what an attempt before this one may have left.
        self.file.seek(SeekFrom::Start(self.end))?;
        if let Err(why) = self.file.write_all(&self.owed) {
            // If this fails too, what is left looks cut off.
            let _ = self.file.set_len(self.end);
            return Err(why);
        }
        self.end += self.owed.len() as u64;
        self.owed = Vec::new();
        Ok(())
    }
}

/// Whether nothing was ever kept: there is no file, or a title that was cut off when it was written.
fn is_empty(file: &mut File, title: &Title) -> io::Result<bool> {
    let mut whole = Vec::new();
    write_frame(&mut whole, title, &[])?;
    let mut beginning = Vec::new();
    file.take(whole.len() as u64).read_to_end(&mut beginning)?;
    file.rewind()?;
    // All but when the world began, which is its end, and the checksums, which depend on that.
    let known = whole.windows(8).position(|it| it == b"\"start\":").unwrap_or_default() + 8;
    let pairs = beginning.iter().zip(&whole).take(known).enumerate();
    let mut compared = pairs.filter(|(at, _)| !(12..Prefix::BYTES).contains(at));
    let same = compared.all(|(_, (one, other))| one == other);
    Ok(beginning.len() < whole.len() && same)
}

fn write_frame(out: &mut impl Write, header: &impl Serialize, body: &[u8]) -> io::Result<()> {
    let header = serde_json::to_vec(header)?;
    out.write_all(&Prefix::of(&header, body)?.to_bytes())?;
    out.write_all(&header)?;
    out.write_all(body)
}

/// The next frame, its header and its body; `None` at the end, be it in the middle of a frame.
///
/// # Errors
/// `InvalidData` for a frame that is whole and not what was written.
fn read_frame(from: &mut impl Read) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "it is damaged");
    let mut prefix = [0; Prefix::BYTES];
    match from.read_exact(&mut prefix) {
        Ok(()) => {}
        Err(why) if why.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(why) => return Err(why),
    }
    let prefix = Prefix::parse(&prefix).ok_or_else(damaged)?;
    let mut read = |length: u64| {
        let mut bytes = Vec::new();
        let read = from.take(length).read_to_end(&mut bytes)?;
        Ok::<_, io::Error>((read as u64 == length).then_some(bytes))
    };
    let Some(header) = read(u64::from(prefix.header))? else { return Ok(None) };
    let Some(body) = read(prefix.body)? else { return Ok(None) };
    if checksum(&[&header, &body]) != prefix.content {
        return Err(damaged());
    }
    Ok(Some((header, body)))
}

fn read_entry(from: &mut impl Read) -> io::Result<Option<(Entry, Bytes)>> {
    let Some((header, body)) = read_frame(from)? else {
        return Ok(None);
    };
    let entry = serde_json::from_slice(&header)
        .map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why))?;
    Ok(Some((entry, body.into())))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn a_frame_is_whole_or_cut_off_or_damaged() {
        let mut frame = Vec::new();
        write_frame(&mut frame, &"header", b"body").unwrap();
        let read = |bytes: &[u8]| read_frame(&mut &*bytes).map_err(|why| why.kind());
        assert_eq!(read(&frame), Ok(Some((b"\"header\"".to_vec(), b"body".to_vec()))));
        for cut in 0..frame.len() {
            assert_eq!(read(&frame[..cut]), Ok(None), "{cut}");
        }
        for at in 0..frame.len() {
            for bit in 0..8 {
                let mut damaged = frame.clone();
                damaged[at] ^= 1 << bit;
                assert_eq!(read(&damaged), Err(io::ErrorKind::InvalidData), "byte {at}, bit {bit}");
            }
        }
    }
}
