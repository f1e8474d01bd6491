//! Throughput of the tagger on one thread: a training step without the optimizer, and restoration.
use std::time::Instant;
use corruptor::{Channel, CorruptSettings, Passage};
use restorer::tagger::{Tagger, TaggerConfig};
use restorer::train::{LossMode, Trainable};
use restorer::{LoadOptions, RestoreRequest, Restorer};

fn main() {
    let text = std::fs::read_to_string(std::env::args().nth(1).unwrap()).unwrap();
    let model = Tagger::random(&TaggerConfig::default(), &LoadOptions { threads: Some(1), ..Default::default() }).unwrap();
    let channel = Channel::new(&CorruptSettings::default()).unwrap();
    let pairs: Vec<_> = corruptor::passages(&text, 512, 16).take(32).enumerate()
        .map(|(i, r)| channel.pair(&Passage { source: "s", doc_id: "d", start: i as u64, text: &text[r] }, 0)).collect();
    let examples: Vec<_> = pairs.iter().flat_map(|p| model.examples(p).unwrap()).collect();
    for size in [2, 4, 8, 16] {
        let batch: Vec<_> = examples.iter().take(size).collect();
        let bytes: usize = batch.iter().map(|e| model.example_tokens(e)).sum();
        let mut times = vec![];
        for _ in 0..6 {
            let t = Instant::now();
            let loss = model.loss(&batch, LossMode::Train { seed: 1 }).unwrap();
            let f = t.elapsed().as_secs_f64();
            let g = loss.loss.backward().unwrap();
            times.push((t.elapsed().as_secs_f64(), f));
            assert!(g.get(&loss.rows[0].leaf).is_some());
        }
        times.sort_by(|a, b| a.0.total_cmp(&b.0));
        println!("{size}: {bytes} tokens, {:.0} tokens/s, forward {:.1} ms of {:.1}", bytes as f64 / times[1].0, times[1].1 * 1e3, times[1].0 * 1e3);
    }
    let requests: Vec<_> = pairs.iter().map(|p| RestoreRequest::new(&p.corrupted)).collect();
    let t = Instant::now();
    let n: usize = requests.iter().map(|r| r.text.len()).sum();
    model.restore(&requests).unwrap();
    println!("restore {:.0} bytes/s", n as f64 / t.elapsed().as_secs_f64());
}
