"""New formulas out of known ones: symbols renamed consistently, spaces and sizes varied in the picture alone."""

import re
import string

LOWER, UPPER = string.ascii_lowercase, string.ascii_uppercase
GREEK = [
    "\\" + name
    for name in """alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi pi rho
    sigma tau upsilon phi varphi chi psi omega""".split()
]
GREEK_UPPER = ["\\" + name for name in "Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega".split()]
RELATIONS = [
    name if name in "<>=" else "\\" + name
    for name in """leq geq < > = neq equiv approx sim simeq cong subset subseteq supset supseteq in notin ll gg propto
    prec succ preceq succeq perp parallel mid vdash models leqslant geqslant lesssim gtrsim doteq asymp
    subsetneq""".split()
]
ARROWS = [
    "\\" + name
    for name in """rightarrow leftarrow Rightarrow Leftarrow leftrightarrow Leftrightarrow mapsto longrightarrow
    hookrightarrow Longrightarrow longmapsto uparrow downarrow rightharpoonup rightleftharpoons nearrow
    twoheadrightarrow rightsquigarrow Longleftrightarrow longleftarrow""".split()
]
OPERATORS = [
    name if name in "+-*/" else "\\" + name
    for name in """+ - times cdot pm mp otimes oplus cup cap wedge vee * circ setminus / div star odot ominus bullet
    sqcup ltimes rtimes dagger""".split()
]
BIG = [
    "\\" + name
    for name in "sum prod int oint bigcup bigcap bigoplus bigotimes coprod iint bigvee bigwedge iiint".split()
]
OTHER = [
    "\\" + name
    for name in """infty partial nabla ell hbar emptyset forall exists Re Im aleph varnothing top bot ldots cdots square
    angle triangle imath wp neg""".split()
]
ACCENTS = [
    "\\" + name for name in "hat tilde bar vec dot ddot overline widehat widetilde check breve underline".split()
]
ALPHABETS = [r"\mathcal", r"\mathscr", r"\mathfrak"]
_WORDS = {r"\text", r"\mathrm", r"\mathsf", r"\mathtt", r"\mathit", r"\mathbf", r"\tag"}
_CLASSES = ((RELATIONS, 0.35), (ARROWS, 0.35), (OPERATORS, 0.25), (BIG, 0.25), (OTHER, 0.2), (ACCENTS, 0.35))


def group_end(tokens, at):
    """The index of the brace that closes the one at `at`."""
    depth = 0
    for k in range(at, len(tokens)):
        depth += (tokens[k] == "{") - (tokens[k] == "}")
        if depth == 0:
            return k
    return len(tokens) - 1


def rename(tokens, rng):
    """The same structure with other symbols: letters, digits and Greek renamed consistently, relations, operators and
    accents now and then. Words stay."""
    table = {}
    for kind in (LOWER, UPPER, GREEK, GREEK_UPPER, string.digits):
        other = list(kind)
        rng.shuffle(other)
        table.update({a: (a if rng.random() < 0.3 else b) for a, b in zip(kind, other, strict=True)})
    if rng.random() < 0.25:
        table.update(zip(rng.sample(LOWER, 4), rng.sample(GREEK, 4), strict=True))
    out, at = [], 0
    while at < len(tokens):
        token = tokens[at]
        if token in _WORDS and tokens[at + 1 : at + 2] == ["{"]:
            end = group_end(tokens, at + 1)
            body = tokens[at + 2 : end]
            if len(body) == 1 and token == r"\mathbf":
                out += [token, "{", table.get(body[0], body[0]), "}"]
            else:
                out += tokens[at : end + 1]
            at = end + 1
            continue
        if token == r"\begin{array}":
            end = tokens.index("}", at)
            out += tokens[at : end + 1]
            at = end + 1
            continue
        at += 1
        if token in ALPHABETS:
            out.append(rng.choice([token, token, *ALPHABETS]))
            continue
        for kind, share in _CLASSES:
            if token in kind:
                if rng.random() < share:
                    token = rng.choice(kind)
                break
        out.append(table.get(token, token))
    return out


_BEFORE = {
    *RELATIONS,
    *ARROWS,
    *OPERATORS,
    "(",
    ")",
    ",",
    "d",
    "x",
    "f",
    r"\mathrm",
    r"\frac",
    r"\sum",
    r"\int",
    r"\quad",
}
_TAKE = {r"\frac", r"\sqrt"}
_NO_SPACE_AFTER = {
    "^",
    "_",
    "{",
    r"\left",
    r"\right",
    r"\big",
    r"\Big",
    r"\bigg",
    r"\Bigg",
    r"\not",
    r"\middle",
    "[",
    "'",
}


def loosen(tokens, rng):
    """The tokens to typeset: with the spaces and sizes that authors add by hand and that the answer leaves out."""
    spots = rng.random() < 0.3
    fraction = rng.choices([r"\frac", r"\dfrac", r"\tfrac"], [92, 4, 4])[0]
    out, at = [], 0
    while at < len(tokens):
        token = tokens[at]
        if token in (r"\text", r"\tag"):
            end = group_end(tokens, at + 1)
            out += tokens[at : end + 1]
            at = end + 1
            continue
        after = out[-1] if out else "{"
        takes_argument = re.fullmatch(r"\\[a-zA-Z]+", after) and tokens[at] == "{"
        bound = takes_argument or after in _NO_SPACE_AFTER or after.startswith("\\math") or after in _TAKE
        if spots and token in _BEFORE and not bound and rng.random() < 0.25:
            out.append(rng.choice([r"\,", r"\,", r"\;", r"\:", r"\!", r"\ "]))
        out.append(fraction if token == r"\frac" else token)
        at += 1
    return out
