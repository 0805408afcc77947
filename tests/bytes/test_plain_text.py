"""What is signed and what is recorded have the same rows, and no sign that a person cannot see."""

from base64 import b64encode
from hashlib import sha256

import pytest

from sync.acts import act_text, readable
from web.acts_opening import members_of
from web.binding import filled
from web.desk_act import pairs_of
from web.forms import Field, FieldErrors, parse

AREA = (Field("members", "成员名单", "area", longest=8_000),)
ROWS = [f"E-{i},expert,x{i},a,{i},张三,53290119900307877{i},1,单位" for i in (1, 2)]
UNSEEN = {
    "C1 control": "\x9b",
    "next line": "\x85",
    "vertical tab": "\x0b",
    "form feed": "\x0c",
    "file separator": "\x1c",
    "carriage return": "\r",
    "tab": "\t",
    "line separator": "\u2028",
    "paragraph separator": "\u2029",
    "Arabic letter mark": "\u061c",
    "soft hyphen": "\u00ad",
    "Mongolian vowel separator": "\u180e",
    "word joiner": "\u2060",
    "bidi isolate": "\u2066",
    "deprecated format": "\u206a",
    "interlinear annotation": "\ufff9",
    "tag": "\U000e0041",
    "private use": "\ue000",
    "unassigned": "\U000e0fff",
}


@pytest.mark.parametrize("sign", UNSEEN.values(), ids=UNSEEN)
def test_an_unseen_sign_is_neither_signed_nor_shown_at_the_agent_nor_taken_from_a_form(sign: str) -> None:
    plain = act_text("试", {"甲": "xy"}, bytes(32))
    assert readable(plain)
    assert not readable(plain.replace(b"xy", f"x{sign}y".encode()))
    with pytest.raises(ValueError, match="试"):
        act_text("试", {"甲": f"x{sign}y"}, bytes(32))
    for kind in ("text", "area", "words"):
        with pytest.raises(FieldErrors):
            parse((Field("a", "甲", kind),), {"a": f"x{sign}y"})


@pytest.mark.parametrize("part", ["\n", "\r\n", "\n \n"])
def test_as_many_rows_are_recorded_as_the_words_show(part: str) -> None:
    data = {"members": part.join(ROWS)}
    assert len(filled(AREA, data)[0]) == len(members_of(parse(AREA, data)["members"], ("a",))) == 2


@pytest.mark.parametrize("part", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\r"])
def test_no_other_sign_parts_a_row(part: str) -> None:
    with pytest.raises(FieldErrors):
        parse(AREA, {"members": part.join(ROWS)})
    assert len(pairs_of(f"P-A,一{part}P-B,二")) == 1


def test_names_with_rare_letters_and_ordinary_spaces_are_taken() -> None:
    for name in ("𠮷野", "㛃", "买买提·吐尔逊", "A B", "　全角", "ཀ་ཁ"):
        assert parse((Field("a", "甲"),), {"a": name})["a"] == name.strip()
        assert readable(act_text("试", {"甲": name}, bytes(32)))


def test_the_words_of_an_appointment_name_each_trustee_with_key_and_certificate() -> None:
    ders = [bytes([n]) * 1_500 for n in range(5)]
    rows = [f"T-{n},单位{n},witness,{bytes([n] * 32).hex()},{b64encode(der).decode()}" for n, der in enumerate(ders)]
    lines, about = filled((Field("trustees", "份额保管人", "area", longest=60_000),), {"trustees": "\n".join(rows)})
    assert list(lines.values()) == [
        f"T-{n},单位{n},witness,{bytes([n] * 32).hex()},SHA-256 {sha256(der).hexdigest()}" for n, der in enumerate(ders)
    ]
    assert about["trustees"] == sha256("\n".join(rows).encode()).hexdigest()
