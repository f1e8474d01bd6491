//! The channel in memory: bytes of English originals a second, events logged.
//!
//! `english.txt` is the beginning of *Moby-Dick* (1851, public domain).

use corruptor::{Channel, CorruptSettings, Passage, Workspace, passages};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rayon::prelude::*;

const ENGLISH: &str = include_str!("english.txt");
/// How often the text is taken, each time under another document id.
const DOCUMENTS: usize = 64;

/// Passages of `window_bytes`, of all documents.
fn records(window_bytes: usize) -> Vec<(String, usize, &'static str)> {
    let cut: Vec<_> = passages(ENGLISH, window_bytes, 16).collect();
    (0..DOCUMENTS)
        .flat_map(|i| {
            cut.iter().map(move |range| (format!("document-{i}"), range.start, &ENGLISH[range.clone()]))
        })
        .collect()
}

fn bytes(records: &[(String, usize, &str)]) -> Throughput {
    Throughput::Bytes(records.iter().map(|(_, _, text)| text.len() as u64).sum())
}

/// Corrupts one record; `finish` sees the result.
fn corrupt(
    channel: &Channel,
    workspace: &mut Workspace,
    (doc_id, start, text): &(String, usize, &str),
    finish: impl Fn(&Workspace, &str) -> usize,
) -> usize {
    let passage = Passage { source: "bench", doc_id, start: *start as u64, text };
    channel.record(workspace, &passage, 0);
    finish(workspace, text)
}

fn log_alone(workspace: &Workspace, _: &str) -> usize {
    workspace.text().len() + workspace.spans().len()
}

fn with_cer(workspace: &Workspace, original: &str) -> usize {
    (workspace.cer(original) * 1e6) as usize + workspace.spans().len()
}

fn one_core(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("channel");
    let channel = Channel::new(&CorruptSettings::default()).expect("defaults are valid");
    for window_bytes in [256, 512, 4_096] {
        let records = records(window_bytes);
        group.throughput(bytes(&records));
        let mut workspace = Workspace::default();
        for (name, finish) in [("log", log_alone as fn(&Workspace, &str) -> usize), ("log+cer", with_cer)] {
            group.bench_function(BenchmarkId::new(name, window_bytes), |bencher| {
                bencher.iter(|| {
                    records.iter().map(|r| corrupt(&channel, &mut workspace, r, finish)).sum::<usize>()
                });
            });
        }
    }
    group.finish();
}

fn many_cores(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("channel-threads");
    let channel = Channel::new(&CorruptSettings::default()).expect("defaults are valid");
    let records = records(512);
    group.throughput(bytes(&records));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    for threads in (0..).map(|n| 1 << n).take_while(|threads| *threads <= cores) {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        group.bench_function(BenchmarkId::new("log", threads), |bencher| {
            bencher.iter(|| {
                pool.install(|| {
                    let work = records.par_chunks(64).map_init(Workspace::default, |workspace, chunk| {
                        chunk.iter().map(|r| corrupt(&channel, workspace, r, log_alone)).sum::<usize>()
                    });
                    work.sum::<usize>()
                })
            });
        });
    }
    group.finish();
}

criterion_group!(benches, one_core, many_cores);
criterion_main!(benches);
