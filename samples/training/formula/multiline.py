"""Formulas of several lines or cells, long lines, equation numbers, chemistry and Chinese words: rare in the lists, and
made here out of their formulas. Every function returns tokens (tokens.py)."""

from samples.training.formula import tokens, variants

_TOP_RELATIONS = {
    "=",
    "<",
    ">",
    r"\leq",
    r"\geq",
    r"\approx",
    r"\equiv",
    r"\sim",
    r"\rightarrow",
    r"\in",
    r"\subset",
    r"\cong",
}
_ARROWS = [r"\Rightarrow", r"\rightarrow", r"\Longleftrightarrow", r"\Longrightarrow"]
_CONDITIONS = [
    "if ",
    "for ",
    "when ",
    " if ",
    "if",
    "for",
    "otherwise",
    "else",
    "otherwise.",
    "for all ",
    "and ",
    "or ",
]
_CHINESE = """如果 当 其他 其中 时 总 量 时间 距离 速度 面积 体积 质量 温度
    压力 概率 收入 成本 价格 利润 平均 最大 最小 个数 年 月 日 元
    米 秒 系数 误差 标准差 方差 均值 样本 总数 长 宽 高 上 下
    左 右 是 否则 且 或 有 常数 电流 电压 电阻 功率 能量 频率
    增长率 比例 单位 数量 资产 负债 净值 国内 生产 设备 人口 密度 角度 半径
    直径 实际 理论 输入 输出 信号 噪声 准确率 召回率 精度 效率 损失 训练 测试
    类别 真 假 正 负""".split()
_ELEMENTS = "H C N O S P F Cl Br I Na K Ca Mg Fe Cu Zn Al Si Ag Mn Cr Pb Ba Li Ti Hg Ni Co".split()
_CHEM_ARROWS = [r"\rightarrow", r"\longrightarrow", r"\rightleftharpoons", r"\leftrightarrow", "="]


class Pool:
    """Formulas by length, in tokens: `cells` (1 to 7), `middle` (8 to 30), `long` (31 to 80); `split` those with a
    relation outside all braces, as (left, from the relation on)."""

    def __init__(self, rows):
        self.cells, self.middle, self.long, self.split = [], [], [], []
        for row in rows:
            if r"\begin" in row[2]:
                continue
            found = tokens.split(row[2])
            while found and found[-1] in ",.;":
                found.pop()
            if not found or found[0] in "^_=," or found[-1] in "=+-":
                continue
            if len(found) <= 7:
                self.cells.append(found)
            elif len(found) <= 30:
                self.middle.append(found)
            elif len(found) <= 80:
                self.long.append(found)
            if 5 <= len(found) <= 45:
                at = _relation(found)
                if at:
                    self.split.append((found[:at], found[at:]))


def _relation(found):
    """The index of the first relation outside braces and `\\left ... \\right`; 0: none."""
    depth = 0
    for k, token in enumerate(found):
        depth += (token in ("{", r"\left", "(", "[")) - (token in ("}", r"\right", ")", "]"))
        if depth == 0 and token in _TOP_RELATIONS and k:
            return k
    return 0


def _environment(name, rows, spec=""):
    """rows: lists of cells -> tokens."""
    out = [rf"\begin{{{name}}}"] + (["{", *spec, "}"] if spec else [])
    for k, row in enumerate(rows):
        out += [r"\\"] if k else []
        for j, cell in enumerate(row):
            out += (["&"] if j else []) + cell
    return [*out, rf"\end{{{name}}}"]


def _stop(rng, last):
    return rng.choice([[], [], [","], ["."] if last else [","]])


def aligned(pool, rng):
    """2 to 6 lines aligned at their relations; later lines may begin with the relation or go on with an operator."""
    count = rng.choices([2, 3, 4, 5, 6], [44, 28, 15, 8, 5])[0]
    rows, chain = [], rng.random() < 0.45
    flush = rng.random() < 0.15  # all lines begin at the left edge
    for k in range(count):
        left, right = rng.choice(pool.split)
        if k and rng.random() < 0.12:
            right = [r"\quad", rng.choice("+-"), *rng.choice(pool.middle)]
            rows.append([[], right + _stop(rng, k == count - 1)])
            continue
        if flush:
            rows.append([[], ([] if k and chain else left) + right + _stop(rng, k == count - 1)])
            continue
        rows.append([[] if k and chain else left, right + _stop(rng, k == count - 1)])
    return _environment("aligned", rows)


