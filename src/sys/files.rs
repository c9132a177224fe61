//! Files that survive a crash: written beside, fsynced, renamed, the folder fsynced.
#![allow(clippy::disallowed_methods, reason = "this is the edge the lint keeps others away from")]

use std::fs::{self, File, Permissions};
use std::io::{ErrorKind, Read, Result, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, chown, fchown, lchown};
use std::path::Path;

use nix::unistd::{Group, User};

use super::process::OsUser;

/// Who may read a file that we write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// 0600, ours alone.
    Private,
    /// 0640, owned by us with the user's group: the user reads, nobody else.
    ReadableBy(OsUser),
    /// 0600, owned by that user: for programs that insist on owning their secrets.
    OwnedBy(OsUser),
    /// 0644, no secrets.
    Public,
}

impl Access {
    fn mode(&self) -> u32 {
        match self {
            Self::Private | Self::OwnedBy(_) => 0o600,
            Self::ReadableBy(_) => 0o640,
            Self::Public => 0o644,
        }
    }

    fn owner(&self) -> Result<(Option<u32>, Option<u32>)> {
        match self {
            Self::Private | Self::Public => Ok((None, None)),
            Self::ReadableBy(user) => Ok((None, Some(ids(user)?.1))),
            Self::OwnedBy(user) => ids(user).map(|(uid, gid)| (Some(uid), Some(gid))),
        }
    }
}

/// uid and primary gid of an OS user.
pub fn ids(OsUser(name): &OsUser) -> Result<(u32, u32)> {
    let missing = || std::io::Error::new(ErrorKind::NotFound, format!("no OS user `{name}`"));
    let user = User::from_name(name)?.ok_or_else(missing)?;
    let group = Group::from_gid(user.gid)?.map_or(user.gid, |group| group.gid);
    Ok((user.uid.as_raw(), group.as_raw()))
}

/// Writes all or nothing. Answers whether the content was different before.
pub fn write(path: &Path, content: &[u8], access: &Access) -> Result<bool> {
    if fs::read(path).is_ok_and(|have| have == content) && same_mode(path, access) {
        return Ok(false);
    }
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut file = tempfile::Builder::new().prefix(".tmp-").tempfile_in(folder)?;
    file.write_all(content)?;
    let (uid, gid) = access.owner()?;
    if nix::unistd::geteuid().is_root() {
        // On the handle: a path in somebody else's folder may have changed hands.
        fchown(file.as_file(), uid, gid)?;
    }
    file.as_file().set_permissions(Permissions::from_mode(access.mode()))?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    sync_folder(folder)?;
    Ok(true)
}

fn same_mode(path: &Path, access: &Access) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o7777 == access.mode())
}

/// Makes a folder (and those above it) that `owner` owns with this mode.
pub fn make_folder(path: &Path, owner: Option<&OsUser>, mode: u32) -> Result<()> {
    fs::create_dir_all(path)?;
    if let Some(user) = owner.filter(|_| nix::unistd::geteuid().is_root()) {
        let (uid, gid) = ids(user)?;
        chown(path, Some(uid), Some(gid))?;
    }
    fs::set_permissions(path, Permissions::from_mode(mode))
}

/// Makes a folder that is ours and that the user's group may read: 0750.
pub fn make_folder_for_readers(path: &Path, user: &OsUser) -> Result<()> {
    fs::create_dir_all(path)?;
    if nix::unistd::geteuid().is_root() {
        chown(path, None, Some(ids(user)?.1))?;
    }
    fs::set_permissions(path, Permissions::from_mode(0o750))
}

/// Makes a folder that must not be there yet, below one that `owner` may write
/// to: nothing that was planted in its place is followed.
pub fn make_fresh_folder(path: &Path, owner: &OsUser, mode: u32) -> Result<()> {
    fs::DirBuilder::new().mode(mode).create(path)?;
    if nix::unistd::geteuid().is_root() {
        let (uid, gid) = ids(owner)?;
        lchown(path, Some(uid), Some(gid))?;
    }
    Ok(())
}

/// The content, or `None` when there is no such file. A symbolic link is an
/// error: the database user must not choose what root reads.
pub fn read(path: &Path) -> Result<Option<String>> {
    let mut text = String::new();
    let opened = fs::OpenOptions::new().read(true).custom_flags(nix::fcntl::OFlag::O_NOFOLLOW.bits()).open(path);
    match opened.and_then(|mut file| file.read_to_string(&mut text)) {
        Ok(_) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Renames and makes it durable. Both names must lie in one filesystem.
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to)?;
    sync_folder(to.parent().unwrap_or(Path::new("/")))
}

/// Removes a file; fine when it is not there.
pub fn remove_file(path: &Path) -> Result<()> {
    forgive_missing(fs::remove_file(path))
}

/// Removes a folder with all in it; fine when it is not there.
pub fn remove_folder(path: &Path) -> Result<()> {
    forgive_missing(fs::remove_dir_all(path))
}

fn forgive_missing(result: Result<()>) -> Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

pub fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Names in a folder, sorted; empty when it is not there.
pub fn names_in(path: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Tells a file from the one that was there before: size and time of change.
pub fn stamp(path: &Path) -> Result<String> {
    use std::os::unix::fs::MetadataExt as _;
    let about = std::fs::metadata(path)?;
    Ok(format!("{}-{}-{}", about.len(), about.mtime(), about.mtime_nsec()))
}

/// Bytes free for an ordinary user on the filesystem of `path`.
pub fn free_bytes(path: &Path) -> Result<u64> {
    let stat = nix::sys::statvfs::statvfs(path)?;
    Ok(stat.blocks_available() as u64 * stat.fragment_size() as u64)
}

/// Bytes free for an ordinary user, and bytes in all, of the filesystem of `path`.
pub fn space(path: &Path) -> Result<(u64, u64)> {
    let stat = nix::sys::statvfs::statvfs(path)?;
    Ok((free_bytes(path)?, stat.blocks() as u64 * stat.fragment_size() as u64))
}

/// Bytes of all files below `path`. Files that vanish meanwhile count nothing.
pub fn used_bytes(path: &Path) -> Result<u64> {
    let mut sum = 0;
    for name in names_in(path)? {
        let entry = path.join(name);
        match entry.symlink_metadata() {
            Ok(meta) if meta.is_dir() => sum += used_bytes(&entry)?,
            Ok(meta) => sum += meta.len(),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(sum)
}

fn sync_folder(path: &Path) -> Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_says_whether_anything_changed_and_sets_the_mode() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pgbackrest.conf");
        assert!(write(&path, b"a", &Access::Private).unwrap());
        assert!(!write(&path, b"a", &Access::Private).unwrap());
        assert!(write(&path, b"b", &Access::Private).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(names_in(dir.path()).unwrap(), ["pgbackrest.conf"]);
    }

    #[test]
    fn a_file_made_too_wide_by_hand_is_narrowed_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        write(&path, b"a", &Access::Private).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert!(write(&path, b"a", &Access::Private).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_is_missing_is_an_answer() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("none");
        assert_eq!(read(&path).unwrap(), None);
        assert!(names_in(&path).unwrap().is_empty());
        remove_file(&path).unwrap();
        remove_folder(&path).unwrap();
    }
}
