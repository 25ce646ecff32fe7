"""Which file of a data folder is what."""

from __future__ import annotations

from pathlib import Path

from mmgraph.data.feature_formats import READERS
from mmgraph.errors import UserError

# Spellings of the field's files, and the order in which modalities come by default.
MODALITY_OF_STEM = {"image": "visual", "text": "textual", "audio": "acoustic"}
USUAL_ORDER = ("visual", "textual", "acoustic")


def interactions_file(folder: Path) -> Path:
    """Find the one table of interactions of a folder.

    Args:
        folder: The data folder.

    Returns:
        ``interactions.{parquet,csv,tsv}``, else ``<name>.inter``.

    Raises:
        UserError: If there is none, or several and none is named like the folder.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "baby.inter").touch()
        >>> interactions_file(folder).name
        'baby.inter'
    """
    for pattern in ("interactions.*", "*.inter"):
        found = sorted(
            path
            for path in folder.glob(pattern)
            if path.suffix in (".parquet", ".csv", ".tsv", ".inter")
        )
        named = [path for path in found if path.stem == folder.resolve().name]
        if len(found) == 1 or len(named) == 1:
            return found[0] if len(found) == 1 else named[0]
        if found:
            raise UserError(
                f"several tables: {', '.join(path.name for path in found)}",
                "keep one",
                path=folder,
            )
    raise UserError(
        "no interactions file",
        "add interactions.parquet, .csv or .tsv, or <name>.inter",
        path=folder,
    )


def feature_files(folder: Path, *, mmrec: bool) -> dict[str, Path]:
    """Find the feature file of each modality of a folder.

    Args:
        folder: The data folder.
        mmrec: Only ``<m>_feat.npy`` count, as in that layout.

    Returns:
        File of each modality, the usual modalities first, then by name.

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
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        stem = path.stem.removesuffix("_feat")
        if path.suffix not in READERS or stem == "interactions":
            continue
        if mmrec and not path.name.endswith("_feat.npy"):
            continue  # side files of that layout, such as a pickled user graph
        name = MODALITY_OF_STEM.get(stem, stem) if path.stem != stem else stem
        if name in found:
            raise UserError(
                f"{found[name].name} and {path.name} both hold {name!r}",
                "keep one",
                path=folder,
            )
        found[name] = path
    first = [name for name in USUAL_ORDER if name in found]
    return {name: found[name] for name in first + sorted(set(found) - set(first))}
