"""Errors that end one run and no other, as errors of the user."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mmgraph.errors import UserError
from mmgraph.functional.block_sizes import ran_out_of_memory


@contextmanager
def refused_values() -> Iterator[None]:
    """A ValueError inside becomes a UserError: functions below refuse data with it.

    Any other error is a mistake in code and passes.

    Example:
        >>> with refused_values():
        ...     raise ValueError("no row has both modalities")
        Traceback (most recent call last):
        ...
        mmgraph.errors.UserError: no row has both modalities - leave the system out, \
or see with --debug where it failed
    """
    try:
        yield
    except UserError:
        raise
    except ValueError as error:
        raise UserError(
            str(error), "leave the system out, or see with --debug where it failed"
        ) from error


class MemoryShortageError(UserError):
    """Memory was short, which says nothing about the options that were tried."""


@contextmanager
def enough_memory() -> Iterator[None]:
    """An error inside that says that memory is short becomes an error of the user.

    Raises:
        MemoryShortageError: In its place.

    Example:
        >>> with enough_memory():
        ...     raise MemoryError
        Traceback (most recent call last):
        ...
        mmgraph.bench.failures.MemoryShortageError: not enough memory - use smaller \
dimensions or batches
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not ran_out_of_memory(error):
            raise
        raise MemoryShortageError(
            "not enough memory", "use smaller dimensions or batches"
        ) from error
