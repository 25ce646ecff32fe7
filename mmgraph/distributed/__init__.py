"""Several processes that train one model: what they share, and what they do together.

Nothing here imports torch before it is used: the command line asks who may speak.
"""
