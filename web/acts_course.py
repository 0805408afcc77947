"""What changes a lot's course at any stage (中止、恢复、流标、终止、重新招标)."""

from node.domain import project
from node.domain.lot import blocked
from web.desk_act import REASON, TEXT, Act, before_opening, fixed, plain
from web.forms import Field

COURSE_ACTS: tuple[Act, ...] = (
    Act(
        "suspend",
        "中止",
        project.Suspend,
        "中止",
        fixed(
            Field(
                "reason",
                "原因",
                "choice",
                choices=(
                    ("outage", "停电、断网等故障"),
                    ("supervisor-order", "行政监督部门要求"),
                    ("complaint", "投诉"),
                    ("other", "其他"),
                ),
            ),
            TEXT,
        ),
        lambda lot: not blocked(lot),
        plain(lambda _lot, v, _a: project.Suspend(v["reason"], v["text"])),
    ),
    Act(
        "resume",
        "恢复",
        project.Resume,
        "恢复",
        fixed(TEXT),
        lambda lot: blocked(lot) == "suspended",
        plain(lambda _lot, v, _a: project.Resume(v["text"])),
    ),
    Act(
        "round-failed",
        "宣布流标",
        project.DeclareRoundFailed,
        "宣布流标",
        fixed(REASON),
        before_opening,
        plain(lambda _lot, v, _a: project.DeclareRoundFailed(v["reason"])),
    ),
    Act(
        "scrap",
        "否决全部投标",
        project.ScrapProcedure,
        "否决全部投标",
        fixed(
            Field(
                "reason",
                "情形",
                "choice",
                choices=(("all-rejected", "全部投标被否决"), ("no-competition", "明显缺乏竞争"), ("unlawful", "违法")),
            ),
            TEXT,
        ),
        lambda lot: lot.opening.confirmed and not lot.award.notified_at_ms,
        plain(lambda _lot, v, _a: project.ScrapProcedure(v["reason"], v["text"])),
    ),
    Act(
        "termination",
        "终止招标",
        project.TerminateProcedure,
        "终止招标",
        fixed(REASON, TEXT),
        lambda lot: not lot.award.notified_at_ms,
        plain(lambda _lot, v, _a: project.TerminateProcedure(v["reason"], v["text"])),
    ),
    Act(
        "retender",
        "重新招标",
        project.StartRetender,
        "重新招标",
        fixed(TEXT),
        lambda lot: lot.project.ended in {"round-failed", "scrapped"},
        plain(lambda _lot, v, _a: project.StartRetender(v["text"])),
    ),
)
