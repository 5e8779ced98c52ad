//! Locks on the data folder, one file each below `locks/`. The kernel releases a lock when its holder ends, however it
//! ends; the file contains the holder's name.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::layout::LOCKS;
use super::{Store, StoreError, failed};

/// A lock that is held until this is dropped.
#[derive(Debug)]
pub struct Lock {
    file: Flock<File>,
    /// The previous holder, if it died without releasing the lock.
    pub taken_over_from: Option<String>,
}

/// The result of [`Store::lock`].
#[derive(Debug)]
pub enum Locked {
    /// It is ours.
    Taken(Lock),
    /// Another process has it; its name.
    HeldBy(String),
}

impl Store {
    /// Takes a lock, or returns at once who has it. `holder` is the name that others then see.
    ///
    /// # Errors
    /// When the lock's file cannot be opened, read or written.
    pub fn lock(&self, name: &str, holder: &str) -> Result<Locked, StoreError> {
        let path = self.lock_file(name);
        let folder = self.root().join(LOCKS);
        fs::create_dir_all(&folder).map_err(failed("make the folder", &folder))?;
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = open.map_err(failed("open", &path))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut file) => {
                let before = read(&mut file).map_err(failed("read", &path))?;
                write(&mut file, holder).map_err(failed("write", &path))?;
                let taken_over_from = Some(before).filter(|before| !before.is_empty());
                Ok(Locked::Taken(Lock { file, taken_over_from }))
            }
            Err((mut file, Errno::EWOULDBLOCK)) => {
                Ok(Locked::HeldBy(read(&mut file).map_err(failed("read", &path))?))
            }
            Err((_, error)) => Err(failed("lock", &path)(error.into())),
        }
    }

    /// The name and the holder of every lock that was not released; the holder may be dead.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub fn lock_holders(&self) -> Result<Vec<(String, String)>, StoreError> {
        let folder = self.root().join(LOCKS);
        let mut found = Vec::new();
        if !folder.is_dir() {
            return Ok(found);
        }
        for entry in fs::read_dir(&folder).map_err(failed("list", &folder))? {
            let path = entry.map_err(failed("list", &folder))?.path();
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let holder = fs::read_to_string(&path).map_err(failed("read", &path))?;
            if !holder.is_empty() {
                found.push((name, holder));
            }
        }
        found.sort();
        Ok(found)
    }

    fn lock_file(&self, name: &str) -> PathBuf {
        self.root().join(LOCKS).join(format!("{name}.lock"))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // A name left in the file would mean that the holder died.
        let _ = self.file.set_len(0);
    }
}

fn read(file: &mut File) -> std::io::Result<String> {
    let mut holder = String::new();
    file.rewind()?;
    file.read_to_string(&mut holder)?;
    Ok(holder)
}

fn write(file: &mut File, holder: &str) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(holder.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(store: &Store, holder: &str) -> Lock {
        match store.lock("crawl", holder).unwrap() {
            Locked::Taken(lock) => lock,
            Locked::HeldBy(who) => panic!("held by {who}"),
        }
    }

    #[test]
    fn a_held_lock_names_its_holder_and_a_released_one_is_free() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let first = taken(&store, "first");
        assert_eq!(first.taken_over_from, None);
        assert!(matches!(store.lock("crawl", "second").unwrap(), Locked::HeldBy(who) if who == "first"));
        assert!(matches!(store.lock("clips", "second").unwrap(), Locked::Taken(_)));
        assert_eq!(store.lock_holders().unwrap(), [("crawl".to_owned(), "first".to_owned())]);
        drop(first);
        assert!(store.lock_holders().unwrap().is_empty());
        assert_eq!(taken(&store, "third").taken_over_from, None);
    }

    #[test]
    fn a_holder_that_died_is_named_to_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        drop(taken(&store, "somebody"));
        fs::write(store.lock_file("crawl"), "a dead one").unwrap();
        assert_eq!(taken(&store, "next").taken_over_from.as_deref(), Some("a dead one"));
    }

    #[test]
    fn a_lock_folder_that_cannot_be_made_is_named_in_the_error() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        fs::write(store.root().join(LOCKS), "").unwrap();
        let refused = store.lock("files", "somebody").unwrap_err().to_string();
        assert!(refused.contains("make the folder") && refused.contains("/locks: "), "{refused}");
    }
}
