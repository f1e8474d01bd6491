//! Cutting documents into passages: bytes of text a second.
//!
//! `english.txt` is the beginning of *Moby-Dick* (1851, public domain).

use corruptor::passages;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const ENGLISH: &str = include_str!("english.txt");

fn cut(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("passages");
    let accented = ENGLISH.replace("e ", "é ").replace("' ", "’ ");
    for (name, text) in [("ascii", ENGLISH), ("accented", accented.as_str())] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        for window_bytes in [256, 512, 4_096] {
            group.bench_function(BenchmarkId::new(name, window_bytes), |bencher| {
                bencher.iter(|| passages(text, window_bytes, 16).map(|range| range.len()).sum::<usize>());
            });
        }
    }
    group.finish();
}

criterion_group!(benches, cut);
criterion_main!(benches);
