//! A set of digests of any size: in memory up to a bound, then in a file of buckets.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::io_error::IoError;

/// Digests that are held in memory; 7/8 of a power of two, which is when a hash table doubles. It takes about 72 MB.
const IN_MEMORY: usize = (7 << 22) / 8;

/// 128-bit digests; they must be uniformly distributed, as BLAKE3's are.
#[derive(Debug)]
pub(super) struct DigestSet {
    memory: HashSet<u128>,
    in_memory: usize,
    directory: PathBuf,
    spilled: Option<Buckets>,
}

impl Default for DigestSet {
    fn default() -> Self {
        Self::spilling_into(&std::env::temp_dir())
    }
}

impl DigestSet {
    /// An empty set whose file will lie in `directory`.
    pub(super) fn spilling_into(directory: &Path) -> Self {
        Self::with_bound(directory, IN_MEMORY)
    }

    fn with_bound(directory: &Path, in_memory: usize) -> Self {
        Self { memory: HashSet::new(), in_memory, directory: directory.to_path_buf(), spilled: None }
    }

    /// Whether the digest is new.
    ///
    /// # Errors
    /// If the file cannot be made, read or written.
    pub(super) fn insert(&mut self, digest: u128) -> Result<bool, IoError> {
        let failed = IoError::file("keep digests of documents in", &self.directory);
        if let Some(buckets) = &mut self.spilled {
            return buckets.insert(digest).map_err(failed);
        }
        if self.memory.len() < self.in_memory || self.memory.contains(&digest) {
            return Ok(self.memory.insert(digest));
        }
        let mut digests: Vec<u128> = std::mem::take(&mut self.memory).into_iter().collect();
        digests.push(digest);
        digests.sort_unstable();
        self.spilled = Some(Buckets::of(&self.directory, &digests).map_err(failed)?);
        Ok(true)
    }
}

/// Bytes of a bucket: a page, so that a look-up reads one.
const BUCKET_BYTES: usize = 4096;
const DIGEST_BYTES: usize = 16;
/// Digests that a bucket can hold, after a place for their number.
const CAPACITY: usize = BUCKET_BYTES / DIGEST_BYTES - 1;
/// Digests a bucket on average, above which the file doubles: full ones are then next to impossible.
const MEAN_LOAD: u64 = 160;

type Bucket = [u8; BUCKET_BYTES];

/// A file of 2^bits buckets; a digest stands in the one that its first bits name.
#[derive(Debug)]
struct Buckets {
    directory: PathBuf,
    file: File,
    bits: u32,
    digests: u64,
}

impl Buckets {
    /// The digests, which must be sorted.
    fn of(directory: &Path, digests: &[u128]) -> io::Result<Self> {
        let mut bits = 1;
        while (digests.len() as u64) >> bits > MEAN_LOAD / 2 {
            bits += 1;
        }
        let file = tempfile::tempfile_in(directory)?;
        let mut buckets = Self { directory: directory.to_path_buf(), file, bits, digests: 0 };
        let mut rest = digests;
        for index in 0..1u64 << bits {
            let (own, after) =
                rest.split_at(rest.partition_point(|&digest| digest >> (128 - bits) <= index.into()));
            buckets.write(index, &packed(own)?)?;
            rest = after;
        }
        buckets.digests = digests.len() as u64;
        Ok(buckets)
    }

    fn insert(&mut self, digest: u128) -> io::Result<bool> {
        let index = (digest >> (128 - self.bits)) as u64;
        let mut bucket = self.read(index)?;
        let count = count(&bucket);
        if held(&bucket).any(|other| other == digest) {
            return Ok(false);
        }
        if count == CAPACITY || self.digests >= MEAN_LOAD << self.bits {
            self.double()?;
            return self.insert(digest);
        }
        bucket[..2].copy_from_slice(&(count as u16 + 1).to_le_bytes());
        let at = DIGEST_BYTES * (count + 1);
        bucket[at..at + DIGEST_BYTES].copy_from_slice(&digest.to_le_bytes());
        self.write(index, &bucket)?;
        self.digests += 1;
        Ok(true)
    }

