"""The process that serves a run, and takes over the next one."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import re
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from mmgraph.bench.run_directory import INFO, load_run
from mmgraph.checksum import file_digest
from mmgraph.data.formats.tables.table_format import TableFormat
from mmgraph.errors import UserError
from mmgraph.serving.pictures import pictures_in, pictures_of_table
from mmgraph.serving.service import Service, service_of
from mmgraph.serving.titles import read_titles

logger = logging.getLogger(__name__)

#: Seconds in which a thread that sleeps has ended; one that loads a run is left.
_UNTIL_AWAKE = 0.5


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


def host_name(text: str) -> str:
    """A name as the ``Host`` of a request has it, without the port.

    Args:
        text: The name, or the number of an address.

    Raises:
        UserError: If it is none.

    Example:
        >>> host_name("Shop.example"), host_name("::1")
        ('shop.example', '[::1]')
    """
    with contextlib.suppress(ValueError):
        return bracketed(str(ipaddress.ip_address(text.strip("[]"))))
    if not re.fullmatch(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?", text, re.IGNORECASE):
        what = f"{text[:99]!r} is no name of a host"
        raise UserError(what, "give it as in shop.example, without scheme and port")
    return text.lower()


def bracketed(address: str) -> str:
    """An address as it stands in a URL.

    Example:
        >>> bracketed("::1"), bracketed("127.0.0.1")
        ('[::1]', '127.0.0.1')
    """
    return f"[{address}]" if ":" in address else address


def served_names(host: str, address: str, allowed: Sequence[str]) -> set[str] | None:
    """The hosts that requests may be for.

    On its own machine a service is safe from others, but not from a page in a browser
    there whose own name was given the address 127.0.0.1 (DNS rebinding): its requests
    come from this machine, and are for that name.

    Args:
        host: The address as the user wrote it.
        address: The number of it.
        allowed: Further names, as :func:`host_name` gives them.

    Returns:
        Names as a ``Host`` has them; None, any, on an address that others can reach and
        without further names.

    Example:
        >>> sorted(served_names("localhost", "127.0.0.1", ["shop.example"]))
        ['127.0.0.1', '[::1]', 'localhost', 'shop.example']
        >>> served_names("0.0.0.0", "0.0.0.0", []) is None
        True
    """
    if not allowed and not ipaddress.ip_address(address).is_loopback:
        return None
    own = (bracketed(name.lower()) for name in (host, address))
    return {"localhost", "127.0.0.1", "[::1]", *own, *allowed}


def run_digest(folder: Path) -> str | None:
    """What tells a run from another under the same name; None while there is none.

    Args:
        folder: The run directory, or a link to one.

    Example:
        >>> run_digest(Path("nowhere")) is None
        True
    """
    with contextlib.suppress(OSError):  # not there at the moment
        return file_digest(folder / INFO)
    return None


@contextlib.contextmanager
def taking_over(
    folder: Path,
    served: str | None,
    load: Callable[[], Service],
    take: Callable[[Service], None],
    every: float,
) -> Iterator[None]:
    """Look for another run under the same name inside the block, and take it over.

    A run that cannot be loaded, whatever the reason, changes nothing; that is logged,
    and it is not tried again. The end of the block does not wait for a run that is
    being loaded: its thread is left at work, and nobody gets what it loads.

    Args:
        folder: The run directory, or a link to one.
        served: :func:`run_digest` of the run that is served, from before it was
            loaded: one that came meanwhile is then seen as another.
        load: Loads what lies there.
        take: Gets it.
        every: Seconds between two looks.
    """
    over = threading.Event()

    def look() -> None:
        seen = served
        while not over.wait(every):
            present = run_digest(folder)
            if present in (None, seen):
                continue
            seen = present
            try:
                service = load()
                if over.is_set():
                    return
                take(service)
                logger.info("serving the new run in %s", folder)
            except Exception as error:  # whatever it is, the next run is looked for
                kind = "" if isinstance(error, UserError) else type(error).__name__
                reason = " ".join(f"{kind} {error}".split())
                logger.warning("the new run is not served: %s", reason)

    # The command line ends at once beside a thread of such a name.
    thread = threading.Thread(target=look, name="mmgraph-takeover", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(_UNTIL_AWAKE)
