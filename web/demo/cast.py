"""Who and what the demonstration is about (演示用人物与数据).

The lot is the county's own tender for its electronic trading platform (宾政办发〔2017〕18号, 三(三)). Companies, people and
numbers are invented; the 统一社会信用代码 are synthetic with correct check characters.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from node.domain.bidding import BidContent, PriceLine
from node.domain.notice import BondTerms, Check, Criterion, OutlierRow, PriceMethod, Scheme
from node.domain.project import RegisterLot

CHINA = timezone(timedelta(hours=8))


def ms(text: str) -> int:
    """Return the instant of a civil time such as 2026-03-02 09:00."""
    return int(datetime.fromisoformat(text).replace(tzinfo=CHINA).timestamp()) * 1_000


START = "2026-03-02 08:30"
SALE_FROM, SALE_TO = "2026-03-02 10:00", "2026-03-10 17:00"
DEADLINE = "2026-03-25 09:30"
BOND_DEADLINE = "2026-03-24 17:00"
OPENING_PLACE = "宾川县公共资源交易中心第一开评标室"
MEDIA = ("云南省招标投标公共服务平台", "云南省公共资源交易信息网")

LOT_CODE = "E5329240000000001001001"
LOT = RegisterLot(
    lot_code=LOT_CODE,
    project_code="E5329240000000001",
    tender_project_code="E5329240000000001001",
    deal_code="A01-12532924MB0T1234X4-20260302-000001-C",
    project_name="宾川县公共资源交易电子化平台建设项目",
    lot_name="机房升级改造与远程异地评标室工程",
    tenderer_name="宾川县政务服务管理局",
    tenderer_uscc="11532924MB1A2X7T4Y",
    agency_name="云南点苍招标代理有限公司",
    agency_uscc="91530100MA6K3WP17T",
    region="532924",
    trade_class="A01",
    category="works",
    method="open",
    profile_id="works",
    state_funds=True,
    estimate_fen=500_000_000,
    approval_ref="宾发改投资〔2026〕7号",
    funds_ref="宾财建〔2026〕11号",
    agency_contract_ref="DC-2026-003",
)

SCHEME = Scheme(
    name="综合评估法",
    criteria=(
        Criterion(
            "T1",
            "施工组织设计",
            "technical",
            "subjective",
            1_500,
            50,
            "方案完整、针对性强 12—15；一般 8—11.5；较差 0—7.5",
        ),
        Criterion(
            "T2",
            "机房与供电改造方案",
            "technical",
            "subjective",
            1_000,
            50,
            "UPS 供电 2 小时、发电机、精密空调、防雷接地",
        ),
        Criterion(
            "T3", "远程异地评标室音视频方案", "technical", "subjective", 1_000, 50, "隔音、全景与特写、录制、主副场互联"
        ),
        Criterion("T4", "进度与质量保证措施", "technical", "subjective", 500, 50, "措施具体可行"),
        Criterion("B1", "类似工程业绩", "business", "objective", 1_000, 250, "近三年每项 2.5 分，最多 10 分"),
        Criterion("B2", "项目负责人资格", "business", "objective", 500, 250, "一级建造师 5 分，二级 2.5 分"),
        Criterion("C1", "信用评价", "credit", "objective", 500, 100, "按最近一期信用评价折算"),
    ),
    checks=(
        Check("F1", "form", "投标函签字盖章", "zbt51-1"),
        Check("Q1", "qualification", "电子与智能化工程专业承包资质、安全生产许可证", "zbt51-3"),
        Check("R1", "response", "工期、质量、投标有效期响应招标文件", "zbt51-6"),
    ),
    price=PriceMethod(
        method="benchmark",
        full="40",
        outliers=(OutlierRow(1, 0, 0), OutlierRow(4, 1, 1)),
        k="0.05",
        above="0.8",
        below="0.4",
        step="linear",
        floor="0",
        round_score=2,
    ),
    aggregation="trimmed",
    trim_from=7,
    candidates=3,
)
CONTROL_PRICE_FEN = 486_000_000
BOND = BondTerms(amount_fen=8_000_000, forms=("transfer", "guarantee-bank"), deadline_ms=ms(BOND_DEADLINE))
VALIDITY_DAYS = 90


@dataclass(frozen=True, slots=True)
class Company:
    """One bidder of the demonstration."""

    name: str
    uscc: str
    contact: str
    phone: str
    price_fen: int
    price_words: str
    period_days: int
    form: str = "transfer"
    fate: str = ""  # what will happen to this bid


BIDDERS = (
    Company(
        "大理苍洱智能工程有限公司",
        "91532900MA6N8K2D6C",
        "杨丽",
        "13987200011",
        462_800_000,
        "肆佰陆拾贰万捌仟元整",
        120,
    ),
    Company(
        "云南滇西电子系统有限公司",
        "91532900MA6P4R7C90",
        "李国强",
        "13987200022",
        471_250_000,
        "肆佰柒拾壹万贰仟伍佰元整",
        110,
    ),
    Company(
        "宾川金沙建筑安装有限公司",
        "91532900MA6Q9T3F14",
        "赵文斌",
        "13987200033",
        493_600_000,
        "肆佰玖拾叁万陆仟元整",
        120,
        fate="高于最高投标限价",
    ),
    Company(
        "昆明翠湖信息技术有限公司",
        "91530000MA6KXW5H40",
        "段晓燕",
        "13987200044",
        438_900_000,
        "肆佰叁拾捌万玖仟元整",
        115,
        "guarantee-bank",
    ),
    Company(
        "云南金马机电安装有限公司",
        "91530000MA6L2Y8B1H",
        "张宏伟",
        "13987200055",
        455_300_000,
        "肆佰伍拾伍万叁仟元整",
        120,
    ),
    Company(
        "云南碧鸡智慧科技有限公司",
        "91530000MA6M7G4J03",
        "和志远",
        "13987200066",
        468_000_000,
        "肆佰陆拾捌万元整",
        120,
        fate="文件损坏，无法解密",
    ),
)


def bid_of(company: Company, ref: str) -> BidContent:
    """Return what this company bids; its lines add up to its price."""
    half = company.price_fen * 6 // 10
    lines = (
        PriceLine("1", "机房升级改造", "1", f"{half // 100}.{half % 100:02d}", half),
        PriceLine("2", "远程异地评标室", "1", _yuan(company.price_fen - half), company.price_fen - half),
    )
    return BidContent(
        lot_code=LOT_CODE,
        round_no=1,
        ref=ref,
        bidder_name=company.name,
        uscc=company.uscc,
        price_fen=company.price_fen,
        price_words=company.price_words,
        period_days=company.period_days,
        quality="合格",
        lines=lines,
        files=(),
    )


def _yuan(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02d}"


@dataclass(frozen=True, slots=True)
class Sitter:
    """One committee member of the demonstration."""

    no: str
    person: str
    name: str
    id_no: str
    phone: str
    employer: str
    node: str  # a or b
    seat: str
    kind: str = "expert"


# The seats; who sits on those of the experts is drawn.
MEMBERS = (
    *(Sitter(f"E{n}", "", "", "", "", "", "a" if n < 5 else "b", f"0{n}") for n in range(1, 7)),
    Sitter(
        "E7", "T-02", "张晓峰", "532924198001190019", "13887210007", "宾川县政务服务管理局", "b", "07", kind="tenderer"
    ),
)

_SURNAMES = "王李杨段赵和张何周施罗尹董毕苏高马陈刘黄朱孙胡郭"
_WORKS, _COST = "A0801", "A0601"
BANK_HEAD = "专家编号,姓名,证件类型,证件号码,出生日期,工作单位,行政区划,电话,是否可用,专家库类型,评标专业,人员号"


@dataclass(frozen=True, slots=True)
class Banked:
    """One expert of the bank; who of them sits is drawn."""

    person: str
    name: str
    id_no: str
    phone: str
    line: str


def _banked(at: int) -> Banked:
    no, person, name = f"53292400{at:02d}", f"X-{at:02d}", f"{_SURNAMES[at - 1]}学{'文理工建造电水路桥机'[at % 10]}"
    birth = f"{1962 + at % 20}-{at % 12 + 1:02d}-{at:02d}"
    id_no, phone = f"532901{birth.replace('-', '')}{at:04d}", f"138872101{at:02d}"
    specialty = _COST if at % 3 == 0 else _WORKS
    row = (no, name, "1", id_no, birth, f"大理州第{at}设计院", "532901", phone, "是", "1", specialty, person)
    return Banked(person, name, id_no, phone, ",".join(row))


BANK = tuple(_banked(at) for at in range(1, 25))

STAFF = (
    ("T-01", "何世林", "tenderer"),
    ("G-01", "周敏", "agency"),
    ("O-01", "施文静", "operator"),
    ("O-02", "罗天明", "operator"),
    ("W-01", "尹海燕", "witness"),
    ("S-01", "董志刚", "supervisor"),
    ("M-01", "毕凯", "technician"),
)
TRUSTEES = ("宾川县司法局", "宾川县公证处", "宾川县审计局", "大理州公共资源交易管理局", "宾川县纪委监委")
REVIEWERS = (("R-01", "苏慧", "reviewer"), ("M-02", "高翔", "technician"))

# Marks in hundredths: member -> company index -> criterion -> mark. Objective items are the same for everybody.
_OBJECTIVE = {0: (1_000, 500, 500), 1: (750, 500, 400), 3: (500, 250, 300), 4: (750, 500, 400)}
_QUALITY = {0: (88, 90, 86, 90), 1: (82, 80, 84, 80), 3: (70, 74, 72, 70), 4: (85, 83, 88, 80)}


def marks_of(member_index: int, company_index: int) -> dict[str, int]:
    """Return one member's marks on one bid: a quality in percent, moved a little by who marks, in the scheme's steps."""
    marks = {}
    for criterion, percent in zip(SCHEME.criteria[:4], _QUALITY[company_index], strict=True):
        moved = percent + (member_index * 3 + company_index * 2) % 7 - 3
        marks[criterion.no] = criterion.full_centi * moved // 100 // criterion.step_centi * criterion.step_centi
    for criterion, mark in zip(SCHEME.criteria[4:], _OBJECTIVE[company_index], strict=True):
        marks[criterion.no] = mark
    return marks
