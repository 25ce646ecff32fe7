"""The folder of a trained encoder, given or fetched from the hub: safetensors only."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from mmgraph.checksum import file_digest
from mmgraph.encode.packages import load_package
from mmgraph.errors import UserError

#: Files that make up a model; a pickle is not among them.
MODEL_FILES = ("*.safetensors", "*.json", "*.txt", "*.model")
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
_OF_MODULES = "pytorch_model"
_WEIGHTS = "model.safetensors"
_SHARDS = "model.safetensors.index.json"
_LOCAL = (os.sep, ".", "~")


def model_folder(name: str, *, owner: str) -> Path:
    """The folder that a model lies in.

    Args:
        name: A folder, or the name of a model on the hub, ``owner/model``. That is
            looked for in the hub's cache (``HF_HOME``) and fetched if it is not there,
            without files that are no safetensors, settings or vocabularies.
        owner: Of a name without one.

    Raises:
        UserError: If there is no such folder, the hub cannot give the model, or its
            weights are no safetensors.

    Example:
        >>> model_folder("./nowhere", owner="timm")
        Traceback (most recent call last):
        mmgraph.errors.UserError: nowhere: no such folder - check the path, or give \
the name of a model on the hub
    """
    path = Path(name).expanduser()
    if name and path.is_dir():
        check_safetensors(path)
        return path
    if not name or name.startswith(_LOCAL) or path.exists():
        raise UserError(
            "no such folder",
            "check the path, or give the name of a model on the hub",
            path=path,
        )
    path = _fetch(name if "/" in name else f"{owner}/{name}")
    check_safetensors(path)
    return path


def _fetch(name: str) -> Path:
    hub = load_package("huggingface_hub")
    try:
        return Path(hub.snapshot_download(name, allow_patterns=list(MODEL_FILES)))
    except (OSError, ValueError, RuntimeError) as error:  # the hub's own are of these
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(
            f"no folder {name!r}, nor such a model from the hub ({reason})",
            "give a local folder, or set HF_HOME to a hub's cache that has it",
        ) from error


def check_safetensors(folder: Path) -> None:
    """Refuse a model of which something that would be loaded is a pickle.

    A folder inside it is a module of the model, or a copy of it for another runtime
    (``openvino``), of which nothing is loaded.

    Args:
        folder: The model.

    Raises:
        UserError: If a folder has pickled weights and none beside them that are loaded
            instead, or there are no weights at all.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "pytorch_model.bin").touch()
        >>> try:
        ...     check_safetensors(folder)
        ... except UserError as error:
        ...     print(error.what)
        its weights are a pickle (pytorch_model.bin), which is never loaded
    """
    fix = f"save the model again as {_WEIGHTS}, or take another"
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in files:
        is_own = path.parent == folder or path.name.startswith(_OF_MODULES)
        beside = (path.with_name(_WEIGHTS), path.with_name(_SHARDS))
        is_loaded = is_own and not any(each.is_file() for each in beside)
        if is_loaded and path.suffix in _PICKLES:
            what = f"its weights are a pickle ({path.relative_to(folder)}), which is"
            raise UserError(f"{what} never loaded", fix, path=folder)
    if not any(path.suffix == ".safetensors" for path in files):
        raise UserError("holds no weights (.safetensors)", fix, path=folder)


def model_files(folder: Path) -> list[Path]:
    """Files that make up a model, sorted.

    Example:
        >>> model_files(Path("nowhere"))
        []
    """
    return sorted({path for each in MODEL_FILES for path in folder.rglob(each)})


def model_digest(folder: Path) -> str:
    """SHA-256 of what makes up a model: names and contents of its files.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> before = model_digest(folder)
        >>> _ = (folder / "config.json").write_text("{}")
        >>> model_digest(folder) == before
        False
    """
    digest = hashlib.sha256()
    for path in model_files(folder):
        digest.update(f"{path.relative_to(folder)}\0{file_digest(path)}\n".encode())
    return digest.hexdigest()
