"""BouncyCastle of Debian, asked in one batch: a line in, a line out."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

JARS = [Path("/usr/share/java") / name for name in ("bcprov.jar", "bcpkix.jar", "bcutil.jar")]


def missing() -> str:
    """Return what this machine lacks, or ""."""
    if shutil.which("java") is None:
        return "java is not installed"
    if not all(jar.exists() for jar in JARS):
        return "libbcprov-java and libbcpkix-java are not installed"
    return ""


def ask(questions: Sequence[str]) -> list[str]:
    """Return the judge's answers."""
    path = ":".join(map(str, JARS))
    source = Path(__file__).with_name("Judge.java")
    done = subprocess.run(
        ["java", "-XX:TieredStopAtLevel=1", "-cp", path, str(source)],
        input="".join(f"{line}\n" for line in questions),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()
