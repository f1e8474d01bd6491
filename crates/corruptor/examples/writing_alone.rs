//! How long writing takes without making: pairs are read into memory, then written by two threads, with the properties that
//! `corruptor generate` writes with.
//!
//!     cargo run --release -p corruptor --example writing_alone -- PAIRS OUT

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Instant;

use corruptor::Pair;
use corruptor::pairs::{PairMetadata, PairWriter, pair_files, read_pairs};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const THREADS: usize = 2;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(from), Some(out)) = (arguments.next(), arguments.next()) else {
        return Err("name one split of a set of pairs, and a directory to write into".into());
    };
    let metadata = PairMetadata::read(&pair_files(&from)?[0])?;
    let pairs: Vec<Pair> = read_pairs(&from)?.collect::<Result<_, _>>()?;
    let text_bytes: usize = pairs.iter().map(|pair| pair.original.len()).sum();
    let (rows, share) = (pairs.len(), pairs.len().div_ceil(THREADS));
    let mut shares = Vec::new();
    let mut pairs = pairs.into_iter();
    for _ in 0..THREADS {
        shares.push(pairs.by_ref().take(share).collect::<Vec<_>>());
    }
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let writers: Vec<_> = shares
            .into_iter()
            .enumerate()
            .map(|(thread, pairs)| {
                let directory = out.join(thread.to_string());
                let metadata = &metadata;
                scope.spawn(move || {
                    let mut writer = PairWriter::create(&directory, metadata)?;
                    pairs.into_iter().try_for_each(|pair| writer.write(pair))?;
                    writer.finish()
                })
            })
            .collect();
        writers.into_iter().try_for_each(|writer| {
            writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)).map(drop)
        })
    })?;
    let seconds = begun.elapsed().as_secs_f64();
    let megabytes = text_bytes as f64 / 1e6;
    writeln!(
        std::io::stdout(),
        "{rows} pairs, {megabytes:.1} MB of originals, {seconds:.2} s, {:.0} MB/s",
        megabytes / seconds
    )?;
    Ok(())
}
