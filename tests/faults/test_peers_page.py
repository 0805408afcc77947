"""docs/peers.md leads from blank machines to a running room of two nodes and a prefecture: its commands, literally."""

import re
import shlex
import shutil
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from erhai import cli
from node.people import load_people, pin_fits
from node.settings import load_settings
from tests.faults.test_running_room import free_base, incident, mirrored
from web.serve import running

PAGE = (Path(__file__).parents[2] / "docs" / "peers.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"```(sh|toml) ([a-z ]+)\n(.*?)```", re.DOTALL)
PINS = {"O-01": "271828", "O-02": "314159", "": "161803"}
HOSTS = {"prefecture": "10.24.0.5", "a": "10.24.1.11", "b": "10.24.1.12"}


class Machines:
    """Three machines in one folder. Files named without a folder travel on the same stick."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.tokens, self.said, self.prints = folder, {}, {}, []
        self.ports = {name: (port + 2 * at, port + 2 * at + 1) for at, name in enumerate(HOSTS)}

    def data(self, machine: str) -> Path:
        return self.folder / machine

    def here(self, machine: str, text: str) -> str:
        """Paths, addresses and ports of this machine, and of those it names, as they are in the test."""
        for name, host in HOSTS.items():
            text = text.replace(f"https://{host}:8443", f"https://127.0.0.1:{self.ports[name][1]}")
            text = text.replace(host, "127.0.0.1")
        pages, sync = self.ports[machine]
        text = text.replace("= 8080", f"= {pages}").replace("= 8443", f"= {sync}")
        return text.replace("/srv/office", str(self.folder / "office")).replace(
            "/var/lib/erhai", str(self.data(machine))
        )

    def run(self, machine: str, line: str) -> None:
        words = shlex.split(self.here(machine, line))
        if words[0] == "cp":
            shutil.copy(words[1], words[2])
            return
        assert words[0] == "erhai"
        done = CliRunner().invoke(cli, words[1:], input=self._typed(words))
        assert done.exit_code == 0, (line, done.output)
        self._heard(words, done)

    def _typed(self, words: list[str]) -> str:
        match words[1:3]:
            case ["enrol", "officer"]:
                lines = [PINS[words[3]]] * 2
            case ["enrol", "sign"]:
                lines = [self.tokens[words[3]], PINS["O-01"], PINS["O-02"]]
            case ["enrol", "pin"]:
                lines = [PINS[""]] * 2
            case _:
                lines = []
        return "".join(f"{line}\n" for line in lines)

    def _heard(self, words: list[str], done: Result) -> None:
        match words[2]:
            case "request":
                token = re.search(r"token:\s+([0-9 ]+)", done.output)
                assert token is not None
                self.tokens[words[words.index("--out") + 1]] = token[1].replace(" ", "")
            case "calendar-key":
                self.said["calendar_vkeys"] = done.stdout.strip()
            case "pin":
                self.said["pin_hash"] = done.stdout.strip().splitlines()[-1]
            case "room-key":
                found = re.search(r"fingerprint: ([0-9 ]+)", done.output)
                assert found is not None
                self.prints.append(found[1].strip())

    def written(self, machine: str, text: str) -> str:
        """What a person writes who has the two printed lines before the eyes."""
        text = text.replace('calendar_vkeys = ["the line of step 1"]', self.said["calendar_vkeys"])
        if "pin_hash" in text:
            text = text.replace('pin_hash = "the line of erhai enrol pin"', self.said["pin_hash"])
        return self.here(machine, text)


@pytest.fixture
def stick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "stick"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return tmp_path


async def test_the_page_leads_from_blank_machines_to_a_running_room(stick: Path) -> None:
    machines = Machines(stick, free_base())
    blocks = BLOCK.findall(PAGE)
    assert len(blocks) == 11
    people = next(text for _, who, text in blocks if who.strip() == "people")
    for kind, who, text in blocks:
        for machine in () if who == "people" else who.split():
            if kind == "toml":
                (machines.data(machine) / "erhai.toml").write_text(machines.written(machine, text), encoding="utf-8")
                continue
            for line in text.strip().splitlines():
                machines.run(machine, line)
    for machine in HOSTS:
        file = machines.data(machine) / "people.toml"
        file.write_text(machines.written(machine, people), encoding="utf-8")
        file.chmod(0o600)
    assert len(machines.prints) == 2
    assert machines.prints[0] == machines.prints[1]
    assert (machines.data("b") / "keys/room.key").stat().st_mode & 0o777 == 0o600
    settings = {name: load_settings(machines.data(name) / "erhai.toml") for name in HOSTS}
    assert pin_fits(load_people(settings["a"].people)["O-01"], PINS[""])
    async with (
        running(settings["prefecture"]) as above,
        running(settings["a"]) as a,
        running(settings["b"]) as b,
    ):
        await incident(a, "第一条")
        await mirrored(above, "a", 1)
        await mirrored(b, "a", 1)
        assert a.recorder.calendar is not None
        assert (above.trust_alarms, a.trust_alarms, b.trust_alarms) == ((), (), ())


def test_a_room_has_one_key_and_nobody_makes_a_second_one_by_mistake(tmp_path: Path) -> None:
    def room_key(*words: object) -> Result:
        return CliRunner().invoke(cli, ["enrol", "room-key", *(str(word) for word in words)])

    data = tmp_path / "a"
    assert "本机还没有登记" in room_key("--first", "--data", data).output
    (data / "keys").mkdir(parents=True)
    assert room_key("--data", data).exit_code == 2
    assert room_key("--first", "--data", data).exit_code == 0
    held = (data / "keys/room.key").read_bytes()
    again = room_key("--first", "--data", data)
    assert (again.exit_code, "没有改动" in again.output) == (1, True)
    other = tmp_path / "other.key"
    other.write_text("not a key")
    (tmp_path / "b/keys").mkdir(parents=True)
    assert room_key("--from", other, "--data", tmp_path / "b").exit_code == 1
    assert not (tmp_path / "b/keys/room.key").exists()
    assert (data / "keys/room.key").read_bytes() == held
    above = tmp_path / "p"
    (above / "keys").mkdir(parents=True)
    (above / "keys/peers.toml").write_text('[own]\nkind = "prefecture"\n')
    assert "上级节点没有开标室密钥" in room_key("--first", "--data", above).output


def test_a_short_pin_makes_no_line_and_a_good_one_is_never_shown() -> None:
    short = CliRunner().invoke(cli, ["enrol", "pin"], input="12345\n12345\n")
    assert (short.exit_code, "pin_hash" in short.output) == (1, False)
    good = CliRunner().invoke(cli, ["enrol", "pin"], input="123456\n123456\n")
    assert good.exit_code == 0
    assert "123456" not in good.output
    assert tomllib.loads(good.stdout.strip().splitlines()[-1])["pin_hash"]
