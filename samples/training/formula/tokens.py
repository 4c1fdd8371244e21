"""LaTeX as the recogniser spells it: a list of tokens, and the plain string in between.

A token is a command (`\\frac`), an environment's edge (`\\begin{aligned}`), a character, or `~`, a space in `\\text`.
Letters of words (`\\mathrm{sin}`, `\\text{if}`, `\\tag{3a}`) are one token each."""

import re

SPECIAL = ["<pad>", "<bos>", "<eos>", "<mask>"]
PAD, BOS, EOS, MASK = range(4)
_TOKEN = re.compile(r"\\(?:begin|end)\{[a-zA-Z]+\*?\}|\\[a-zA-Z]+|\\.|[^\s]")
_RAW = re.compile(r"\\.|.", re.S)


def split(latex):
    """LaTeX -> its tokens; spaces count only inside `\\text{...}`."""
    out, at = [], 0
    while at < len(latex):
        match = _TOKEN.match(latex, at)
        if not match:
            at += 1
            continue
        token, at = match.group(), match.end()
        out.append(token)
        if token == r"\text" and latex[at : at + 1] == "{":
            depth = 0
            while at < len(latex):
                match = _RAW.match(latex, at)
                token, at = match.group(), match.end()
                out.append("~" if token == " " else token)
                depth += (token == "{") - (token == "}")
                if depth == 0:
                    break
    return out


def join(tokens):
    """Tokens -> LaTeX; the inverse of `split`."""
    out, depth, text = [], 0, False
    for token in tokens:
        if text:
            depth += (token == "{") - (token == "}")
            text = depth > 0
            out.append(" " if token == "~" else token)
            continue
        if token == r"\text":
            text, depth = True, 0
        elif out and re.fullmatch(r"\\[a-zA-Z]+", out[-1]) and re.match(r"[A-Za-z]", token):
            out.append(" ")
        out.append(token)
    return "".join(out)


# Spellings that look alike on paper, or nearly so, in the order in which they are tried; "" is left out.
_ALIKE = {
    r"\mid": "|", r"\operatorname": r"\mathrm", r"\text": r"\mathrm", "~": "", r"\quad": "", r"\left": "",
    r"\right": "", r"\big": "", r"\Big": "", r"\bigg": "", r"\Bigg": "", r"\cdots": r"\ldots",
    r"\longrightarrow": r"\rightarrow",
    r"\varphi": r"\phi", r"\varepsilon": r"\epsilon", r"\emptyset": r"\varnothing", r"\setminus": r"\backslash",
    r"\mathscr": r"\mathcal", r"\boldsymbol": r"\mathbf", r"\leqslant": r"\leq", r"\geqslant": r"\geq",
    r"\Longrightarrow": r"\Rightarrow", r"\parallel": r"\|", "{": "", "}": "",
}  # fmt: skip


def lenient(tokens):
    """The tokens without groups, sizes and spaces, alike signs made equal: for the lenient exact match."""
    return [t for t in (_ALIKE.get(token, token) for token in tokens) if t]
