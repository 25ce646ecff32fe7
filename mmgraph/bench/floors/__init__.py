"""The floors beside every leaderboard: what others are to be better than."""
