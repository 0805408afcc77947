"""The papers as PDF: the same bytes whoever renders them, named fonts, the evidence inside, nothing from outside."""

import hashlib
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import segno
from pypdf import PageObject, PdfReader
from pypdf.generic import IndirectObject

from node.domain.refused import Refused
from node.domain.report import evaluation_report, report_sha256
from tests.data.sample_report import BUNDLE, NOTE, RECEIPT, large_lot, opened_lot, ranked_lot, reported_lot
from web.pdf import RenderFault, render
from web.render import environment
from web.reports import EVIDENCE_NAME, evaluation_pdf, fingerprint_lines, opening_pdf, score_sheet_pdf, square_code

ROOT = Path(__file__).parents[2]
A4_POINTS = (595.3, 841.9)
RIGHT_MARGIN_POINTS = 18 / 25.4 * 72
IN_ANOTHER_PROCESS = """
import hashlib
from tests.data.sample_report import *
from web.reports import *
pdf = evaluation_pdf(reported_lot(), BUNDLE, NOTE, receipt=RECEIPT)
print(hashlib.sha256(pdf).hexdigest())
"""


@cache
def paper(name: str) -> bytes:
    match name:
        case "report":
            return evaluation_pdf(reported_lot(), BUNDLE, NOTE, receipt=RECEIPT)
        case "opening":
            return opening_pdf(opened_lot(), BUNDLE, NOTE, receipt=RECEIPT)
        case "sheet":
            return score_sheet_pdf("E3", ranked_lot(), BUNDLE, NOTE, receipt=RECEIPT)
        case "large":
            return evaluation_pdf(large_lot(20, 7, 2), BUNDLE, NOTE)
        case _:
            raise KeyError(name)


@cache
def pages(name: str) -> tuple[PageObject, ...]:
    return tuple(PdfReader(io.BytesIO(paper(name))).pages)


def text_of(name: str) -> str:
    return "\n".join(page.extract_text() for page in pages(name))


def close_up(text: str) -> str:
    """Without white space: where lines break is the layout's business."""
    return re.sub(r"\s+", "", text)


PAPERS = ("report", "opening", "sheet")


# -- the same bytes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["opening", "sheet"])
def test_a_paper_rendered_twice_has_the_same_bytes(name: str) -> None:
    assert paper.__wrapped__(name) == paper(name)


def test_another_process_in_other_surroundings_renders_the_same_report() -> None:
    surroundings = {
        "LANG": "C",
        "LC_ALL": "C",
        "TZ": "America/New_York",
        "SOURCE_DATE_EPOCH": "1",
        "PYTHONHASHSEED": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", IN_ANOTHER_PROCESS],
        cwd=ROOT,
        env={**os.environ, **surroundings},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stdout.strip() == hashlib.sha256(paper("report")).hexdigest()


def test_rendering_leaves_the_environment_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "7")
    render("<p>一</p>", (), 1_000_000)
    assert os.environ["SOURCE_DATE_EPOCH"] == "7"
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    render("<p>一</p>", (), 1_000_000)
    assert "SOURCE_DATE_EPOCH" not in os.environ


def test_another_bundle_makes_another_paper() -> None:
    assert opening_pdf(opened_lot(), BUNDLE + b".", NOTE, receipt=RECEIPT) != paper("opening")


def test_the_time_of_a_paper_is_the_time_of_its_entry() -> None:
    for name, moment in (("report", "20260325163012"), ("opening", "20260325101207"), ("sheet", "20260325154109")):
        reader = PdfReader(io.BytesIO(paper(name)))
        assert reader.metadata is not None
        assert re.sub(r"\D", "", str(reader.metadata["/CreationDate"]))[:14] == moment


# -- what a reader finds -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "count"), [("report", 6), ("opening", 2), ("sheet", 2), ("large", 9)])
def test_every_page_has_its_number_and_the_receipt(name: str, count: int) -> None:
    assert len(pages(name)) == count
    receipt = "--" if name == "large" else RECEIPT.number
    for number, page in enumerate(pages(name), start=1):
        text = close_up(page.extract_text())
        assert f"第{number}页，共{count}页" in text
        assert f"回执{receipt}" in text
        assert (round(float(page.mediabox.width), 1), round(float(page.mediabox.height), 1)) == A4_POINTS


def test_page_one_shows_fingerprint_checkpoint_and_how_to_verify() -> None:
    first = pages("report")[0].extract_text()
    digest = report_sha256(evaluation_report(reported_lot()))
    for line in fingerprint_lines(digest):
        assert re.fullmatch(r"([0-9a-f]{4} ){7}[0-9a-f]{4}", line)
        assert line in first
    assert "2026-03-25 16:30:12，共 58 条记录" in first
    assert RECEIPT.origin in first
    assert "erhai log verify evidence.zip" in first


