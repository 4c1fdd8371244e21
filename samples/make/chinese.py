"""``chinese.pdf``: a Chinese page with headings, a table, a caption and some Latin words."""

from __future__ import annotations

from pathlib import Path

from .page import Frame, Sample
from .tables import Table
from .typeset import Style

BODY = Style("Song", 11, 18.5, "justify", indent=22, latin="Serif")
HEAD = Style("Hei", 13.5, 19, latin="Hei")
CAPTION = Style("Hei", 9.5, 13, "center", latin="Hei")
NOTE = Style("Song", 9, 12, latin="Serif")
LEFT, WIDTH = 76.0, 443.0

TITLE = "城市屋顶花园的雨水滞留试验"
AUTHOR = "陈雨桐　周明远（临江市园林研究所）"
INTRO = [
    "夏季暴雨时，城市的排水管网常常来不及排走雨水。屋顶花园能够"
    "把一部分雨水留在土壤里，再慢慢蒸发到空气中。为了了解这种作用"
    "究竟有多大，我们于 2022 年 5 月至 2023 年 10 月在三座公共建筑的屋顶上进行了试验，记录了四十七场降雨。",
    "与以往的研究不同，本试验没有使用昂贵的称重设备，而是在每个落水"
    "口安装了由 ESP32 芯片控制的流量计，每十秒钟读取一次数据。"
    "全部设备的费用不到三千元，其他城市可以很容易地“照搬”这一方法。",
]
METHOD = [
    "三处屋顶的土层厚度分别为八厘米、十五厘米和三十厘米，面积都在二"
    "百平方米左右。旁边未绿化的屋顶作为对照。滞留率定义为没有流出的"
    "雨水占降雨总量的百分比；如果两场降雨之间的间隔少于六小时，则视为同一场降雨。",
]
RESULT = [
    "表 1 列出了主要结果。土层越厚，滞留率越高，但增加的幅度逐渐"
    "变小：从八厘米到十五厘米提高了十九个百分点，从十五厘米到三十厘米"
    "只提高了九个百分点。对于小雨（不足 10 mm），三处屋顶几乎没有差别，雨水基本上全部被吸收。",
    "洪峰推迟的时间更加值得注意。在 2023 年 7 月 21 日的暴雨中，"
    "一小时降雨量达到 58 mm，对照屋顶在四分钟后就开始大量排水，而三十"
    "厘米的屋顶推迟了五十二分钟，此时管网的压力已经缓解。",
]
CLOSING = [
    "综合考虑造价、荷载和效果，我们建议新建的公共建筑采用十五厘米的土层。下一步将研究植物种类的影响，并公开全部数据。",
]
ROOFS = Table(
    [
        ["屋顶", "土层厚度（厘米）", "平均滞留率", "洪峰推迟（分钟）", "每平方米造价（元）"],
        ["对照", "0", "9 %", "4", "0"],
        ["图书馆", "8", "43 %", "17", "260"],
        ["体育馆", "15", "62 %", "38", "340"],
        ["档案馆", "30", "71 %", "52", "590"],
    ],
    [63.0, 98.0, 80.0, 98.0, 104.0],
    Style("Song", 9.5, 13, latin="Serif"),
    "lcccc",
    pad=(4.0, 4.5),
)


def make(folder: Path) -> None:
    """Write chinese.pdf and its ground truth."""
    sample = Sample(folder / "chinese", title=TITLE)
    sample.new_page()
    sample.text("abandon", "临江园林　2024 年第 2 期", NOTE, (LEFT, 40, WIDTH), md=None)
    frame = Frame(LEFT, 74, WIDTH, 780)
    big = Style("Hei", 20, 26, "center", latin="Hei")
    sample.text("title", TITLE, big, frame, prefix="# ", after=8)
    sample.text("plain text", AUTHOR, NOTE.but(align="center", size=10.5, leading=14.0), frame, after=16)
    for head, paragraphs in (("一、引言", INTRO), ("二、方法", METHOD), ("三、结果", RESULT[:1])):
        sample.text("title", head, HEAD, frame, prefix="## ", after=7)
        for text in paragraphs:
            sample.text("plain text", text, BODY, frame, after=6)
        frame.y += 5
    frame.y += 2
    sample.text("table_caption", "表 1　三处屋顶花园与对照屋顶的比较", CAPTION, frame, after=6)
    frame.y = ROOFS.draw(sample, LEFT, frame.y) + 12
    sample.text("plain text", RESULT[1], BODY, frame, after=11)
    sample.text("title", "四、结论", HEAD, frame, prefix="## ", after=7)
    sample.text("plain text", CLOSING[0], BODY, frame)
    sample.text("abandon", "· 31 ·", NOTE.but(align="center"), (LEFT, 800, WIDTH), md=None)
    sample.save()