def gathered(pool, rng):
    """2 to 4 centred lines."""
    count = rng.choices([2, 3, 4], [60, 28, 12])[0]
    return _environment("gathered", [[rng.choice(pool.middle) + _stop(rng, k == count - 1)] for k in range(count)])


def _condition(pool, rng):
    word = rng.choice(_CONDITIONS)
    if word.strip(" .") in ("otherwise", "else"):
        return _text(word)
    left, right = rng.choice(pool.split)
    body = left + right
    if len(body) > 16 or rng.random() < 0.5:
        body = rng.choice(pool.cells)
    return body if rng.random() < 0.3 else _text(word) + body


def _text(words):
    core = words.replace(" ", "~")
    if core.isalpha() and core.isascii():
        return [r"\mathrm", "{", *core, "}"]
    return [r"\text", "{", *core, "}"]


def cases(pool, rng):
    """`f = {` with 2 to 4 rows, mostly with a condition each."""
    count = rng.choices([2, 3, 4], [62, 28, 10])[0]
    rows = []
    for k in range(count):
        value = rng.choice(pool.cells if rng.random() < 0.5 else pool.middle)
        comma = [","] if rng.random() < 0.5 else []
        rows.append(
            [value + comma] + ([] if rng.random() < 0.15 else [_condition(pool, rng) + _stop(rng, k == count - 1)])
        )
    head = rng.choice(pool.split)[0] + ["="] if rng.random() < 0.85 else []
    return head + _environment("cases", rows)


def matrix(pool, rng):
    """A matrix of 1 to 5 rows and columns of small entries, perhaps with dots, and something before or behind it."""
    name = rng.choices(["pmatrix", "bmatrix", "vmatrix", "matrix", "Bmatrix"], [42, 40, 8, 7, 3])[0]
    height, width = rng.choice(
        [(2, 2), (2, 2), (3, 3), (3, 3), (2, 3), (3, 2), (4, 4), (1, 3), (3, 1), (2, 1), (4, 1), (5, 5)]
    )
    kind = rng.random()
    letter = rng.choice([rng.choice(variants.LOWER), rng.choice(variants.UPPER), rng.choice(variants.GREEK)])
    signs = [[], [], ["-"]]

    def entry(i, j):
        if kind < 0.3:
            return rng.choice(signs) + list(str(rng.choice([0, 0, 1, 1, 2, 3, rng.randrange(100)])))
        if kind < 0.55:
            index = [str(i + 1), str(j + 1)] if height > 1 and width > 1 else [str(max(i, j) + 1)]
            return [letter, "_", "{", *index, "}"] if len(index) > 1 else [letter, "_", *index]
        return list(rng.choice(pool.cells))

    rows = [[entry(i, j) for j in range(width)] for i in range(height)]
    if kind > 0.3 and height > 2 and width > 2 and rng.random() < 0.4:
        for j in range(width):
            rows[-2][j] = [r"\vdots"]
        for row in rows:
            row[-2] = [r"\cdots"]
        rows[-2][-2] = [r"\ddots"]
    elif kind > 0.3 and height > 2 and width == 1 and rng.random() < 0.5:
        rows[-2][0] = [r"\vdots"]
    out = _environment(name, rows)
    if name == "matrix" and rng.random() < 0.5:
        out = [r"\left", "(", *out, r"\right", ")"]
    if rng.random() < 0.6:
        out = [*rng.choice(pool.cells), "=", *out]
    if rng.random() < 0.2:
        out = out + _environment(name, [[rng.choice(pool.cells)] for _ in range(height)])
    elif rng.random() < 0.3:
        out = [*out, rng.choice(["=", "+", r"\cdot"]), *rng.choice(pool.cells)]
    return out


def array(pool, rng):
    """An array of 2 to 4 rows and 2 to 4 columns, its columns left, centred or right, perhaps behind a brace."""
    height, width = rng.choice([(2, 2), (2, 3), (3, 2), (3, 3), (4, 2), (2, 4)])
    spec = rng.choice(["l" * width, "c" * width, "r" + "l" * (width - 1), "rcl" if width == 3 else "c" * width])
    rows = [[rng.choice(pool.cells) for _ in range(width)] for _ in range(height)]
    if rng.random() < 0.3:
        for row in rows:
            row[-1] = rng.choice(pool.middle)
    out = _environment("array", rows, spec)
    if rng.random() < 0.6:
        left, right = rng.choice([("(", ")"), (r"\{", "."), (r"\{", "."), ("[", "]"), ("|", "|")])
        out = [r"\left", left, *out, r"\right", right]
        out = [*rng.choice(pool.cells), "=", *out] if rng.random() < 0.5 else out
    return out


