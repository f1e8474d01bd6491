"""Training steps of the same T5 and the same Llama, ours and PyTorch's."""
