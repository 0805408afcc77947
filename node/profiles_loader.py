"""Reads the procedure profiles (程序配置) that ship with the program: TOML files with exact decimals, each named by its digest."""

import hashlib
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

from node.domain.profile import Profile, ProfileMalformed, parse_profile

PROFILES = Path(__file__).parent / "profiles"


def load_profile(path: Path) -> Profile:
    """Return the profile of one file. Raises ProfileMalformed with the file's name in front of what is wrong.

    A file with `base` takes stages and rules of that file beside it and says only what it adds or changes; its digest is then
    of both texts, the base first.
    """
    raw = path.read_bytes()
    try:
        data = tomllib.loads(raw.decode(), parse_float=Decimal)
        base = data.pop("base", "")
        if base:
            below = _base(path, base)
            raw = below + raw
            data = _over(tomllib.loads(below.decode(), parse_float=Decimal), data)
        return parse_profile(data, hashlib.sha256(raw).digest())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProfileMalformed(path.name, "not a TOML file") from error
    except ProfileMalformed as error:
        raise ProfileMalformed(f"{path.name}: {error.where}", error.why) from error


def _base(path: Path, name: object) -> bytes:
    if not isinstance(name, str) or "/" in name or name == path.name or not path.with_name(name).is_file():
        raise ProfileMalformed("base", "must name another file beside it")
    return path.with_name(name).read_bytes()


def _over(below: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    if "base" in below:
        raise ProfileMalformed("base", "the base has a base itself")
    return {**below, **data, "rule": {**below.get("rule", {}), **data.get("rule", {})}}


def load_profiles(folder: Path = PROFILES) -> tuple[Profile, ...]:
    """Return every profile of a folder, by file name. Raises ProfileMalformed when two files claim one id.

    Calendars and code tables lie in the same folder and are other things: `node/calendars.py`, `node/code_tables.py`.
    """
    profiles: dict[str, Profile] = {}
    for path in sorted(folder.glob("*.toml")):
        if path.stem == "codes" or path.stem.startswith("calendar-"):
            continue
        profile = load_profile(path)
        if profile.id in profiles:
            raise ProfileMalformed(path.name, f"second profile with id {profile.id}")
        profiles[profile.id] = profile
    return tuple(profiles.values())
