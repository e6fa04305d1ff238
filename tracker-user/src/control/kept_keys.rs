//! The keys of connection ids in memory that the service manager keeps open: a daemon that it starts again goes on with them,
//! so no client that has an id must ask for another. They are nowhere else: no file, no other process.

use crate::inherited::KEYS_NAME;
use crate::notify::Notifier;
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use tracker_common::connection_id::Keys;

/// What the memory begins with: what it is, and of which version.
const MAGIC: [u8; 8] = *b"otx-key2";
const LEN: usize = MAGIC.len() + Keys::WORDS * 8;

/// The memory with the keys.
#[derive(Debug)]
pub struct KeptKeys(File);

impl KeptKeys {
    /// Writes keys to the memory that an earlier start has left, or to new one, and has the service manager keep it.
    ///
    /// # Errors
    /// Where the kernel gives no memory.
    pub fn keep(keys: &Keys, left: Option<File>, notifier: &Notifier) -> io::Result<Self> {
        let is_new = left.is_none();
        let file = match left {
            Some(file) => file,
            None => File::from(memfd_create(KEYS_NAME, MFdFlags::MFD_CLOEXEC)?),
        };
        let kept = Self(file);
        kept.write(keys)?;
        if is_new {
            notifier.keep(KEYS_NAME, kept.0.as_fd());
        }
        Ok(kept)
    }

    /// The keys of the memory that an earlier start has left.
    ///
    /// # Errors
    /// Where there are none in it.
    pub fn read(left: &File) -> io::Result<Keys> {
        let mut bytes = [0; LEN];
        left.read_exact_at(&mut bytes, 0)?;
        let (magic, words) = bytes.split_at(MAGIC.len());
        let mut parsed = [0; Keys::WORDS];
        for (word, bytes) in parsed.iter_mut().zip(words.as_chunks::<8>().0) {
            *word = u64::from_ne_bytes(*bytes);
        }
        if magic != MAGIC || parsed[Keys::WORDS - 1] > 1 {
            return Err(ErrorKind::InvalidData.into());
        }
        Ok(Keys::from_words(parsed))
    }

    /// Replaces the keys.
    ///
    /// # Errors
    /// Where there is no memory left.
    pub fn write(&self, keys: &Keys) -> io::Result<()> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(keys.words().iter().flat_map(|word| word.to_ne_bytes()));
        self.0.write_all_at(&bytes, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::{KeptKeys, LEN};
    use crate::notify::Notifier;
    use nix::sys::memfd::{MFdFlags, memfd_create};
    use std::fs::File;
    use std::os::unix::fs::FileExt;
    use tracker_common::connection_id::Keys;

    #[test]
    fn what_is_kept_is_read_as_it_was_and_anything_else_is_refused() {
        let memory = || File::from(memfd_create("test", MFdFlags::MFD_CLOEXEC).unwrap());
        let left = memory();
        let keys = Keys::new([[1, 2], [3, 4]]).rotated([5, 6]);
        let kept =
            KeptKeys::keep(&keys, Some(left.try_clone().unwrap()), &Notifier::from_environment()).unwrap();
        assert_eq!(KeptKeys::read(&left).unwrap().words(), keys.words());
        let rotated = keys.rotated([7, 8]);
        kept.write(&rotated).unwrap();
        assert_eq!(KeptKeys::read(&left).unwrap().words(), rotated.words());
        // Which of two keys issues is one of two.
        left.write_all_at(&[2], LEN as u64 - 8).unwrap();
        assert!(KeptKeys::read(&left).is_err());
        assert!(KeptKeys::read(&memory()).is_err());
    }
}
