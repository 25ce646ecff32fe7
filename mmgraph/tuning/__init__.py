"""The choice of options by trial: spaces, searches, what they found."""
