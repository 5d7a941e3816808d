//! A world that survives its server: every request that can change it, in the order in which it was
//! answered, in one file. The same requests at the same times make the same world, so that reading the
//! file again is all that a restart takes.
//!
//! A frame is a length, a header in JSON, and the body of the request. A frame that was cut off by a
//! crash is the last one, and is dropped. A world is only ever read by the release that wrote it:
//! another one might draw its ids differently.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
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
    start: Millis,
}

impl Title {
    fn name(&self) -> String {
        format!(
            "resilver {}, account {}, Region {}, seed {}",
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
    method: String,
    uri: String,
    headers: Vec<(String, String)>,
    account: String,
    role: Option<String>,
    key: String,
    length: u64,
}

impl Entry {
    /// The entry of a request.
    pub(crate) fn of(request: &Request<Bytes>, now: Millis, chance: u64, caller: &Caller) -> Self {
        let headers = request.headers().iter().map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        });
        Self {
            now,
            chance,
            method: request.method().to_string(),
            uri: request.uri().to_string(),
            headers: headers.collect(),
            account: caller.account.clone(),
            role: caller.role.clone(),
            key: caller.key.clone(),
            length: request.body().len() as u64,
        }
    }

    /// The request again, its caller with it.
    fn request(self, body: Bytes) -> Option<Request<Bytes>> {
        let mut request = Request::new(body);
        *request.method_mut() = Method::from_bytes(self.method.as_bytes()).ok()?;
        *request.uri_mut() = self.uri.parse::<Uri>().ok()?;
        for (name, value) in self.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            request.headers_mut().append(name, HeaderValue::from_bytes(value.as_bytes()).ok()?);
        }
        let caller = Caller { account: self.account, role: self.role, key: self.key };
        request.extensions_mut().insert(caller);
        Some(request)
    }
}

/// An open journal, written at its end.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: BufWriter<File>,
    start: Millis,
    /// Where the frames that were there before end.
    end: u64,
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
        file.try_lock().map_err(|_| JournalError::Taken(path.clone()))?;
        let mine = Title {
            release: RELEASE.to_owned(),
            account: config.account.clone(),
            region: config.region.clone(),
            seed: config.seed,
            start: config.start,
        };
        let empty = file.metadata().map_err(failed)?.len() == 0;
        let start = if empty {
            write_frame(&mut file, &mine, &[]).map_err(failed)?;
            mine.start
        } else {
            let foreign = |why: String| JournalError::Foreign(path.clone(), why);
            let header = read_header(&mut file).map_err(|why| foreign(why.to_string()))?;
            let header = header.ok_or_else(|| foreign("it has no beginning".to_owned()))?;
            let theirs: Title =
                serde_json::from_slice(&header).map_err(|why| foreign(why.to_string()))?;
            if theirs != (Title { start: theirs.start, ..mine.clone() }) {
                return Err(JournalError::Other(path, theirs.name(), mine.name()));
            }
            theirs.start
        };
        let end = file.stream_position().map_err(failed)?;
        Ok(Self { path, file: BufWriter::new(file), start, end })
    }

    /// When the world began.
    pub fn start(&self) -> Millis {
        self.start
    }

    /// Hands every request of the past to `each`, in order, with the time and the chance that it met.
    pub(crate) async fn replay<F>(&mut self, mut each: F) -> Result<u64, JournalError>
    where
        F: AsyncFnMut(Millis, u64, Request<Bytes>),
    {
        let path = self.path.clone();
        let failed = |why| JournalError::File(path.clone(), why);
        let file = self.file.get_mut();
        let mut reader = BufReader::new(&mut *file);
        let mut count = 0;
        while let Some((entry, body)) = read_entry(&mut reader).map_err(failed)? {
            self.end = reader.stream_position().map_err(failed)?;
            let (now, chance) = (entry.now, entry.chance);
            if let Some(request) = entry.request(body) {
                each(now, chance, request).await;
                count += 1;
            }
        }
        drop(reader);
        // What was cut off by a crash is written over.
        file.set_len(self.end).map_err(failed)?;
        file.seek(SeekFrom::Start(self.end)).map_err(failed)?;
        Ok(count)
    }

    /// Adds a request. It is in the operating system's hands when this returns.
    pub(crate) fn add(&mut self, entry: &Entry, body: &[u8]) -> io::Result<()> {
        write_frame(&mut self.file, entry, body)?;
        self.file.flush()
    }
}

fn write_frame(out: &mut impl Write, header: &impl Serialize, body: &[u8]) -> io::Result<()> {
    let header = serde_json::to_vec(header)?;
    let length = u32::try_from(header.len()).map_err(io::Error::other)?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(&header)?;
    out.write_all(body)
}

/// The next header; `None` at the end, be it in the middle of a frame.
fn read_header(from: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    let whole = |read: io::Result<()>| match read {
        Ok(()) => Ok(true),
        Err(why) if why.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(why) => Err(why),
    };
    if !whole(from.read_exact(&mut length))? {
        return Ok(None);
    }
    let length = u64::from(u32::from_le_bytes(length));
    let mut header = Vec::new();
    let read = from.take(length).read_to_end(&mut header)?;
    Ok((read as u64 == length).then_some(header))
}

fn read_entry(from: &mut impl Read) -> io::Result<Option<(Entry, Bytes)>> {
    let Some(header) = read_header(from)? else {
        return Ok(None);
    };
    let Ok(entry) = serde_json::from_slice::<Entry>(&header) else {
        return Ok(None);
    };
    let mut body = Vec::new();
    let read = from.take(entry.length).read_to_end(&mut body)?;
    Ok((read as u64 == entry.length).then(|| (entry, body.into())))
}
