//! Multipart uploads: each a directory of parts, put together at the end.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

use super::file::{Attributes, Meta, Writer, hex, now_ms};
use super::index::{Condition, Refused, Store};
use crate::keys::random_text;

/// S3's rule for every part but the last.
pub const PART_MIN: u64 = 5 << 20;
const ABOUT: &str = "upload.json";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadInfo {
    #[serde(skip)]
    pub id: String,
    pub bucket: String,
    pub key: String,
    pub attributes: Attributes,
    pub initiated_ms: u64,
}

impl UploadInfo {
    #[must_use]
    pub fn initiated(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.initiated_ms)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartInfo {
    pub number: u32,
    pub etag: String,
    pub size: u64,
    pub modified: SystemTime,
}

impl Store {
    pub fn begin_upload(&self, bucket: &str, key: &str, attributes: Attributes) -> Result<String, Refused> {
        self.require_bucket(bucket)?;
        let id = random_text(32)?;
        let dir = self.uploads_dir().join(&id);
        fs::create_dir(&dir)?;
        let info = UploadInfo {
            id: id.clone(),
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            attributes,
            initiated_ms: now_ms(),
        };
        fs::write(dir.join(ABOUT), serde_json::to_vec(&info).map_err(io::Error::from)?)?;
        Ok(id)
    }

    /// The upload, if it is one of this object.
    pub fn upload(&self, bucket: &str, key: &str, id: &str) -> Result<UploadInfo, Refused> {
        let info = self.any_upload(id)?;
        (info.bucket == bucket && info.key == key).then_some(info).ok_or(Refused::NoSuchUpload)
    }

    fn any_upload(&self, id: &str) -> Result<UploadInfo, Refused> {
        // The id comes from outside and becomes a file name.
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(Refused::NoSuchUpload);
        }
        match fs::read(self.uploads_dir().join(id).join(ABOUT)) {
            Err(err) if err.kind() == io::ErrorKind::NotFound => Err(Refused::NoSuchUpload),
            read => {
                let info: UploadInfo = serde_json::from_slice(&read?).map_err(io::Error::from)?;
                Ok(UploadInfo { id: id.to_owned(), ..info })
            }
        }
    }

    pub fn uploads(&self, bucket: &str) -> Result<Vec<UploadInfo>, Refused> {
        self.require_bucket(bucket)?;
        let mut found = Vec::new();
        for entry in fs::read_dir(self.uploads_dir())? {
            // One that is being ended at this moment has no description any more.
            if let Ok(info) = self.any_upload(&entry?.file_name().to_string_lossy()) {
                found.push(info);
            }
        }
        found.retain(|info| info.bucket == bucket);
        found.sort_by(|a, b| (&a.key, a.initiated_ms, &a.id).cmp(&(&b.key, b.initiated_ms, &b.id)));
        Ok(found)
    }

    pub fn put_part(&self, upload: &UploadInfo, number: u32, mut writer: Writer, etag: String) -> Result<(), Refused> {
        let meta = Meta {
            key: upload.key.clone(),
            size: writer.size(),
            etag,
            modified_ms: now_ms(),
            attributes: Attributes::default(),
        };
        writer.end(&meta, self.fsync())?;
        match writer.place(&self.part_path(&upload.id, number)) {
            Err(err) if err.kind() == io::ErrorKind::NotFound => Err(Refused::NoSuchUpload),
            placed => Ok(placed?),
        }
    }

    pub fn parts(&self, upload: &UploadInfo) -> Result<Vec<PartInfo>, Refused> {
        let mut parts = Vec::new();
        for entry in fs::read_dir(self.uploads_dir().join(&upload.id))? {
            let path = entry?.path();
            if let Some(number) = part_number(&path) {
                let (meta, _) = Meta::open(&path)?;
                parts.push(PartInfo { number, modified: meta.modified(), size: meta.size, etag: meta.etag });
            }
        }
        parts.sort_by_key(|part| part.number);
        Ok(parts)
    }

    /// Puts the named parts together. The client names each by number and etag, in order.
    pub fn complete(
        &self,
        upload: &UploadInfo,
        named: &[(u32, String)],
        condition: &Condition,
    ) -> Result<Meta, Refused> {
        if named.is_empty() {
            return Err(Refused::InvalidPart);
        }
        if !named.is_sorted_by(|(a, _), (b, _)| a < b) {
            return Err(Refused::InvalidPartOrder);
        }
        let mut writer = self.writer()?;
        let mut digest = Md5::new();
        for (at, (number, etag)) in named.iter().enumerate() {
            let (meta, file) = Meta::open(&self.part_path(&upload.id, *number)).map_err(|_| Refused::InvalidPart)?;
            if meta.etag != *etag {
                return Err(Refused::InvalidPart);
            }
            if meta.size < PART_MIN && at + 1 < named.len() {
                return Err(Refused::PartTooSmall);
            }
            writer.copy_from(&file, 0..meta.size)?;
            digest.update(unhex(&meta.etag).ok_or(Refused::InvalidPart)?);
        }
        let etag = format!("{}-{}", hex(&digest.finalize()), named.len());
        let meta = self.commit(&upload.bucket, &upload.key, writer, etag, upload.attributes.clone(), condition)?;
        self.end_upload(upload)?;
        Ok(meta)
    }

    pub fn end_upload(&self, upload: &UploadInfo) -> Result<(), Refused> {
        Ok(fs::remove_dir_all(self.uploads_dir().join(&upload.id))?)
    }

    fn part_path(&self, id: &str, number: u32) -> PathBuf {
        self.uploads_dir().join(id).join(format!("{number:05}"))
    }
}

fn part_number(path: &Path) -> Option<u32> {
    path.file_name()?.to_str()?.parse().ok()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()).collect()
}
