"""Other people's programs, measured beside us in the same run; none of them is part of the product."""

from dataclasses import dataclass


@dataclass(eq=False)
class PeerMissing(Exception):
    """A peer cannot be measured here; said by name, never left out."""

    name: str
    why: str

    def __str__(self) -> str:
        """One line for a person."""
        return f"{self.name}: not measured: {self.why}"