def test_the_square_code_holds_receipt_and_fingerprint_and_no_address() -> None:
    digest = bytes(range(32))
    expected = io.BytesIO()
    made = segno.make_qr("R-AAAA-000001\n" + digest.hex(), error="m")
    made.save(expected, kind="svg", xmldecl=False, svgns=True, omitsize=True, border=0)
    assert square_code("R-AAAA-000001", digest) == expected.getvalue().decode()
    assert not re.search(r"https?://(?!www\.w3\.org)", square_code("R-AAAA-000001", digest))


@pytest.mark.parametrize("name", PAPERS)
def test_the_bundle_lies_inside_unchanged(name: str) -> None:
    attached = PdfReader(io.BytesIO(paper(name))).attachments
    assert dict(attached) == {EVIDENCE_NAME: [BUNDLE]}


@pytest.mark.parametrize("name", PAPERS)
def test_a_paper_declares_itself_archival(name: str) -> None:
    root = PdfReader(io.BytesIO(paper(name))).trailer["/Root"]
    metadata = root["/Metadata"].get_data().decode()
    assert "<pdfaid:part>3</pdfaid:part>" in metadata.replace("pdfaid:part=", "") or 'pdfaid:part="3"' in metadata
    assert root["/Lang"] == "zh-CN"


def test_the_report_says_all_ten_sections_and_every_word() -> None:
    text = close_up(text_of("report"))
    titles = [
        "一、基本情况",
        "二、评标委员会",
        "三、开标记录",
        "四、符合要求的投标",
        "五、被否决的投标及理由",
        "六、评标标准、评标方法",
        "七、评分和价格比较",
        "八、经评审的投标人排序",
        "九、推荐的中标候选人名单与签订合同前要处理的事宜",
        "十、澄清、说明、补正事项纪要",
        "评标委员会成员的意见",
        "评标委员会成员签字",
    ]
    places = [text.index(title) for title in titles]
    assert places == sorted(places)
    assert "建议对第二候选人的机房供电方案作进一步核实。" in text
    assert "8926941/2" in text
    assert "系统判定" in text


def test_what_is_not_signed_yet_says_so() -> None:
    assert "本稿不是评标报告的正式文本" in close_up(text_of("large"))
    assert "本稿不是评标报告的正式文本" not in close_up(text_of("report"))


def test_the_expert_reads_on_the_screen_what_will_be_printed() -> None:
    report = evaluation_report(reported_lot())
    page = environment().get_template("report/_sections.html").render(report=report)
    shown = re.sub(r"<(td|th|tr|h2|h3|p|br)\b[^>]*>", "\n", page)
    words = [close_up(word) for word in re.sub(r"<[^>]+>", "", shown).split("\n") if word.strip()]
    printed = close_up(text_of("report"))
    assert len(words) > 300
    missing = [word for word in words if word not in printed and len(word) < 12]  # longer ones may break over pages
    assert missing == []


def test_papers_are_refused_before_their_time() -> None:
    with pytest.raises(Refused):
        evaluation_pdf(opened_lot(), BUNDLE, NOTE)
    with pytest.raises(Refused):
        score_sheet_pdf("E1", opened_lot(), BUNDLE, NOTE)


# -- fonts ---------------------------------------------------------------------------------------------------------------


def fonts_of(data: bytes) -> Iterator[tuple[str, Any, Any]]:
    """Yield name, descendant and whole of every font used."""
    for page in PdfReader(io.BytesIO(data)).pages:
        for reference in page["/Resources"]["/Font"].values():
            whole = reference.get_object() if isinstance(reference, IndirectObject) else reference
            assert whole["/Subtype"] == "/Type0", whole["/Subtype"]
            yield str(whole["/BaseFont"]), whole["/DescendantFonts"][0].get_object(), whole


@pytest.mark.parametrize("name", PAPERS)
def test_every_font_is_named_embedded_and_maps_to_unicode(name: str) -> None:
    names = set()
    for base, descendant, whole in fonts_of(paper(name)):
        names.add(base.partition("+")[2])
        descriptor = descendant["/FontDescriptor"].get_object()
        assert {"/FontFile2", "/FontFile3"} & set(descriptor), base
        assert "/ToUnicode" in whole, base
    assert names == {
        "Noto-Serif-CJK-SC",
        "Noto-Serif-CJK-SC-Bold",
        "Noto-Sans-Mono-CJK-SC",
        "Noto-Sans-Mono-CJK-SC-Bold",
    }


