//! T5's relative position bias (Raffel et al. 2020, arXiv 1910.10683, §2.1): a learned number a head and a bucket of distances.

use candle_core::{Result, Tensor};

use super::config::T5Config;
use crate::error::RestoreError;
use crate::layers::{DistanceBias, Init, Params};

/// The table of one stack.
#[derive(Debug)]
pub(super) struct RelativeBias {
    /// `[buckets, heads]`.
    weight: Tensor,
    buckets: usize,
    max_distance: usize,
    bidirectional: bool,
}

impl RelativeBias {
    pub(super) fn new(
        params: &mut Params,
        config: &T5Config,
        bidirectional: bool,
    ) -> std::result::Result<Self, RestoreError> {
        let deviation = Init::Deviation((config.d_model as f32).sqrt().recip());
        let weight = params.get("weight", &[config.relative_buckets, config.num_heads], deviation)?;
        let (buckets, max_distance) = (config.relative_buckets, config.relative_max_distance);
        Ok(Self { weight, buckets, max_distance, bidirectional })
    }

    /// The bias of all distances between tokens of sequences of at most `longest`.
    pub(super) fn by_distance(&self, longest: usize) -> Result<DistanceBias> {
        let reach = longest.max(1).cast_signed() - 1;
        let rows: Vec<u32> = (-reach..=reach).map(|distance| self.bucket(distance)).collect();
        let rows = Tensor::from_slice(&rows, rows.len(), self.weight.device())?;
        let values = self.weight.index_select(&rows, 0)?.t()?.contiguous()?;
        Ok(DistanceBias { values, zero: reach.unsigned_abs() })
    }

    /// The bucket of a key `distance` tokens behind its query: one a token nearby, then wider and wider ones. In float32, so that
    /// distances at a border fall where they fall in the reference implementation.
    fn bucket(&self, distance: isize) -> u32 {
        let (buckets, first, distance) = if self.bidirectional {
            let half = self.buckets / 2;
            (half, if distance > 0 { half } else { 0 }, distance.unsigned_abs())
        } else {
            (self.buckets, 0, distance.min(0).unsigned_abs())
        };
        let exact = buckets / 2;
        let bucket = if distance < exact {
            distance
        } else {
            let spread = (self.max_distance as f64 / exact as f64).ln() as f32;
            let wide = (distance as f32 / exact as f32).ln() / spread * (buckets - exact) as f32;
            (exact + wide as usize).min(buckets - 1)
        };
        (first + bucket) as u32
    }
}
