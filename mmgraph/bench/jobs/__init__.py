"""The tasks of a benchmark, their queue, and the executors that do them."""
