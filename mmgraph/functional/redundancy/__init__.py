"""What two modalities share: directions, spectra, and measures of overlap."""
