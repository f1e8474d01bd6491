//! Keys and values of tokens that were seen already.

use candle_core::{Result, Tensor};

/// Keys and values of one sequence in one attention: `[tokens, 2 · kv_heads · head_dim]`, in memory that grows by doubling.
#[derive(Debug, Default)]
pub struct KvCache {
    memory: Option<Tensor>,
    tokens: usize,
}

/// Rows of a new cache, at least.
const LEAST_ROWS: usize = 64;

impl KvCache {
    /// Tokens in it.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// The rows, `[tokens, 2 · kv_heads · head_dim]`; none where there are none.
    ///
    /// # Errors
    /// If the tensor library fails.
    pub fn rows(&self) -> Result<Option<Tensor>> {
        let memory = self.memory.as_ref().filter(|_| self.tokens > 0);
        memory.map(|memory| memory.narrow(0, 0, self.tokens)).transpose()
    }

    /// A copy that grows by itself.
    ///
    /// # Errors
    /// If memory is refused.
    pub fn fork(&self) -> Result<Self> {
        Ok(Self { memory: self.memory.as_ref().map(Tensor::copy).transpose()?, tokens: self.tokens })
    }

    /// Forgets all but the first `tokens`.
    pub fn truncate(&mut self, tokens: usize) {
        self.tokens = self.tokens.min(tokens);
    }

    /// Adds rows, and gives all of them.
    ///
    /// # Errors
    /// If the width differs from that of the rows before, or memory is refused.
    pub fn append(&mut self, kv: &Tensor) -> Result<Tensor> {
        let (rows, width) = kv.dims2()?;
        let needed = self.tokens + rows;
        let capacity = self.memory.as_ref().map_or(0, |memory| memory.dims()[0]);
        if needed > capacity {
            let grown =
                Tensor::zeros((needed.next_power_of_two().max(LEAST_ROWS), width), kv.dtype(), kv.device())?;
            if let Some(memory) = self.memory.as_ref().filter(|_| self.tokens > 0) {
                grown.slice_set(&memory.narrow(0, 0, self.tokens)?.contiguous()?, 0, 0)?;
            }
            self.memory = Some(grown);
        }
        let Some(memory) = &self.memory else { candle_core::bail!("a cache was given no rows") };
        memory.slice_set(&kv.contiguous()?, 0, self.tokens)?;
        self.tokens = needed;
        memory.narrow(0, 0, needed)
    }
}
