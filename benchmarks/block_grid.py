"""The grid of kNN blocks with slow and lost machines: a simulation.

    python -m benchmarks block-grid [--machines 64] [--blocks 1000] [--draws 1000]

All blocks cost the same, but each machine has a speed of its own (log-normal, --spread)
and may be lost at a moment of the build (--lost, the probability for each), with the
block that it is at. ``shards``: each machine has every n-th block (``knn blocks
--shard``); what a lost one leaves is done by the others, shared out, when they have
ended. ``queue``: a machine that is free takes the next block (``--ray``), and a block
that was lost comes again. Times are in those of the ideal: all machines alike, none
lost, no machine idle.
"""

from __future__ import annotations

import argparse
import heapq
import math

import numpy as np


def by_shards(speed: np.ndarray, lost_at: np.ndarray, blocks: int) -> float:
    """End of a build whose blocks are dealt out before.

    Args:
        speed: Blocks per unit of time of each machine.
        lost_at: When each is lost; infinity if never.
        blocks: Blocks of the build.
    """
    count = len(speed)
    share = np.array([len(range(n, blocks, count)) for n in range(count)])
    end = share / speed
    lost = lost_at < end
    if lost.all():
        return math.inf
    done = np.where(lost, np.floor(lost_at * speed), share)
    left = int(blocks - done.sum())
    first = float(end[~lost].max())
    again = np.array([len(range(n, left, (~lost).sum())) for n in range((~lost).sum())])
    return first + float((again / speed[~lost]).max())


def by_queue(speed: np.ndarray, lost_at: np.ndarray, blocks: int) -> float:
    """End of a build in which a free machine takes the next block."""
    free = [(0.0, n) for n in range(len(speed))]
    left, end = blocks, 0.0
    waiting: list[float] = []  # moments at which a lost block is known to be lost
    while left or waiting:
        if not free:
            return math.inf
        now, machine = heapq.heappop(free)
        if not left:
            now = max(now, heapq.heappop(waiting))
            left += 1
        done = now + 1 / speed[machine]
        left -= 1
        if lost_at[machine] < done:
            heapq.heappush(waiting, max(now, float(lost_at[machine])))
        else:
            end = max(end, done)
            heapq.heappush(free, (done, machine))
    return end


def simulate(
    machines: int, blocks: int, spread: float, lost: float, draws: int, seed: int = 0
) -> dict[str, np.ndarray]:
    """Ends of many builds, in times of the ideal."""
    generator = np.random.default_rng(seed)
    ideal = blocks / machines
    ends: dict[str, list[float]] = {"shards": [], "queue": []}
    for _ in range(draws):
        speed = np.exp(spread * generator.standard_normal(machines) - spread**2 / 2)
        moment = generator.uniform(0, ideal, machines)
        lost_at = np.where(generator.random(machines) < lost, moment, math.inf)
        ends["shards"].append(by_shards(speed, lost_at, blocks) / ideal)
        ends["queue"].append(by_queue(speed, lost_at, blocks) / ideal)
    return {name: np.array(values) for name, values in ends.items()}


def main() -> None:
    """Print mean and 95th percentile of several cases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--machines", type=int, default=64)
    parser.add_argument("--blocks", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=1000)
    args = parser.parse_args()
    print(f"{args.machines} machines, {args.blocks} blocks: mean and 95 %, ideal = 1")
    for spread, lost in ((0.0, 0.0), (0.1, 0.0), (0.3, 0.0), (0.0, 0.05), (0.3, 0.05)):
        ends = simulate(args.machines, args.blocks, spread, lost, args.draws)
        cells = [
            f"{name} {values.mean():.2f} {np.quantile(values, 0.95):.2f}"
            for name, values in ends.items()
        ]
        print(f"spread {spread:.0%}, lost {lost:.0%}: {'; '.join(cells)}")


if __name__ == "__main__":
    main()
