"""`erhai import experts`: whole or nothing, faults by line and column, and never a word of what a field held."""

import json

import pytest
from click.testing import CliRunner

from erhai import cli
from node import expert_bank
from node.domain.refused import Refused
from node.exchange.experts import COLUMNS, read_experts
from node.store import connect
from tests.data import bank
from tests.faults import small_node

HEAD = bank.HEADERS
GOOD = bank.lines(2)


def changed(line: str, column: str, value: str) -> str:
    parts = line.split(",")
    parts[HEAD.split(",").index(column)] = value
    return ",".join(parts)


def body(*lines: str, head: str = HEAD) -> bytes:
    return "\n".join([head, *lines]).encode()


FAULTS = {
    "an empty file": (b"", "no-experts", "1", ""),
    "a header alone": (body(), "no-experts", "1", ""),
    "bytes that are no text": (body(GOOD[0]) + b"\n\xff\xfe", "not-utf8", "3", ""),
    "an open quote": (body('"1,2'), "not-csv", "2", ""),
    "an unknown column": (body(head=f"{HEAD},星座"), "column-unknown", "1", "星座"),
    "a column twice": (body(head=f"{HEAD},name"), "stands-twice", "1", "name"),
    "a column less": (body(head=HEAD.replace("电话,", "")), "column-missing", "1", "电话"),
    "a field more": (body(GOOD[0], GOOD[1] + ",x"), "fields-differ", "3", ""),
    "no name": (body(GOOD[0], changed(GOOD[1], "姓名", " ")), "missing", "3", "姓名"),
    "a number twice": (body(GOOD[0], GOOD[0]), "stands-twice", "3", "专家编号"),
    "an identity twice": (
        body(GOOD[0], changed(GOOD[1], "证件号码", GOOD[0].split(",")[3])),
        "stands-twice",
        "3",
        "证件号码",
    ),
    "a region": (body(changed(GOOD[0], "行政区划", "5329")), "field-malformed", "2", "行政区划"),
    "a specialty": (body(changed(GOOD[0], "评标专业", "a08")), "field-malformed", "2", "评标专业"),
    "a birth day": (body(changed(GOOD[0], "出生日期", "1970-02-30")), "field-malformed", "2", "出生日期"),
    "a flag": (body(changed(GOOD[0], "是否可用", "也许")), "field-malformed", "2", "是否可用"),
    "a kind of bank": (body(changed(GOOD[0], "专家库类型", "3")), "field-malformed", "2", "专家库类型"),
    "a telephone": (body(changed(GOOD[0], "电话", "无")), "field-malformed", "2", "电话"),
    "leave that ends before it begins": (
        body(GOOD[0] + ",2026-03-02/2026-03-01", head=f"{HEAD},请假"),
        "field-malformed",
        "2",
        "请假",
    ),
    "an invisible sign": (body(changed(GOOD[0], "姓名", "甲\u200b")), "field-malformed", "2", "姓名"),
}


@pytest.mark.parametrize(("given", "code", "line", "column"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_named_by_line_and_column_and_holds_nothing_of_the_field(given, code, line, column):
    with pytest.raises(Refused) as refused:
        read_experts(given)
    facts = dict(refused.value.facts)
    assert (refused.value.code, facts["line"], facts["column"]) == (code, line, column)
    told = str(refused.value)
    assert not any(word in told for word in ("专家甲", "5329011960", "1390000"))


def test_columns_may_stand_in_any_order_under_either_name():
    keys = {header: key for key, (header, _) in COLUMNS.items()}
    order = list(reversed(HEAD.split(",")))
    row = dict(zip(HEAD.split(","), GOOD[0].split(","), strict=True))
    text = body(",".join(row[name] for name in order), head=",".join(keys[name] for name in order))
    assert read_experts(text) == read_experts(body(GOOD[0]))


def test_a_record_is_what_the_rules_look_at():
    line = GOOD[1] + ",否,是,2026-03-02/2026-03-03;2026-04-01/2026-04-01,甲公司；9153"
    expert = read_experts(body(line, head=f"{HEAD},资格符合,暂停,请假,回避单位"))[0].expert()
    assert (expert.qualified, expert.suspended, expert.enabled) == (False, True, True)
    assert expert.specialties == ("A0601", "A0802")
    assert expert.relations == ("甲公司", "9153")
    assert [(span.to_ms - span.from_ms) // 86_400_000 for span in expert.leave] == [2, 1]


def imported(folder, given: bytes, *options: str, language: str = "zh_CN.UTF-8"):
    file = folder / "experts.csv"
    file.write_bytes(given)
    command = ["import", "experts", str(file), "--data", str(folder / "node"), *options]
    if "--as-of" not in options:
        command += ["--as-of", "2026-02-20"]
    return CliRunner(env={"LANG": language}).invoke(cli, command)


def kept(folder) -> int:
    db = connect(folder / "node" / "erhai.db", readonly=True)
    try:
        return db.execute("SELECT COUNT(*) FROM expert_bank").fetchone()[0]
    finally:
        db.close()


@pytest.fixture
def folder(tmp_path):
    small_node.make(tmp_path / "node")
    return tmp_path


def test_a_snapshot_replaces_the_one_before_and_the_log_holds_a_digest(folder):
    first = imported(folder, bank.csv(5), "--json")
    assert first.exit_code == 0, first.output
    assert json.loads(first.stdout)["experts"] == 5
    assert kept(folder) == 5
    second = imported(folder, bank.csv(7), language="en_US.UTF-8")
    assert (second.exit_code, kept(folder)) == (0, 7)
    assert second.stdout.startswith("7 experts imported: R-")
    again = imported(folder, bank.csv(7))
    assert (again.exit_code, kept(folder)) == (1, 7)
    assert "此前已导入同一文件" in again.stderr


def test_a_wrong_line_leaves_the_bank_as_it_was(folder):
    assert imported(folder, bank.csv(5)).exit_code == 0
    wrong = imported(folder, body(*bank.lines(6)[:5], changed(bank.lines(6)[5], "行政区划", "x")))
    assert (wrong.exit_code, kept(folder)) == (1, 5)
    assert "第 7 行 行政区划" in wrong.stderr
    older = imported(folder, bank.csv(6), "--as-of", "2026-02-19")
    assert (older.exit_code, kept(folder)) == (1, 5)


def test_no_file_and_no_node_are_usage_errors(folder):
    none = CliRunner().invoke(cli, ["import", "experts", "none.csv", "--as-of", "2026-02-20"])
    assert none.exit_code == 2
    (folder / "elsewhere").mkdir()
    file = folder / "experts.csv"
    file.write_bytes(bank.csv(2))
    command = ["import", "experts", str(file), "--as-of", "2026-02-20", "--data", str(folder / "elsewhere")]
    assert CliRunner().invoke(cli, command).exit_code == 2


async def test_every_row_is_sealed_and_opens_with_the_room_key(folder):
    small_node.make(folder / "other")
    node = small_node.opened(folder / "other")
    try:
        await node.store.write(lambda db: expert_bank.replace_with(db, bank.csv(4), 1, node.room))
        found = await node.read(lambda db: expert_bank.everybody(db, node.room))
        assert sorted(one.record.of("name") for one in found) == list(bank.NAMES[:4])
    finally:
        await node.close()
    for path in (folder / "other").rglob("*"):
        assert not path.is_file() or bank.NAMES[0].encode() not in path.read_bytes()
