//! Scoring one passage: `cargo bench -p corruptor --bench likelihood`.

use std::hint::black_box;

use corruptor::{Channel, CorruptSettings, Likelihood, Passage};
use criterion::{Criterion, criterion_group, criterion_main};

const TEXT: &str = include_str!("english.txt");

fn likelihood(c: &mut Criterion) {
    let settings = CorruptSettings { clean_share: 0.0, ..CorruptSettings::default() };
    let channel = Channel::new(&settings).expect("the default settings are valid");
    let likelihood = Likelihood::new(&settings).expect("the default settings are valid");
    for bytes in [256, 1_000, 4_000] {
        let text = &TEXT[..TEXT.floor_char_boundary(bytes)];
        let passage = Passage { source: "bench", doc_id: "d", start: 0, text };
        let pairs: Vec<String> = (0..16).map(|copy| channel.pair(&passage, copy).corrupted).collect();
        let mut group = c.benchmark_group(format!("{bytes} bytes, three levels"));
        group.sample_size(20);
        let mut next = pairs.iter().cycle();
        group.bench_function("score", |b| {
            b.iter(|| likelihood.score(black_box(text), next.next().map_or("", String::as_str)));
        });
        group.bench_function("explain", |b| {
            b.iter(|| likelihood.explain(black_box(text), next.next().map_or("", String::as_str)));
        });
        group.finish();
    }
}

criterion_group!(benches, likelihood);
criterion_main!(benches);
