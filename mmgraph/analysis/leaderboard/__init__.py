"""The leaderboard: systems by accuracy, beside published numbers."""
