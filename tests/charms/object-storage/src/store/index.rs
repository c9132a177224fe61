//! Buckets and objects: the names in memory, in order; the files as the truth.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use super::file::{Attributes, Meta, Writer, hex, now_ms};
use super::listing::{Page, Query};
use super::touched::Touched;
use crate::keys::random_text;

/// Why the store does not do it. The S3 code of each is in `s3::refusal`.
#[derive(Debug)]
pub enum Refused {
    NoSuchBucket,
    NoSuchKey,
    NoSuchUpload,
    BucketExists,
    BucketNotEmpty,
    PreconditionFailed,
    InvalidPart,
    InvalidPartOrder,
    PartTooSmall,
    Io(io::Error),
}

impl From<io::Error> for Refused {
    fn from(err: io::Error) -> Self {
        Self::Io(err)
    }
}

/// What must hold at the moment when the new object takes its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    Always,
    Absent,
    Etag(String),
}

#[derive(Debug, Clone)]
pub struct Entry {
    pub size: u64,
    pub etag: Box<str>,
    pub modified: SystemTime,
}

impl From<&Meta> for Entry {
    fn from(meta: &Meta) -> Self {
        Self { size: meta.size, etag: meta.etag.as_str().into(), modified: meta.modified() }
    }
}

#[derive(Debug)]
struct Bucket {
    created: SystemTime,
    objects: BTreeMap<String, Entry>,
}

/// How an object is spoilt for a test, behind the server's back: its etag stays what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    Flip,
    Truncate,
    Delete,
}

#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    fsync: bool,
    visitor: bool,
    buckets: RwLock<BTreeMap<String, Bucket>>,
    touched: Touched,
}

