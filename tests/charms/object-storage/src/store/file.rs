//! One object = one file: the data from offset 0, then its description, then how long that is.
//!
//! One file means one rename makes an object whole. The name is the digest of the key, so that keys of
//! 1,024 bytes, keys below other keys, and keys like `..` all are just names.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

const MAGIC: &[u8; 8] = b"OBJSTOR1";
const END: usize = MAGIC.len() + 4;
/// Nearly every description fits in this tail; a longer one is read again.
const TAIL: usize = 1536;

/// What a client said about an object and wants to hear again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_class: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub user: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    pub key: String,
    pub size: u64,
    pub etag: String,
    pub modified_ms: u64,
    #[serde(flatten)]
    pub attributes: Attributes,
}

impl Meta {
    /// S3 shows whole seconds in headers; a list and a HEAD must agree.
    #[must_use]
    pub fn modified(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.modified_ms / 1000)
    }

    /// The description and the file it was read from, which from then on cannot change under the reader.
    pub fn open(path: &Path) -> io::Result<(Self, File)> {
        let file = File::open(path)?;
        Ok((Self::read(&file)?, file))
    }

    pub fn read(file: &File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        let tail = read_tail(file, length, TAIL)?;
        let end = tail.len().checked_sub(END).ok_or_else(no_object)?;
        let (described, magic) = (&tail[end..end + 4], &tail[end + 4..]);
        if magic != MAGIC {
            return Err(no_object());
        }
        let described = u32::from_le_bytes(described.try_into().map_err(|_| no_object())?) as usize;
        let tail = match end.checked_sub(described) {
            Some(_) => tail,
            None => read_tail(file, length, described + END)?,
        };
        let end = tail.len() - END;
        let start = end.checked_sub(described).ok_or_else(no_object)?;
        Ok(serde_json::from_slice(&tail[start..end])?)
    }
}

fn read_tail(file: &File, length: u64, wanted: usize) -> io::Result<Vec<u8>> {
    let wanted = wanted.min(usize::try_from(length).unwrap_or(usize::MAX));
    let mut tail = vec![0; wanted];
    file.read_exact_at(&mut tail, length - wanted as u64)?;
    Ok(tail)
}

fn no_object() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "not an object file")
}

#[must_use]
pub fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// A new object on its way: a temporary file that is gone when dropped before it is put in its place.
#[derive(Debug)]
pub struct Writer {
    file: File,
    path: PathBuf,
    digest: Md5,
    size: u64,
    placed: bool,
}

impl Writer {
    pub(super) fn create(path: PathBuf) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self { file, path, digest: Md5::new(), size: 0, placed: false })
    }

    pub fn write(&mut self, chunk: &Bytes) -> io::Result<()> {
        self.digest.update(chunk);
        self.size += chunk.len() as u64;
        self.file.write_all(chunk)
    }

    /// Data of a stored object, copied by the kernel. Leaves the digest alone: its etag is known.
    pub fn copy_from(&mut self, source: &File, range: std::ops::Range<u64>) -> io::Result<()> {
        let mut source = source;
        io::Seek::seek(&mut source, io::SeekFrom::Start(range.start))?;
        let wanted = range.end - range.start;
        let copied = io::copy(&mut source.take(wanted), &mut self.file)?;
        self.size += copied;
        match copied == wanted {
            true => Ok(()),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// The same through memory, for data whose digest is not known.
    pub fn digest_from(&mut self, source: &File, range: std::ops::Range<u64>) -> io::Result<()> {
        let mut at = range.start;
        while at < range.end {
            let mut piece = vec![0; usize::try_from((range.end - at).min(1 << 20)).map_err(io::Error::other)?];
            source.read_exact_at(&mut piece, at)?;
            at += piece.len() as u64;
            self.write(&piece.into())?;
        }
        Ok(())
    }

    #[must_use]
    pub fn md5(&self) -> [u8; 16] {
        self.digest.clone().finalize().into()
    }

    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Ends the file. What is left is to rename it.
    pub(super) fn end(&mut self, meta: &Meta, fsync: bool) -> io::Result<()> {
        let mut end = serde_json::to_vec(meta)?;
        let described = u32::try_from(end.len()).map_err(io::Error::other)?;
        end.extend(described.to_le_bytes());
        end.extend(MAGIC);
        self.file.write_all(&end)?;
        if fsync { self.file.sync_data() } else { Ok(()) }
    }

    pub(super) fn place(&mut self, path: &Path) -> io::Result<()> {
        fs::rename(&self.path, path)?;
        self.placed = true;
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.placed {
            // The start of a server clears what even this leaves behind.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
