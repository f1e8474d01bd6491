"""Channel decoding of real noise."""