    /// Writes a file of twice as many buckets: each becomes two neighbours, so both files are passed from front to back.
    fn double(&mut self) -> io::Result<()> {
        let file = tempfile::tempfile_in(&self.directory)?;
        let larger =
            Self { directory: self.directory.clone(), file, bits: self.bits + 1, digests: self.digests };
        for index in 0..1u64 << self.bits {
            let bucket = self.read(index)?;
            let is_right = |digest: u128| digest >> (128 - larger.bits) & 1 == 1;
            let (right, left): (Vec<u128>, Vec<u128>) = held(&bucket).partition(|&digest| is_right(digest));
            larger.write(2 * index, &packed(&left)?)?;
            larger.write(2 * index + 1, &packed(&right)?)?;
        }
        *self = larger;
        Ok(())
    }

    fn read(&self, index: u64) -> io::Result<Bucket> {
        let mut bucket = [0; BUCKET_BYTES];
        read_exact_at(&self.file, &mut bucket, index * BUCKET_BYTES as u64)?;
        Ok(bucket)
    }

    fn write(&self, index: u64, bucket: &Bucket) -> io::Result<()> {
        write_all_at(&self.file, bucket, index * BUCKET_BYTES as u64)
    }
}

fn count(bucket: &Bucket) -> usize {
    usize::from(u16::from_le_bytes([bucket[0], bucket[1]])).min(CAPACITY)
}

fn held(bucket: &Bucket) -> impl Iterator<Item = u128> {
    let digests = bucket.as_chunks::<DIGEST_BYTES>().0;
    digests[1..=count(bucket)].iter().map(|digest| u128::from_le_bytes(*digest))
}

/// A bucket with these digests.
fn packed(digests: &[u128]) -> io::Result<Bucket> {
    if digests.len() > CAPACITY {
        return Err(io::Error::other("digests that are not uniformly distributed"));
    }
    let mut bucket = [0; BUCKET_BYTES];
    bucket[..2].copy_from_slice(&(digests.len() as u16).to_le_bytes());
    for (place, digest) in bucket.as_chunks_mut::<DIGEST_BYTES>().0[1..].iter_mut().zip(digests) {
        *place = digest.to_le_bytes();
    }
    Ok(bucket)
}

#[cfg(unix)]
use std::os::unix::fs::FileExt;

#[cfg(unix)]
fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    file.read_exact_at(buffer, offset)
}

#[cfg(unix)]
fn write_all_at(file: &File, buffer: &[u8], offset: u64) -> io::Result<()> {
    file.write_all_at(buffer, offset)
}

#[cfg(not(unix))]
fn read_exact_at(mut file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    io::Seek::seek(&mut file, io::SeekFrom::Start(offset))?;
    io::Read::read_exact(&mut file, buffer)
}

#[cfg(not(unix))]
fn write_all_at(mut file: &File, buffer: &[u8], offset: u64) -> io::Result<()> {
    io::Seek::seek(&mut file, io::SeekFrom::Start(offset))?;
    io::Write::write_all(&mut file, buffer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::digest;

    #[test]
    fn a_spilled_set_answers_as_one_in_memory() {
        let home = tempfile::tempdir().unwrap();
        for bound in [0, 1, 100, 5_000] {
            let mut spilling = DigestSet::with_bound(home.path(), bound);
            let mut expected = HashSet::new();
            let mut stream = crate::RecordStream::for_purpose(3, "digests");
            for _ in 0..60_000 {
                // Every number comes back about twice, sooner or later.
                let digest = digest(&[&stream.below(30_000).to_string()]);
                assert_eq!(spilling.insert(digest).unwrap(), expected.insert(digest), "bound {bound}");
            }
            let buckets = spilling.spilled.expect("the bound was passed");
            assert_eq!(buckets.digests as usize, expected.len());
            assert!(buckets.bits > 6, "it has doubled several times");
        }
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "the file has no name");
    }
}