def substack(pool, rng):
    """A sum, product or union over conditions on two lines."""
    lines = [*rng.choice(pool.cells), r"\\", *rng.choice(pool.cells)]
    out = [rng.choice(variants.BIG), "_", "{", r"\substack", "{", *lines, "}", "}", *rng.choice(pool.middle)]
    return [*rng.choice(pool.cells), "=", *out] if rng.random() < 0.4 else out


def joined(pool, rng):
    """One long line (or wide formula) of two or three."""
    parts = [rng.choice(pool.long if rng.random() < 0.5 else pool.middle) for _ in range(rng.choice([2, 2, 3]))]
    out = list(parts[0])
    for part in parts[1:]:
        out += rng.choice([["="], ["+"], ["-"], [",", r"\quad"], [r"\quad"], [rng.choice(_ARROWS)], [r"\leq"]]) + part
    return out


def fenced(pool, rng):
    """Nested: a formula in a tall pair of delimiters, under a root, a bar or a power."""
    inner = rng.choice(pool.middle)
    left, right = rng.choice(
        [("(", ")"), ("[", "]"), (r"\{", r"\}"), ("|", "|"), (r"\|", r"\|"), (r"\langle", r"\rangle")]
    )
    tall = [r"\frac", "{", *rng.choice(pool.middle), "}", "{", *rng.choice(pool.cells), "}"]
    out = [r"\left", left, *inner, rng.choice("+-"), *tall, r"\right", right]
    power = rng.random()
    if power < 0.4:
        out += ["^", "{", *rng.choice(pool.cells), "}"]
    elif power < 0.5:
        out = [r"\sqrt", "{", *out, "}"]
    return [*rng.choice(pool.cells), "=", *out]


def chemistry(pool, rng):
    """A reaction: `2H_2+O_2 -> 2H_2O`, upright."""

    def species():
        out = list(rng.choice(["", "", "", "2", "3", "4", "6"]))
        for _ in range(rng.choice([1, 2, 2, 3])):
            out += list(rng.choice(_ELEMENTS))
            if rng.random() < 0.5:
                out += ["_", rng.choice("2234567")]
        if rng.random() < 0.2:
            out += ["^", *rng.choice([["+"], ["-"], ["{", "2", "+", "}"], ["{", "2", "-", "}"], ["{", "3", "+", "}"]])]
        if rng.random() < 0.15:
            out += ["(", rng.choice(["s", "l", "g"]), ")"]
        return out

    def side():
        out = species()
        for _ in range(rng.choice([0, 1, 1, 2])):
            out += ["+", *species()]
        return out

    return [r"\mathrm", "{", *side(), rng.choice(_CHEM_ARROWS), *side(), "}"]


def chinese(pool, rng):
    """A formula with Chinese words as a name, an index or a condition."""

    def word():
        return [r"\text", "{", *"".join(rng.choice(_CHINESE) for _ in range(rng.choice([1, 1, 2]))), "}"]

    kind = rng.random()
    if kind < 0.3:
        return [*word(), "=", *rng.choice(pool.middle)]
    if kind < 0.5:
        return [
            *word(),
            "=",
            r"\frac",
            "{",
            *word(),
            "}",
            "{",
            *word(),
            "}",
            *rng.choice([[], [r"\times", *"100", r"\%"]]),
        ]
    if kind < 0.7:
        return [rng.choice(variants.UPPER), "_", "{", *word(), "}", "=", *rng.choice(pool.middle)]
    if kind < 0.85:
        rows = [[[*rng.choice(pool.cells), ","], word() + rng.choice(pool.cells)] for _ in range(2)]
        return [*rng.choice(pool.cells), "=", *_environment("cases", rows)]
    return [*rng.choice(pool.middle), r"\quad", *word(), *rng.choice(pool.cells)]


def number(rng):
    """An equation's number, as in `\\tag{...}`, without the parentheses that are drawn around it."""
    chapter = rng.choice(
        ["", "", "", "1.", "2.", "3.", "4.", "5.1.", "A", "A.", "B.", "S", "I.", "II.", "III.", "IV.", "3.2."]
    )
    return (
        chapter
        + str(rng.choice([rng.randrange(1, 10), rng.randrange(1, 60), rng.randrange(1, 200)]))
        + rng.choice(["", "", "", "", "", "", "", rng.choice("abc"), "'"])
    )


MAKERS = {
    aligned: 34, gathered: 8, cases: 22, matrix: 28, array: 12, substack: 8, joined: 50, fenced: 14, chemistry: 6,
    chinese: 8,
}  # fmt: skip
