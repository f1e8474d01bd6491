"""The corruptor against its peers, on the same text in one run."""
