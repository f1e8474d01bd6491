"""Restoring by an autoregressive model, compared with transformers, llama.cpp and CTranslate2."""