impl Store {
    /// For the server, of which there is one: what earlier ones left unfinished is removed.
    pub fn serve(dir: &Path, fsync: bool) -> io::Result<Self> {
        match fs::remove_dir_all(dir.join("tmp")) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => Err(err),
            _ => Self::open(dir, fsync, false),
        }
    }

    /// For the charm's actions: a running server sees each change at its next request.
    pub fn visit(dir: &Path) -> io::Result<Self> {
        Self::open(dir, true, true)
    }

    fn open(dir: &Path, fsync: bool, visitor: bool) -> io::Result<Self> {
        for name in ["buckets", "tmp", "uploads"] {
            fs::create_dir_all(dir.join(name))?;
        }
        let touched = Touched::from_now(dir.join("touched"))?;
        let mut buckets = BTreeMap::new();
        for entry in fs::read_dir(dir.join("buckets"))? {
            let entry = entry?;
            let bucket = Bucket { created: created(&entry.path())?, objects: load(&entry.path())? };
            buckets.insert(entry.file_name().to_string_lossy().into_owned(), bucket);
        }
        Ok(Self { dir: dir.to_owned(), fsync, visitor, buckets: RwLock::new(buckets), touched })
    }

    /// Takes in what a visitor changed. Costs one `stat` when there is nothing.
    pub fn refresh(&self) -> io::Result<()> {
        self.touched.each_new(|touch| {
            let dir = self.bucket_dir(&touch.bucket);
            let mut buckets = self.write();
            if !dir.is_dir() {
                buckets.remove(&touch.bucket);
                return Ok(());
            }
            let created = created(&dir)?;
            let bucket = buckets.entry(touch.bucket.clone()).or_insert(Bucket { created, objects: BTreeMap::new() });
            let Some(key) = touch.key else { return Ok(()) };
            match Meta::open(&self.object_path(&touch.bucket, &key)) {
                Ok((meta, _)) => bucket.objects.insert(key, Entry::from(&meta)),
                Err(_) => bucket.objects.remove(&key),
            };
            Ok(())
        })
    }

    pub fn create_bucket(&self, name: &str) -> Result<(), Refused> {
        let mut buckets = self.write();
        if buckets.contains_key(name) {
            return Err(Refused::BucketExists);
        }
        let dir = self.bucket_dir(name);
        fs::create_dir_all(&dir)?;
        fs::write(dir.join(".created"), now_ms().to_string())?;
        buckets.insert(name.to_owned(), Bucket { created: created(&dir)?, objects: BTreeMap::new() });
        self.tell(name, None)
    }

    pub fn delete_bucket(&self, name: &str) -> Result<(), Refused> {
        let mut buckets = self.write();
        match buckets.get(name) {
            None => return Err(Refused::NoSuchBucket),
            Some(bucket) if !bucket.objects.is_empty() => return Err(Refused::BucketNotEmpty),
            Some(_) => fs::remove_dir_all(self.bucket_dir(name))?,
        }
        buckets.remove(name);
        self.tell(name, None)
    }

    #[must_use]
    pub fn buckets(&self) -> Vec<(String, SystemTime)> {
        self.read().iter().map(|(name, bucket)| (name.clone(), bucket.created)).collect()
    }

    pub fn require_bucket(&self, name: &str) -> Result<(), Refused> {
        self.read().contains_key(name).then_some(()).ok_or(Refused::NoSuchBucket)
    }

    pub fn list(&self, bucket: &str, query: &Query) -> Result<Page<Entry>, Refused> {
        let buckets = self.read();
        Ok(query.run(&buckets.get(bucket).ok_or(Refused::NoSuchBucket)?.objects))
    }

    pub fn open_object(&self, bucket: &str, key: &str) -> Result<(Meta, File), Refused> {
        let known = |bucket: &Bucket| bucket.objects.contains_key(key);
        match self.read().get(bucket).map(known) {
            None => return Err(Refused::NoSuchBucket),
            Some(false) => return Err(Refused::NoSuchKey),
            Some(true) => {}
        }
        match Meta::open(&self.object_path(bucket, key)) {
            // Deleted since.
            Err(err) if err.kind() == io::ErrorKind::NotFound => Err(Refused::NoSuchKey),
            opened => Ok(opened?),
        }
    }

    pub fn writer(&self) -> io::Result<Writer> {
        Writer::create(self.dir.join("tmp").join(random_text(24)?))
    }

    /// The object becomes visible: whole, and only when the condition holds.
    pub fn commit(
        &self,
        bucket: &str,
        key: &str,
        mut writer: Writer,
        etag: String,
        attributes: Attributes,
        condition: &Condition,
    ) -> Result<Meta, Refused> {
        let meta = Meta { key: key.to_owned(), size: writer.size(), etag, modified_ms: now_ms(), attributes };
        writer.end(&meta, self.fsync)?;
        self.place(bucket, &mut writer, &meta, condition)?;
        Ok(meta)
    }

    fn place(&self, bucket: &str, writer: &mut Writer, meta: &Meta, condition: &Condition) -> Result<(), Refused> {
        let path = self.object_path(bucket, &meta.key);
        let shelf = path.parent().unwrap_or(&self.dir);
        let mut buckets = self.write();
        let objects = &mut buckets.get_mut(bucket).ok_or(Refused::NoSuchBucket)?.objects;
        let holds = match (condition, objects.get(&meta.key)) {
            (Condition::Always, _) | (Condition::Absent, None) => true,
            (Condition::Etag(_), None) => return Err(Refused::NoSuchKey),
            (Condition::Etag(etag), Some(there)) => *etag == *there.etag,
            (Condition::Absent, Some(_)) => false,
        };
        if !holds {
            return Err(Refused::PreconditionFailed);
        }
        fs::create_dir_all(shelf)?;
        writer.place(&path)?;
        objects.insert(meta.key.clone(), Entry::from(meta));
        drop(buckets);
        if self.fsync {
            File::open(shelf)?.sync_all()?;
        }
        self.tell(bucket, Some(&meta.key))
    }

    /// Whether there was one.
    pub fn delete(&self, bucket: &str, key: &str) -> Result<bool, Refused> {
        let mut buckets = self.write();
        let there = buckets.get_mut(bucket).ok_or(Refused::NoSuchBucket)?.objects.remove(key).is_some();
        if there {
            match fs::remove_file(self.object_path(bucket, key)) {
                Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(err.into()),
                _ => self.tell(bucket, Some(key))?,
            }
        }
        Ok(there)
    }

    pub fn damage(&self, bucket: &str, key: &str, damage: Damage) -> Result<(), Refused> {
        let (mut meta, file) = self.open_object(bucket, key)?;
        match damage {
            Damage::Delete => self.delete(bucket, key).map(drop),
            Damage::Truncate => {
                meta.size /= 2;
                let mut writer = self.writer()?;
                writer.copy_from(&file, 0..meta.size)?;
                writer.end(&meta, self.fsync)?;
                self.place(bucket, &mut writer, &meta, &Condition::Always)
            }
            Damage::Flip if meta.size == 0 => Err(Refused::Io(io::Error::other("an empty object has nothing to flip"))),
            Damage::Flip => {
                let file = File::options().read(true).write(true).open(self.object_path(bucket, key))?;
                let mut byte = [0];
                file.read_exact_at(&mut byte, meta.size / 2)?;
                file.write_all_at(&[!byte[0]], meta.size / 2)?;
                Ok(file.sync_all()?)
            }
        }
    }

    pub(super) fn uploads_dir(&self) -> PathBuf {
        self.dir.join("uploads")
    }

    pub(super) fn fsync(&self) -> bool {
        self.fsync
    }

    fn tell(&self, bucket: &str, key: Option<&str>) -> Result<(), Refused> {
        if self.visitor {
            self.touched.append(bucket, key)?;
        }
        Ok(())
    }

    fn bucket_dir(&self, bucket: &str) -> PathBuf {
        self.dir.join("buckets").join(bucket)
    }

    fn object_path(&self, bucket: &str, key: &str) -> PathBuf {
        let digest = hex(&Sha256::digest(key));
        let (shelf, name) = digest.split_at(2);
        self.bucket_dir(bucket).join(shelf).join(name)
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, Bucket>> {
        self.buckets.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Bucket>> {
        self.buckets.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn created(dir: &Path) -> io::Result<SystemTime> {
    match fs::read_to_string(dir.join(".created")).ok().and_then(|text| text.parse().ok()) {
        Some(ms) => Ok(UNIX_EPOCH + Duration::from_millis(ms)),
        None => fs::metadata(dir)?.modified(),
    }
}

fn load(bucket: &Path) -> io::Result<BTreeMap<String, Entry>> {
    let mut objects = BTreeMap::new();
    for shelf in fs::read_dir(bucket)? {
        let shelf = shelf?;
        if !shelf.file_type()?.is_dir() {
            continue;
        }
        for object in fs::read_dir(shelf.path())? {
            match Meta::open(&object?.path()) {
                Ok((meta, _)) => drop(objects.insert(meta.key.clone(), Entry::from(&meta))),
                Err(err) if err.kind() == io::ErrorKind::NotFound => {}
                Err(err) => eprintln!("object-storage: left out a file that is no object: {err}"),
            }
        }
    }
    Ok(objects)
}
