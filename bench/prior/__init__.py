"""The counted prior beside PPMd and KenLM."""
