"""Reads the code tables (代码表) that ship with the program, named by their digest."""

import hashlib
import tomllib
from pathlib import Path

from node.domain.codes import CodesMalformed, CodeTables, parse_code_tables
from node.profiles_loader import PROFILES

CODES = PROFILES / "codes.toml"


def load_code_tables(path: Path = CODES) -> CodeTables:
    """Return the tables of one file. Raises CodesMalformed with the file's name in front of what is wrong."""
    raw = path.read_bytes()
    try:
        return parse_code_tables(tomllib.loads(raw.decode()), hashlib.sha256(raw).digest())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CodesMalformed(path.name, "not a TOML file") from error
    except CodesMalformed as error:
        raise CodesMalformed(f"{path.name}: {error.where}", error.why) from error
