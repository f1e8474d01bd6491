"""Measurements of `serve stream` on a real broker."""
