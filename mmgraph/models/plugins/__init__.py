"""Plug-ins for any system with modality encoders: CLEAR and SEA."""
