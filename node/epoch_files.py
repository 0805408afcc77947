"""The files of a new epoch (纪元切换): keys and fence move into place after the database has committed, whatever cuts in.

`keys.next` and `fence/released.next` are made first; then one transaction closes the old log and records the first entry of
the new one; then the folders are exchanged. A start that finds `keys.next` finishes the exchange where that transaction was
committed, and throws the unused keys away where it was not.
"""

import os
import shutil
from pathlib import Path

from node.places import DATABASE, FENCE, KEYS, NEXT_FENCE, NEXT_KEYS
from node.store import connect
from sync.keys import load_public, renew_log_key
from sync.log import size_of
from sync.succession import epoch_of, next_origin


def prepare_keys(data: Path) -> str:
    """Copy the key folder for the next epoch, with a fresh log key; return the next origin."""
    following = next_origin(load_public(data / KEYS / "public.json").origin)
    shutil.copytree(data / KEYS, data / NEXT_KEYS, copy_function=_copy_private)
    (data / NEXT_KEYS).chmod(0o700)
    renew_log_key(data / NEXT_KEYS, following)
    return following


def _copy_private(source: str, target: str) -> str:
    """Copy one file with its rights, never readable by others in between."""
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(Path(source).read_bytes())
        file.flush()
        os.fsync(file.fileno())
    return target


def finish_epoch(data: Path) -> bool:
    """Finish or undo an interrupted change of epoch; return whether the node is in a new one. Runs before every start."""
    new = data / NEXT_KEYS
    if not new.exists():
        return False
    if not (new / "public.json").exists() or not _committed(data, load_public(new / "public.json").origin):
        shutil.rmtree(new)
        (data / NEXT_FENCE).unlink(missing_ok=True)
        return False
    old_epoch = epoch_of(load_public(new / "public.json").origin) - 1
    if (data / NEXT_FENCE).exists():
        if (data / FENCE).exists():
            (data / FENCE).replace(data / f"{FENCE}.e{old_epoch}")
        (data / NEXT_FENCE).replace(data / FENCE)
        _sync_folder((data / FENCE).parent)
    if (data / KEYS).exists():
        (data / KEYS).rename(data / f"{KEYS}.e{old_epoch}")
    new.rename(data / KEYS)
    _sync_folder(data)
    return True


def _committed(data: Path, origin: str) -> bool:
    if not (data / DATABASE).exists():
        return False
    db = connect(data / DATABASE, readonly=True)
    try:
        return size_of(db, origin) > 0
    finally:
        db.close()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
