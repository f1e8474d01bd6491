"""Restoring by an autoregressive model, compared with transformers."""
