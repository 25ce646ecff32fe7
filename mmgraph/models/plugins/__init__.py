"""What attaches to any system with modality encoders: CLEAR and SEA."""
