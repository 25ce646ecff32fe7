"""The files of a data folder: interactions and features."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from mmgraph.data.formats.feature_formats import IN_FOLDERS
from mmgraph.errors import UserError
from mmgraph.folders import CONTENTS

log = logging.getLogger(__name__)

# Spellings of the field's files, and the order in which modalities come by default.
MODALITY_OF_STEM = {"image": "visual", "text": "textual", "audio": "acoustic"}
USUAL_ORDER = ("visual", "textual", "acoustic")
TABLE = "interactions"
TABLE_SUFFIXES = (".parquet", ".csv", ".tsv", ".inter")
OF_USERS = ("user", "users")  # tables of users: their rows are no items
FEAT = "_feat"


def visible_files(folder: Path) -> list[Path]:
    """What a folder holds, by name; names that begin with a dot are not data.

    macOS lays a file ``._visual.npy`` beside ``visual.npy`` on a foreign disk.

    Args:
        folder: The data folder.

    Raises:
        UserError: If it is no folder, or cannot be read.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in ("visual.npy", "._visual.npy"):
        ...     (folder / name).touch()
        >>> [path.name for path in visible_files(folder)]
        ['visual.npy']
    """
    try:
        return sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError("no such folder", "give a data folder", path=folder) from error
    except OSError as error:
        raise UserError(
            f"cannot be read ({error.strerror})", "check the folder", path=folder
        ) from error


def is_mmrec(folder: Path) -> bool:
    """True of a folder in the MMRec layout: ``<name>.inter``, no ``interactions.*``.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "baby.INTER").touch()
        >>> is_mmrec(folder)
        True
    """
    general, inter = _tables(folder)
    tables = general or inter
    return bool(tables) and all(path.suffix.lower() == ".inter" for path in tables)


def interactions_file(folder: Path) -> Path:
    """Find the one table of interactions of a folder.

    Args:
        folder: The data folder.

    Returns:
        ``interactions.{parquet,csv,tsv}``, else ``<name>.inter``, in any letter case.

    Raises:
        UserError: If there is none, or several and none is named like the folder.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "baby.inter").touch()
        >>> interactions_file(folder).name
        'baby.inter'
    """
    for tables in _tables(folder):
        named = [path for path in tables if path.stem == folder.resolve().name]
        if len(tables) == 1 or len(named) == 1:
            return tables[0] if len(tables) == 1 else named[0]
        if tables:
            raise UserError(
                f"several tables: {', '.join(path.name for path in tables)}",
                "keep one",
                path=folder,
            )
    raise UserError(
        "no interactions file",
        "add interactions.parquet, .csv or .tsv, or <name>.inter",
        path=folder,
    )


def _tables(folder: Path) -> tuple[list[Path], list[Path]]:
    """Tables of the general layout, and those of MMRec."""
    tables = [p for p in visible_files(folder) if p.suffix.lower() in TABLE_SUFFIXES]
    general = [p for p in tables if p.name.lower().startswith(f"{TABLE}.")]
    return general, [p for p in tables if p.suffix.lower() == ".inter"]


def modality_of(path: Path) -> str:
    """Modality that a feature file is called after.

    Args:
        path: The file.

    Returns:
        Its name without suffix, ``_feat`` and the field's spellings resolved, these in
        any letter case.

    Example:
        >>> modality_of(Path("image_feat.npy")), modality_of(Path("image.npz"))
        ('visual', 'image')
    """
    if not path.stem.lower().endswith(FEAT):
        return path.stem
    stem = path.stem[: -len(FEAT)]
    return MODALITY_OF_STEM.get(stem.lower(), stem)


def modality_files(paths: Iterable[Path]) -> dict[str, Path]:
    """Feature files by the modality that each is called after.

    Args:
        paths: The files.

    Raises:
        UserError: If two have one modality.

    Example:
        >>> modality_files([Path("image_feat.npy"), Path("depth.npz")])
        {'visual': PosixPath('image_feat.npy'), 'depth': PosixPath('depth.npz')}
    """
    files: dict[str, Path] = {}
    for path in paths:
        name = modality_of(path)
        if name in files:
            raise UserError(
                f"{files[name]} and this file are both {name!r}",
                "rename one: the name of a file is the name of its modality",
                path=path,
            )
        files[name] = path
    return files


def check_modality_names(names: Iterable[str]) -> None:
    """Refuse names that would not come back from the files of a folder.

    Args:
        names: Of all modalities, each once.

    Raises:
        UserError: If one stands twice, is a path, or is read as another.

    Example:
        >>> check_modality_names(["visual", "text_feat"])
        Traceback (most recent call last):
        mmgraph.errors.UserError: modality 'text_feat' would be read back as \
'textual' - name it 'textual'
    """
    seen = set()
    for name in names:
        path = Path(f"{name}.npz")
        if name in seen:
            raise UserError(f"modality {name!r} is given twice", "give each once")
        if path.name != f"{name}.npz" or not name.isprintable() or not name:
            raise UserError(f"modality {name!r} is no file name", "use plain words")
        if modality_of(path).lower() == TABLE:
            raise UserError(
                f"modality {name!r} is called as the table of interactions",
                "choose another name",
            )
        if modality_of(path).lower() in OF_USERS:
            raise UserError(
                f"modality {name!r} is called as a table of users",
                "choose another name",
            )
        if modality_of(path) != name:
            back = modality_of(path)
            raise UserError(
                f"modality {name!r} would be read back as {back!r}", f"name it {back!r}"
            )
        seen.add(name)


def feature_files(folder: Path, *, mmrec: bool) -> dict[str, Path]:
    """Find the feature file of each modality of a folder.

    Args:
        folder: The data folder.
        mmrec: Only ``<m>_feat.npy`` count, as in that layout.

    Returns:
        File of each modality, the usual modalities first, then by name. Suffixes and
        ``_feat`` count in any letter case; tables of users are left out.

    Raises:
        UserError: If two files hold one modality.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in ("depth.npz", "text_feat.npy"):
        ...     (folder / name).touch()
        >>> list(feature_files(folder, mmrec=False))
        ['textual', 'depth']
    """
    files: dict[str, Path] = {}
    for path in visible_files(folder):
        name = modality_of(path)
        if path.suffix.lower() not in IN_FOLDERS or name.lower() in (TABLE, *OF_USERS):
            continue
        if mmrec and not path.name.lower().endswith(f"{FEAT}.npy"):
            continue  # side files of that layout, such as a pickled user graph
        if name in files:
            raise UserError(
                f"{files[name].name} and {path.name} both hold {name!r}",
                "keep one",
                path=folder,
            )
        files[name] = path
    first = [name for name in USUAL_ORDER if name in files]
    return {name: files[name] for name in first + sorted(set(files) - set(first))}


def log_files(folder: Path, taken: Iterable[Path]) -> None:
    """Say in one line which files of a folder are read and which are left.

    Args:
        folder: The data folder.
        taken: Those that are read.

    Example:
        >>> import tempfile
        >>> log_files(Path(tempfile.mkdtemp()), [])
    """
    taken = list(taken)
    known = {*taken, folder / CONTENTS}
    left = [path.name for path in visible_files(folder) if path not in known]
    names = ", ".join(path.name for path in taken)
    rest = f"; not read: {', '.join(left)}" if left else ""
    log.info("%s: %s%s", folder, names, rest)
