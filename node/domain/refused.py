"""A rule said no. Nothing was changed; the fields say which rule, what it allows, what was offered, and where it stands."""

from dataclasses import dataclass, field


@dataclass(eq=False)
class Refused(Exception):
    """A refusal by a rule of the procedure (拒绝).

    `code` is a kebab-case word that never changes; `web/messages.py` makes the sentence.
    `rule` is the profile's rule id, or the name of a structural rule; `limit` what it allows; `value` what was offered;
    `cites` the sources; `facts` further named values for the sentence, all as text.
    """

    code: str
    rule: str = ""
    value: str = ""
    limit: str = ""
    cites: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = field(default=())

    def __str__(self) -> str:
        """For logs and tests: every field, in one line. Never holds sealed content."""
        facts = "".join(f" {name}={value}" for name, value in self.facts)
        cites = f" [{'; '.join(self.cites)}]" if self.cites else ""
        return f"{self.code}: rule {self.rule or '-'} allows {self.limit or '-'}, got {self.value or '-'}{facts}{cites}"


@dataclass(eq=False)
class NotOffered(Exception):
    """The stream does not know this command at all: a programming error of a page, not a rule (never shown as one)."""

    stream: str
    command: str
