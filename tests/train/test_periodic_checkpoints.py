from __future__ import annotations

from contextlib import suppress

import pytest

from mmgraph.distributed.exchange import ConnectionLostError
from mmgraph.train.periodic_checkpoints import PeriodicCheckpoints


class Run:
    def __init__(self):
        self.number, self.saved, self.is_shared = 0, [], False

    def state(self):
        self.number += 1
        return {}, {"number": self.number}

    def save(self, folder, tensors, state):
        self.saved.append((folder, state["number"]))


def test_each_state_is_written_once(tmp_path):
    run = Run()
    with PeriodicCheckpoints(run, tmp_path, 0) as checkpoints:
        for _ in range(2):
            checkpoints.finish_epoch()
            assert checkpoints.is_due
            checkpoints.write()
        checkpoints.write()
    assert run.saved == [(tmp_path, 1), (tmp_path, 2)]


@pytest.mark.parametrize(
    ("error", "saved"), [(KeyboardInterrupt, [2]), (SystemExit, [2]), (ValueError, [])]
)
def test_an_interruption_writes_what_is_unwritten_and_an_error_does_not(
    tmp_path, error, saved
):
    run = Run()
    with suppress(error), PeriodicCheckpoints(run, tmp_path, 1e9) as checkpoints:
        checkpoints.finish_epoch()
        checkpoints.finish_epoch()
        assert not checkpoints.is_due
        raise error
    assert [number for _, number in run.saved] == saved


def test_a_signal_while_it_is_written_does_not_cost_what_is_unwritten(tmp_path):
    """As torchrun sends it to those that have just lost a connection."""

    class Signalled(Run):
        signals = 1

        def save(self, *args):
            if self.signals:
                self.signals -= 1
                raise KeyboardInterrupt
            super().save(*args)

    run = Signalled()

    def lost():
        with PeriodicCheckpoints(run, tmp_path, 1e9) as checkpoints:
            checkpoints.finish_epoch()
            raise ConnectionLostError("a peer is gone")

    with pytest.raises(KeyboardInterrupt):
        lost()
    assert run.saved == [(tmp_path, 1)]


def test_without_a_folder_nothing_is_copied_or_written():
    run = Run()
    with suppress(KeyboardInterrupt), PeriodicCheckpoints(run, None, 0) as nothing:
        nothing.finish_epoch()
        nothing.write()
        raise KeyboardInterrupt
    assert (run.number, run.saved) == (0, [])


@pytest.mark.parametrize("writes", [True, False])
def test_a_shared_state_is_taken_when_it_is_written(tmp_path, writes):
    """By all processes, of which one has the folder; none can save it alone."""
    run = Run()
    run.is_shared = True
    folder = tmp_path if writes else None
    with suppress(KeyboardInterrupt), PeriodicCheckpoints(run, folder, 0) as shared:
        shared.finish_epoch()
        shared.finish_epoch()
        assert run.number == 0
        shared.write()
        shared.finish_epoch()
        raise KeyboardInterrupt
    assert run.number == writes
    assert run.saved == [(tmp_path, 1)] * writes
