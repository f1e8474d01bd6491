"""Comparisons with peers, one package an area; results are in RESULTS.md."""
