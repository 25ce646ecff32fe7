"""The batch of a training step: its size, its neighbourhood, its shares."""
