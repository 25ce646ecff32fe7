"""Shared directions of modalities, spectra, and measures of overlap."""