def glyphs_of(data: bytes, character: str) -> set[int]:
    """Return the numbers of the glyphs that stand for a character, in any font; 0 is the empty box."""
    wanted = character.encode("utf-16-be").hex()
    found = set()
    for _, _, whole in fonts_of(data):
        table = whole["/ToUnicode"].get_object().get_data().decode()
        found |= {
            int(glyph, 16)
            for glyph, text in re.findall(r"<([0-9a-fA-F]{4})> <([0-9a-fA-F]+)>", table)
            if text.lower() == wanted
        }
    return found


@pytest.mark.parametrize("character", ["䶮", "𬉼", "㛃", "昇"])
def test_rare_surnames_have_a_glyph(character: str) -> None:
    data = render(f"<html lang=zh-CN><p>{character}氏</p>", (), 1_774_000_000_000)
    assert glyphs_of(data, "氏") - {0}
    assert glyphs_of(data, character) - {0}
    assert 0 not in glyphs_of(data, character)


def test_rare_surnames_stand_in_the_report_as_they_are_written() -> None:
    text = close_up(text_of("report"))
    assert "云南䶮光电子系统有限公司" in text
    assert "昆明𬉼湖信息技术有限公司" in text


# -- layout --------------------------------------------------------------------------------------------------------------


def ends_of_text(page: PageObject) -> list[tuple[float, str]]:
    """Return where each piece of text on a page ends at the latest, in points from the left, counting wide for Latin."""
    found = []

    def visit(text: str, matrix: list[float], own: list[float], _font: Any, size: float) -> None:
        scale = abs(matrix[0])
        for line in text.split("\n"):
            if line.strip():
                width = (
                    sum(0.5 if character.isascii() else 1.0 for character in line.strip()) * size * abs(own[0]) * scale
                )
                found.append((matrix[4] + own[4] * scale + width, line))

    page.extract_text(visitor_text=visit)
    return found


LONG_NAMES = [
    "{}" + "云南省大理白族自治州宾川县金沙江流域水利水电建筑安装与信息系统集成工程总承包" * 3 + "有限责任公司",
    "{}" + "VeryLongLatinNameWithoutAnySpace" * 5,
]


@pytest.mark.parametrize("name", LONG_NAMES, ids=["han", "latin"])
def test_long_names_wrap_inside_the_page(name: str) -> None:
    data = evaluation_pdf(large_lot(3, 5, 1, name=name), BUNDLE, NOTE)
    printed = PdfReader(io.BytesIO(data)).pages
    assert close_up(name.format("1")) in close_up("".join(page.extract_text() for page in printed))
    edge = A4_POINTS[0] - RIGHT_MARGIN_POINTS / 2  # widths are estimates
    ends = [end for page in printed for end in ends_of_text(page)]
    assert len(ends) > 100
    assert [end for end in ends if end[0] > edge] == []


def test_a_table_of_twenty_bids_and_seven_members_repeats_its_head_on_every_page() -> None:
    texts = [close_up(page.extract_text()) for page in pages("large")]
    with_marks = [text for text in texts if "成员合计" in text]
    assert len(with_marks) >= 2
    for text in with_marks:
        assert "评分因素满分E1E2E3E4E5E6E7平均" in text
    assert sum(text.count("成员合计") for text in with_marks) == 20


def test_a_bidders_marks_stay_together_under_its_name() -> None:
    for page in pages("large"):
        text = close_up(page.extract_text())
        if "成员合计" in text:
            names = re.findall(r"(\d+)\.第\1工程建设有限责任公司", text)
            assert len(names) == text.count("成员合计")


# -- nothing from outside ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "html",
    [
        '<img src="http://127.0.0.1:9/a.png">',
        '<img src="file:///etc/hostname">',
        '<link rel="stylesheet" href="http://127.0.0.1:9/a.css">',
        "<style>@import url(http://127.0.0.1:9/a.css);</style>",
    ],
)
def test_a_document_that_asks_for_something_outside_itself_gets_nothing(html: str) -> None:
    try:
        data = render(f"<html><body>{html}<p>一</p></body></html>", (), 1_774_000_000_000)
    except RenderFault:
        return
    reader = PdfReader(io.BytesIO(data))
    assert not list(reader.pages[0].images)
    assert reader.pages[0].extract_text().strip().startswith("一")


def test_a_bidder_whose_name_is_markup_is_printed_as_text() -> None:
    name = '<img src="http://127.0.0.1:9/x.png">&amp;{}'
    data = evaluation_pdf(large_lot(3, 5, 1, name=name), BUNDLE, NOTE)
    text = close_up("".join(page.extract_text() for page in PdfReader(io.BytesIO(data)).pages))
    assert close_up(name.format(1)) in text
