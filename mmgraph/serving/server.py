"""The process that serves a run, and takes over the next one."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from mmgraph.bench.run_directory import INFO, load_run
from mmgraph.checksum import file_digest
from mmgraph.data.formats.tables.table_format import TableFormat
from mmgraph.errors import UserError
from mmgraph.serving.pictures import pictures_in, pictures_of_table
from mmgraph.serving.service import Service, service_of
from mmgraph.serving.titles import read_titles

logger = logging.getLogger(__name__)


def load_service(
    folder: str | Path,
    *,
    titles: Path | None = None,
    form: TableFormat | None = None,
    duplicates: str = "error",
    pictures: Path | None = None,
    data: str | None = None,
    approximate: bool = False,
) -> Service:
    """The service of a run directory, on the CPU.

    Args:
        folder: The run directory.
        titles: Table of titles, as :func:`~mmgraph.serving.titles.read_titles` takes
            it; of paths to pictures, too, where ``form`` names their column.
        form: How the table is written.
        duplicates: What to do about an item in several rows of it.
        pictures: Folder of pictures that are named by the item ids; where the table has
            their paths, the folder that these are relative to, by default the table's.
        data: The data set, if it has moved since.
        approximate: As :func:`~mmgraph.serving.service.service_of` takes it.

    Raises:
        UserError: If a file cannot be read, or the system cannot be served.
    """
    names, paths = None, None
    if titles is not None:
        names = read_titles(titles, form, duplicates=duplicates)
    if form is not None and "picture" in form.columns:
        if titles is None:
            what = "a column of pictures, but no table"
            raise UserError(what, "name the table by --titles")
        paths = pictures_of_table(titles, form, root=pictures, duplicates=duplicates)
    elif pictures is not None:
        paths = pictures_in(pictures)
    run = load_run(folder, data=data)
    return service_of(run, names, paths, approximate=approximate)


def bound_socket(host: str, port: int) -> socket.socket:
    """A socket that requests can come to.

    Args:
        host: Name or number of the address.
        port: The port; 0: any that is free.

    Raises:
        UserError: If it cannot be had.

    Example:
        >>> with bound_socket("127.0.0.1", 0) as bound:
        ...     bound.getsockname()[0]
        '127.0.0.1'
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        bound = socket.socket(family, kind, protocol)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "no such address"
        what = f"cannot serve on {host}:{port} ({reason.lower()})"
        raise UserError(what, "choose another --host or --port") from error
    return bound


@contextlib.contextmanager
def taking_over(
    folder: Path,
    load: Callable[[], Service],
    take: Callable[[Service], None],
    every: float,
) -> Iterator[None]:
    """Look for another run under the same name inside the block, and take it over.

    A run that cannot be loaded changes nothing; that is logged, once.

    Args:
        folder: The run directory, or a link to one.
        load: Loads what lies there.
        take: Gets it.
        every: Seconds between two looks.
    """
    over = threading.Event()
    digest = file_digest(folder / INFO)

    def look() -> None:
        nonlocal digest
        while not over.wait(every):
            with contextlib.suppress(OSError):  # not there at the moment
                present = file_digest(folder / INFO)
                if present == digest:
                    continue
                try:
                    take(load())
                    logger.info("serving the new run in %s", folder)
                except UserError as error:
                    logger.warning("the new run is not served: %s", error)
                digest = present

    thread = threading.Thread(target=look, name="mmgraph-takeover", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
