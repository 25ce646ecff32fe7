"""Ray without a cluster."""

from __future__ import annotations

import types
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait


class RayError(Exception):
    pass


class RayTaskError(RayError):
    pass


class FakeRay(types.SimpleNamespace):
    """Ray's calls that are used, played by a thread.

    By one: two trainings in one process would draw from the same random numbers.
    """

    exceptions = types.SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)

    def __init__(self, gpus=0):
        self.calls, self.pool, self.gpus = [], ThreadPoolExecutor(1), gpus
        self.started, self.cpus = False, 1

    def is_initialized(self):
        return self.started

    def init(self, address, log_to_driver):
        self.calls.append(address)

    def shutdown(self):
        self.calls.append("shutdown")

    def cluster_resources(self):
        return {"CPU": self.cpus, "GPU": self.gpus}

    def remote(self, function):
        def submit(*args):
            return self.pool.submit(function, *args)

        def options(**chosen):
            self.calls.append(chosen)
            return types.SimpleNamespace(remote=submit)

        return types.SimpleNamespace(options=options)

    def wait(self, futures, num_returns):
        done, left = wait(futures, return_when=FIRST_COMPLETED)
        return [done.pop()], [*done, *left]

    def put(self, value):
        return value

    def get(self, future):
        return future.result()
