"""Fitting a channel to pairs: known parameters found again, real pairs better explained."""
