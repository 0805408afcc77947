"""Reads the procedure profiles (程序配置) that ship with the program: TOML files with exact decimals, each named by its digest."""

import hashlib
import tomllib
from decimal import Decimal
from pathlib import Path

from node.domain.profile import Profile, ProfileMalformed, parse_profile

PROFILES = Path(__file__).parent / "profiles"


def load_profile(path: Path) -> Profile:
    """Return the profile of one file. Raises ProfileMalformed with the file's name in front of what is wrong."""
    raw = path.read_bytes()
    try:
        data = tomllib.loads(raw.decode(), parse_float=Decimal)
        return parse_profile(data, hashlib.sha256(raw).digest())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProfileMalformed(path.name, "not a TOML file") from error
    except ProfileMalformed as error:
        raise ProfileMalformed(f"{path.name}: {error.where}", error.why) from error


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
