"""LaTeX as authors write it -> the one spelling that the recogniser learns.

`norm(source)` gives tokens (tokens.py joins them) or raises Bad: what it doesn't know is left out of the list. Pictures
are typeset from the normalised form, so that picture and answer always agree."""

import functools
import operator
import re


class Bad(Exception):
    """Not a formula, or one with commands that are not known."""

    pass


TOK = re.compile(r"\\[a-zA-Z]+\*?|\\.|[^\s]|\s+", re.S)
ALIAS = {
    r"\le": r"\leq",
    r"\ge": r"\geq",
    r"\ne": r"\neq",
    r"\to": r"\rightarrow",
    r"\gets": r"\leftarrow",
    r"\land": r"\wedge",
    r"\lor": r"\vee",
    r"\lnot": r"\neg",
    r"\owns": r"\ni",
    r"\Vert": r"\|",
    r"\lVert": r"\|",
    r"\rVert": r"\|",
    r"\vert": "|",
    r"\lvert": "|",
    r"\rvert": "|",
    r"\lbrace": r"\{",
    r"\rbrace": r"\}",
    r"\lbrack": "[",
    r"\rbrack": "]",
    r"\dots": r"\ldots",
    r"\dotsc": r"\ldots",
    r"\dotso": r"\ldots",
    r"\dotsb": r"\cdots",
    r"\dotsm": r"\cdots",
    r"\dotsi": r"\cdots",
    r"\hdots": r"\ldots",
    r"\ast": "*",
    r"\colon": ":",
    r"\lt": "<",
    r"\gt": ">",
    r"\iff": r"\Longleftrightarrow",
    r"\implies": r"\Longrightarrow",
    r"\impliedby": r"\Longleftarrow",
    r"\R": r"\mathbb R",
    r"\N": r"\mathbb N",
    r"\Z": r"\mathbb Z",
    r"\C": r"\mathbb C",
    r"\Q": r"\mathbb Q",
    r"\reals": r"\mathbb R",
    r"\Reals": r"\mathbb R",
    r"\natnums": r"\mathbb N",
    r"\cnums": r"\mathbb C",
    r"\Complex": r"\mathbb C",
    r"\and": r"\wedge",
    r"\or": r"\vee",
    r"\bull": r"\bullet",
    r"\sub": r"\subset",
    r"\sube": r"\subseteq",
    r"\supe": r"\supseteq",
    r"\infin": r"\infty",
    r"\isin": r"\in",
    r"\in": r"\in",
    r"\exist": r"\exists",
    r"\empty": r"\emptyset",
    r"\O": r"\emptyset",
    r"\larr": r"\leftarrow",
    r"\rarr": r"\rightarrow",
    r"\lrarr": r"\leftrightarrow",
    r"\harr": r"\leftrightarrow",
    r"\Larr": r"\Leftarrow",
    r"\Rarr": r"\Rightarrow",
    r"\rArr": r"\Rightarrow",
    r"\lArr": r"\Leftarrow",
    r"\hArr": r"\Leftrightarrow",
    r"\Harr": r"\Leftrightarrow",
    r"\alef": r"\aleph",
    r"\alefsym": r"\aleph",
    r"\sdot": r"\cdot",
    r"\thetasym": r"\vartheta",
    r"\real": r"\Re",
    r"\image": r"\Im",
    r"\ang": r"\angle",
    r"\lang": r"\langle",
    r"\rang": r"\rangle",
    r"\plusmn": r"\pm",
    r"\part": r"\partial",
    r"\weierp": r"\wp",
    r"\sect": r"\S",
    r"\restriction": r"\upharpoonright",
    r"\Join": r"\bowtie",
    r"\doublecap": r"\Cap",
    r"\dotplus": r"\dotplus",
    r"\bold": r"\mathbf",
    r"\Bbb": r"\mathbb",
    r"\textbf": r"\mathbf_T",
    r"\leqq": r"\leqq",
    r"\coloneqq": ": =",
    r"\coloneq": ": =",
    r"\eqqcolon": "= :",
    r"\vcentcolon": ":",
    r"\ratio": ":",
    r"\bigl": r"\big",
    r"\bigr": r"\big",
    r"\bigm": r"\big",
    r"\Bigl": r"\Big",
    r"\Bigr": r"\Big",
    r"\Bigm": r"\Big",
    r"\biggl": r"\bigg",
    r"\biggr": r"\bigg",
    r"\biggm": r"\bigg",
    r"\Biggl": r"\Bigg",
    r"\Biggr": r"\Bigg",
    r"\Biggm": r"\Bigg",
    r"\dfrac": r"\frac",
    r"\tfrac": r"\frac",
    r"\cfrac": r"\frac",
    r"\sfrac": r"\frac",
    r"\dbinom": r"\binom",
    r"\tbinom": r"\binom",
    r"\bm": r"\boldsymbol",
    r"\pmb": r"\boldsymbol",
    r"\mathbold": r"\boldsymbol",
    r"\mathbfit": r"\boldsymbol",
    r"\bar": r"\bar",
    r"\mathds": r"\mathbb",
    r"\mathbbm": r"\mathbb",
    r"\EuScript": r"\mathcal",
    r"\mathscr": r"\mathscr",
    r"\cr": r"\\",
    r"\newline": r"\\",
    r"\tabularnewline": r"\\",
    r"\sp": "^",
    r"\sb": "_",
    r"\cdotp": r"\cdot",
    r"\slash": "/",
    r"\vartriangle": r"\triangle",
    r"\lneq": r"\lneq",
    r"\centerdot": r"\cdot",
    r"\thinspace": r"\,",
    r"\nobreakspace": r"~",
    r"\idotsint": r"\idotsint",
    r"\upharpoonright": r"\upharpoonright",
    r"\square": r"\square",
    r"\Box": r"\square",
    r"\Diamond": r"\diamond",
    r"\lhd": r"\triangleleft",
    r"\rhd": r"\triangleright",
    r"\vartriangleleft": r"\triangleleft",
    r"\vartriangleright": r"\triangleright",
    r"\complement": r"\complement",
    r"\injlim": r"\injlim",
    r"\leadsto": r"\rightsquigarrow",
    r"\lhook": r"\lhook",
    r"\Alpha": r"\mathrm A",
    r"\Beta": r"\mathrm B",
    r"\Epsilon": r"\mathrm E",
    r"\Zeta": r"\mathrm Z",
    r"\Eta": r"\mathrm H",
    r"\Iota": r"\mathrm I",
    r"\Kappa": r"\mathrm K",
    r"\Mu": r"\mathrm M",
    r"\Nu": r"\mathrm N",
    r"\Rho": r"\mathrm P",
    r"\Tau": r"\mathrm T",
    r"\Chi": r"\mathrm X",
    r"\omicron": "o",
    "\u2212": "-",
    "\u00d7": r"\times",
    "\u2026": r"\ldots",
    "\u2264": r"\leq",
    "\u2265": r"\geq",
    "\u03b1": r"\alpha",
    "\u2032": "'",
    "\u00b7": r"\cdot",
    "\u2208": r"\in",
    "\u2192": r"\rightarrow",
    "\u221e": r"\infty",
}
DROP = set(
    r"""\displaystyle \textstyle \scriptstyle \scriptscriptstyle \limits \nolimits \nonumber \notag \! \, \; \: \>
    \  ~ \/ \- \hfill \hfil \mathstrut
 \strut \null \relax \allowbreak \nobreak \break \noindent \centering \ensuremath \hline \displaylimits
    \allowdisplaybreaks \/ \medspace \thickspace \negthinspace \enspace \enskip \mathord \mathrel \mathbin
    \mathopen \mathclose
 \mathpunct \mathinner \mathop \unboldmath \normalsize \large \Large \small \footnotesize \tiny \protect \thinspace
    \rmfamily \mathnormal \smash \cancelto_ \bgroup_ \par \negmedspace \negthickspace \space \mathchoice_ \quad@
    \eqno@ \mathclap \mathllap \mathrlap \qedhere \qed \normalfont \notag \nonumber \unskip \ignorespaces \left@
    \lefteqn \hskip@""".split()
) | {"\\ ", "\\\n", "\\\t"}
DROP1 = set(
    r"""\label \tag \tag* \hspace \hspace* \vspace \vspace* \phantom \hphantom \vphantom \color \pagecolor
    \textcolor_ \ref_ \intertext_ \kern_ \rule_ \index \marginpar \noalign_ \addtocounter_""".split()
)
A1 = set(
    r"""\overline \underline \hat \widehat \tilde \widetilde \bar \vec \dot \ddot \dddot \check \acute \grave
    \breve \mathring \overrightarrow \overleftarrow \overleftrightarrow
 \underbrace \overbrace \mathbb \mathcal \mathfrak \mathbf \mathrm \mathsf \mathtt \mathit \mathscr \boldsymbol
    \boxed \pmod \underrightarrow \underleftarrow \cancel \bcancel \xcancel""".split()
)
FONT = set(r"\mathbb \mathcal \mathfrak \mathbf \mathrm \mathsf \mathtt \mathit \mathscr \boldsymbol".split())
MERGE = set(r"\mathbf \mathrm \mathsf \mathtt \mathit".split())
A2 = set(r"\frac \binom \stackrel \overset \underset".split())
TEXT = {
    r"\text": "",
    r"\mbox": "",
    r"\hbox": "",
    r"\textrm": "",
    r"\textnormal": "",
    r"\textup": "",
    r"\textit": r"\mathit",
    r"\textsf": r"\mathsf",
    r"\texttt": r"\mathtt",
    r"\mathbf_T": r"\mathbf",
    r"\emph": r"\mathit",
    r"\textsl": r"\mathit",
    r"\textmd": "",
    r"\textsc": None,
    r"\fbox": "",
}
OPS = set(
    """arccos arcsin arctan arg cos cosh cot coth csc deg det dim exp gcd hom inf ker lg lim liminf limsup ln log
    max min Pr sec sin sinh sup tan tanh""".split()
)
FSW = {
    r"\rm": r"\mathrm",
    r"\bf": r"\mathbf",
    r"\it": r"\mathit",
    r"\cal": r"\mathcal",
    r"\sf": r"\mathsf",
    r"\tt": r"\mathtt",
    r"\Bbbx": r"\mathbb",
    r"\frak": r"\mathfrak",
    r"\boldmath": r"\boldsymbol",
    r"\bfseries": r"\mathbf",
    r"\itshape": r"\mathit",
    r"\scr": r"\mathscr",
    r"\mit": r"\mathit",
    r"\sl": r"\mathit",
}
SYM = set(
    r"""\alpha \beta \gamma \delta \epsilon \varepsilon \zeta \eta \theta \vartheta \iota \kappa \varkappa \lambda
    \mu \nu \xi \pi \varpi \rho \varrho \sigma \varsigma \tau \upsilon \phi \varphi
 \chi \psi \omega \Gamma \Delta \Theta \Lambda \Xi \Pi \Sigma \Upsilon \Phi \Psi \Omega \digamma \aleph \beth
    \gimel \daleth \hbar \hslash \imath \jmath \ell \wp \Re \Im \partial \infty \prime \emptyset \varnothing
 \nabla \surd \top \bot \angle \measuredangle \sphericalangle \triangle \triangledown \forall \exists \nexists \neg
    \flat \natural \sharp \clubsuit \diamondsuit \heartsuit \spadesuit \square \blacksquare \lozenge \blacklozenge
    \bigstar \complement \eth \mho \Finv
 \backslash \sum \prod \coprod \int \oint \iint \iiint \iiiint \idotsint \bigcap \bigcup \bigsqcup \bigvee
    \bigwedge \bigodot \bigotimes \bigoplus \biguplus \pm \mp \setminus \smallsetminus \cdot \times \star \diamond
    \circ \bullet \div \cap \cup \uplus
 \sqcap \sqcup \triangleleft \triangleright \wr \bigcirc \bigtriangleup \bigtriangledown \vee \wedge \oplus \ominus
    \otimes \oslash \odot \dagger \ddagger \amalg \ltimes \rtimes \leftthreetimes \rightthreetimes \curlywedge
    \curlyvee \barwedge \veebar \doublebarwedge \Cap \Cup \boxplus \boxminus \boxtimes \boxdot \circledast
    \circledcirc \circleddash \dotplus \divideontimes \intercal
 \leq \geq \equiv \models \prec \succ \sim \perp \preceq \succeq \simeq \mid \ll \gg \asymp \parallel \subset
    \supset \approx \bowtie \subseteq \supseteq \cong \sqsubset \sqsupset \neq \smile \sqsubseteq \sqsupseteq
    \doteq \frown \in \ni \notin \propto \vdash \dashv \leqq \geqq \leqslant \geqslant \eqslantless \eqslantgtr
    \lesssim \gtrsim \lessapprox \gtrapprox \approxeq \lessgtr \gtrless \lll \ggg \lesseqgtr \gtreqless \doteqdot
    \triangleq \risingdotseq \fallingdotseq
 \backsim \thicksim \thickapprox \backsimeq \subseteqq \supseteqq \Subset \Supset \preccurlyeq \succcurlyeq
    \curlyeqprec \precsim \succsim \vDash \Vdash \Vvdash \smallsmile \smallfrown \bumpeq \Bumpeq \varpropto
    \blacktriangle \blacktriangleleft \blacktriangleright \blacktriangledown \trianglelefteq \trianglerighteq
    \between \pitchfork \shortmid \shortparallel \therefore \because \eqcirc \circeq \nless \ngtr \nleq \ngeq
    \nleqslant \ngeqslant \lneq \gneq \lneqq \gneqq \lnsim \gnsim \nprec \nsucc \npreceq \nsucceq
 \nsim \ncong \nmid \nparallel \nvdash \nvDash \nVdash \ntriangleleft \ntriangleright \ntrianglelefteq
    \ntrianglerighteq \nsubseteq \nsupseteq \subsetneq \supsetneq \subsetneqq \supsetneqq \varsubsetneq \leftarrow
    \Leftarrow \rightarrow \Rightarrow \leftrightarrow \Leftrightarrow \mapsto \hookleftarrow \hookrightarrow
    \leftharpoonup \leftharpoondown \rightharpoonup \rightharpoondown \rightleftharpoons \leftrightharpoons
    \longleftarrow \Longleftarrow \longrightarrow \Longrightarrow
 \longleftrightarrow \Longleftrightarrow \longmapsto \uparrow \Uparrow \downarrow \Downarrow \updownarrow
    \Updownarrow \nearrow \searrow \swarrow \nwarrow \dashrightarrow \dashleftarrow \leftleftarrows
    \rightrightarrows \leftrightarrows \rightleftarrows \Lleftarrow \Rrightarrow \twoheadleftarrow
    \twoheadrightarrow \leftarrowtail \rightarrowtail \looparrowleft \looparrowright \curvearrowleft
    \curvearrowright \circlearrowleft \circlearrowright \upuparrows \downdownarrows \upharpoonleft \upharpoonright
    \downharpoonleft \downharpoonright
 \multimap \leftrightsquigarrow \rightsquigarrow \nleftarrow \nrightarrow \nLeftarrow \nRightarrow \nleftrightarrow
    \nLeftrightarrow \langle \rangle \lfloor \rfloor \lceil \rceil \ulcorner \urcorner \llcorner \lrcorner \lgroup
    \rgroup \lmoustache \rmoustache \ldots \cdots \vdots \ddots \| \{ \} \# \% \$ \& \_ \S \P \dag \ddag \bmod \mod
    \varlimsup \varliminf \varinjlim \varprojlim \injlim \projlim \diagup \diagdown \blacktriangle \vartheta \Bbbk
    \circledS \circledR \checkmark \maltese \yen \AA \aa \ss \copyright \pounds \i \j
 \varGamma \varDelta \varTheta \varLambda \varXi \varPi \varSigma \varUpsilon \varPhi \varPsi \varOmega \quad
    \limsup \liminf \degree_""".split()
) | {"\\" + o for o in OPS}
BIGS = {r"\big", r"\Big", r"\bigg", r"\Bigg"}
DELIMS = set("( ) [ ] | / . < > ".split()) | set(
    r"""\{ \} \| \langle \rangle \lfloor \rfloor \lceil \rceil \uparrow \downarrow \updownarrow \Uparrow \Downarrow
    \Updownarrow \backslash \lgroup \rgroup \lmoustache \rmoustache \ulcorner \urcorner \llcorner \lrcorner""".split()
)
TALL = set(
    r"""\frac \binom \sum \prod \int \oint \iint \iiint \begin \sqrt \coprod \bigcup \bigcap \bigoplus \bigotimes
    \overbrace \underbrace \overset \underset \stackrel \substack \overline \left \lim \max \min \sup \inf \limsup
    \liminf \big \Big \bigg \Bigg \widehat \widetilde \hat \dot \ddot \vec \boxed \bigvee \bigwedge
    \overrightarrow""".split()
)
MATS = set("matrix pmatrix bmatrix vmatrix Vmatrix Bmatrix smallmatrix cases rcases".split())
ALIGN = set("align aligned alignat alignedat split eqnarray flalign".split())
GATH = set("gather gathered multline equation displaymath math multlined".split())


def tokenise(s):
    return TOK.findall(s)


SPACES = {
    r"\,": r"\,",
    r"\!": r"\!",
    r"\;": r"\;",
    r"\:": r"\:",
    r"\>": r"\:",
    "\\ ": r"\ ",
    "~": r"\ ",
    r"\thinspace": r"\,",
    r"\enspace": r"\;",
    r"\medspace": r"\:",
    r"\thickspace": r"\;",
    r"\negthinspace": r"\!",
}
KEEP = [False]


class P:
    """A reader of one formula: `seq` reads up to a closing token, `atom` one thing, `env` an environment."""

    def __init__(s, src):
        src = re.sub(r"(?<!\\)%.*?(\n|$)", " ", src)
        s.t = tokenise(src)
        s.i = 0
        s.depth = 0
        for j, a in enumerate(s.t):
            if a in ALIAS and " " not in ALIAS[a]:
                s.t[j] = ALIAS[a]

    def ws(s):
        while s.i < len(s.t) and s.t[s.i][0].isspace():
            s.i += 1

    def peek(s):
        s.ws()
        return s.t[s.i] if s.i < len(s.t) else None

    def next(s):
        a = s.peek()
        if a is None:
            raise Bad("eof")
        s.i += 1
        return a

    def raw(s):  # raw {...} -> string
        if s.peek() != "{":
            return s.next()
        s.i += 1
        d = 1
        out = []
        while s.i < len(s.t):
            a = s.t[s.i]
            s.i += 1
            if a == "{":
                d += 1
            elif a == "}":
                d -= 1
                if d == 0:
                    return "".join(out)
            out.append(a)
        raise Bad("brace")

    def opt(s):
        if s.peek() == "[":
            d = 0
            j = s.i
            out = []
            while j < len(s.t):
                a = s.t[j]
                j += 1
                if a == "{":
                    d += 1
                if a == "}":
                    d -= 1
                if a == "]" and d == 0:
                    s.i = j
                    return "".join(out[1:])
                out.append(a)
        return None

    def arg(s):  # one TeX argument -> token list (normalised)
        a = s.peek()
        if a is None:
            raise Bad("arg")
        if a == "{":
            s.i += 1
            return s.seq("}")
        if a in ("}", "&", r"\\", "^", "_", r"\right", r"\end"):
            raise Bad("arg " + a)
        at = s.atom()
        while at is None:
            at = s.atom()
        return at

    def text(s, cmd):
        raw = s.raw()
        font = TEXT[cmd]
        if font is None:
            raise Bad(cmd)
        if "$" in raw or r"\(" in raw:
            parts = re.split(r"\$|\\\(|\\\)", raw)
            out = []
            for k, p in enumerate(parts):
                if k % 2 == 0:
                    out += s.txt(p, font)
                else:
                    out += norm_inner(p)
            return out
        return s.txt(raw, font)

    def txt(s, raw, font):
        raw = (
            re.sub(r"\\(,|;|:|!|quad|qquad|enspace|thinspace)(?![a-zA-Z])", " ", raw)
            .replace("~", " ")
            .replace("\\ ", " ")
            .replace("{", "")
            .replace("}", "")
            .replace("``", '"')
            .replace("''", '"')
            .replace("\\-", "-")
        )
        raw = raw.replace("\u2019", "'").replace("\u2013", "-").replace("\u2014", "-").replace("\u00a0", " ")
        if re.search(r"\\(?![%&#_$])", raw) or any(ord(c) > 126 for c in raw):
            raise Bad("text")
        raw = re.sub(r"\s+", " ", raw)
        core = raw.strip()
        if not core:
            return []
        lead = raw[0] == " "
        trail = raw[-1] == " "
        if re.fullmatch(r"[A-Za-z0-9]+", core) and not lead and not trail:
            return s.fontwrap(font or r"\mathrm", list(core))
        if re.fullmatch(r"[-.,;:=+()/]", core):
            return [core]
        toks = [
            ("~" if c == " " else c)
            for c in TOK.findall((" " if lead else "") + core + (" " if trail else ""))
            if not c[0].isspace() or c == " "
        ]
        return [r"\text", "{", *toks, "}"]

    def fontwrap(s, f, toks):
        if not toks:
            return []
        if f == r"\mathit" and len(toks) == 1:
            return toks
        if f == r"\mathrm":
            w = "".join(toks)
            if w in OPS:
                return ["\\" + w]
            if toks[0] in (r"\mathbf", r"\mathbb", r"\mathcal", r"\mathfrak", r"\mathrm") and toks[-1] == "}":
                return toks
            if all(len(c) == 1 and not c.isalnum() for c in toks):
                return toks
            if all(c.isdigit() for c in toks):
                return toks
            if all(c in SYM for c in toks):
                return toks
        if f in (r"\mathbb", r"\mathcal", r"\mathscr") and not all(re.fullmatch(r"[A-Za-z0-9]", c) for c in toks):
            raise Bad("font")
        return [f, "{", *toks, "}"]

    def delim(s):
        a = s.next()
        if a == "{" and s.peek() in DELIMS:
            a = s.next()
            if s.next() != "}":
                raise Bad("delim")
        if a not in DELIMS:
            raise Bad("delim " + a)
        if a == "<":
            a = r"\langle"
        if a == ">":
            a = r"\rangle"
        return a

    def atom(s):
        a = s.next()
        s.depth += 1
        if s.depth > 60:
            raise Bad("deep")
        try:
            return s.atom_(a)
        finally:
            s.depth -= 1

    def atom_(s, a):
        if a in ALIAS and " " in ALIAS[a]:
            al = ALIAS[a].split()
            if al[0].startswith("\\math"):
                return [al[0], "{", al[1], "}"]
            return al
        if a == "{":
            return ["{G", *s.seq("}"), "}G"]
        if a in DROP:
            if KEEP[0] and a in SPACES:
                return [SPACES[a]]
            if a in (r"\mathop", r"\smash") and s.peek() == "[":
                s.opt()
            return None
        if a in DROP1:
            if a == r"\color":
                s.opt()
            s.raw()
            return None
        if a in (r"\hskip", r"\kern", r"\mkern", r"\mskip", r"\vskip"):
            m = re.match(r"\s*=?\s*-?[\d.]*\s*(\\?[a-z]+)", "".join(s.t[s.i : s.i + 14]))
            if not m:
                raise Bad("kern")
            n = m.end()
            k = 0
            while k < n:
                k += len(s.t[s.i])
                s.i += 1
            return None
        if a == r"\textcolor":
            s.opt()
            s.raw()
            return s.arg()
        if a == r"\qquad" or a == r"\quad":
            return [r"\quad"]
        if a in (r"\frac", r"\binom", r"\stackrel", r"\overset", r"\underset"):
            if a == r"\frac":
                s.opt()
            x = s.arg()
            y = s.arg()
            if a == r"\stackrel":
                a = r"\overset"
            if a == r"\frac" and (not x or not y):
                raise Bad("empty")
            return [a, "{", *x, "}", "{", *y, "}"]
        if a == r"\sqrt":
            o = s.opt()
            x = s.arg()
            return [a] + (["[", *norm_inner(o), "]"] if o and norm_inner(o) else []) + ["{"] + x + ["}"]
        if a == r"\root":
            o = []
            while s.peek() != r"\of":
                if s.peek() is None:
                    raise Bad("root")
                z = s.atom()
                o += strip_g(z or [])
            s.i += 1
            x = s.arg()
            return [r"\sqrt", "[", *o, "]", "{", *x, "}"]
        if a in (r"\xrightarrow", r"\xleftarrow", r"\xmapsto", r"\xrightleftharpoons"):
            if a in (r"\xmapsto", r"\xrightleftharpoons"):
                raise Bad(a)
            o = s.opt()
            x = s.arg()
            return [a] + (["[", *norm_inner(o), "]"] if o else []) + ["{"] + x + ["}"]
        if a in TEXT:
            return s.text(a)
        if a in (r"\operatorname", r"\operatorname*", r"\operatornamewithlimits", r"\DeclareMathOperator"):
            x = s.arg()
            w = "".join(x)
            if not re.fullmatch(r"[A-Za-z0-9'\-]+", w):
                return x
            return s.fontwrap(r"\mathrm", x)
        if a in A1:
            x = s.arg()
            if a in FONT:
                if a == r"\mathcal" or a == r"\mathbb":
                    x = list(x)
                return s.fontwrap(a, x)
            if not x:
                return None
            return [a, "{", *x, "}"]
        if a in FSW:
            x = s.rest()
            return s.fontwrap(FSW[a], x) if x else None
        if a == r"\substack":
            raw = s.raw()
            rows = [norm_inner(r) for r in re.split(r"\\\\(?:\[[^\]]*\])?", raw)]
            rows = [r for r in rows if r]
            if len(rows) == 1:
                return rows[0]
            out = [r"\substack", "{"]
            for k, r in enumerate(rows):
                out += ([r"\\"] if k else []) + r
            return [*out, "}"]
        if a == r"\left":
            left = s.delim()
            body = s.seq(r"\right")
            right = s.delim()
            tall = any(c in TALL for c in body) or nested_script(body)
            if left == "." and right == ".":
                return body
            if not tall and left != "." and right != ".":
                return [left, *body, right]
            return [r"\left", left, *body, r"\right", right]
        if a == r"\middle":
            return [a, s.delim()]
        if a in BIGS:
            return [a, s.delim()]
        if a == r"\begin":
            return s.env()
        if a == r"\not":
            b = s.next()
            if b in ("=",):
                return [r"\neq"]
            if b == r"\in":
                return [r"\notin"]
            if b in SYM or b in "<>|":
                return [r"\not", b]
            raise Bad("not")
        if a == r"\overbracket" or a == r"\underbracket":
            raise Bad(a)
        if a == r"\ce":
            raise Bad(a)
        if a == r"\bmod" or a == r"\mod":
            return [a if a == r"\bmod" else r"\bmod"]
        if a == r"\arcsec" or a in (r"\arccot", r"\arccsc", r"\sgn", r"\sen", r"\arcsinh"):
            return [r"\mathrm", "{", *list(a[1:]), "}"]
        if a in SYM:
            return [a]
        if len(a) == 1:
            if a in '}&#$^_%~`"@' or not (32 < ord(a) < 127):
                raise Bad("char " + a)
            if a == "." and s.t[s.i : s.i + 2] == [".", "."]:
                s.i += 2
                return [r"\ldots"]
            return [a]
        raise Bad("cmd " + a)

    def rest(s):
        """rest of the current group for old font switches; stops before }, &, \\\\, \\right, \\end, other switch"""
        stop = ("}", "&", r"\\", r"\right", r"\end", r"\over", r"\choose", r"\atop")
        items = []
        while True:
            a = s.peek()
            if a is None or a in stop or a in FSW:
                break
            if not s.item(items):
                break
        return flat(items)

    def item(s, items):
        a = s.peek()
        if a in ("^", "_"):
            s.i += 1
            x = s.arg()
            if not items:
                items.append([["{", "}"], None, None, 0]) if False else items.append([[], None, None, 0])
            it = items[-1]
            k = 1 if a == "_" else 2
            if a == "^":
                pr = [c for c in x if c == r"\prime" or c == "'"]
                if pr and len(pr) == len(x):
                    it[3] += len(pr)
                    return True
            if not x:
                return True
            if it[k] is not None:
                raise Bad("double script")
            it[k] = x
            return True
        if a == "'":
            s.i += 1
            if not items:
                items.append([[], None, None, 0])
            items[-1][3] += 1
            return True
        x = s.atom()
        if x is None:
            return True
        items.append([x, None, None, 0])
        return True

    def seq(s, stop):
        items = []
        frac = None
        s.depth += 1
        if s.depth > 60:
            raise Bad("deep")
        while True:
            a = s.peek()
            if a is None:
                if stop is None:
                    break
                raise Bad("eof")
            if a == stop:
                s.i += 1
                break
            if a in ("}", r"\right", r"\end") or (a in ("&", r"\\") and stop in ("}", r"\right")):
                if a == r"\\" and stop == "}":
                    s.i += 1
                    continue
                raise Bad("stop " + a)
            if a in ("&", r"\\"):
                raise Bad("align")
            if a in (r"\over", r"\choose", r"\atop", r"\above"):
                s.i += 1
                if frac or a == r"\above":
                    raise Bad("over")
                frac = (a, flat(items))
                items = []
                continue
            s.item(items)
        s.depth -= 1
        out = flat(items)
        if frac:
            if frac[0] == r"\atop":
                return [r"\substack", "{"] + frac[1] + [r"\\"] + out + ["}"]
            if not frac[1] or not out:
                raise Bad("empty")
            return [r"\frac" if frac[0] == r"\over" else r"\binom", "{"] + frac[1] + ["}", "{"] + out + ["}"]
        return out

    def env(s):
        name = s.raw().strip()
        base = name.rstrip("*")
        spec = None
        if base in ("alignat", "alignedat"):
            s.raw()
        if base in ("aligned", "gathered", "array", "alignedat", "multlined"):
            s.opt()
        if base == "array":
            spec = "".join(c for c in re.sub(r"[@!>]\s*\{[^{}]*\}", "", s.raw()) if c in "lcr|")
            if not spec:
                raise Bad("spec")
        elif base not in MATS | ALIGN | GATH:
            raise Bad("env " + name)
        rows = [[[]]]
        items = []
        frac = None

        def cell():
            nonlocal items, frac
            o = flat(items)
            items = []
            if frac:
                o = [r"\frac", "{", *frac, "}", "{", *o, "}"]
                frac = None
            return o

        while True:
            a = s.peek()
            if a is None:
                raise Bad("eof")
            if a == r"\end":
                s.i += 1
                if s.raw().strip() != name:
                    raise Bad("end")
                rows[-1][-1] = cell()
                break
            if a == "&":
                s.i += 1
                rows[-1][-1] = cell()
                rows[-1].append([])
                continue
            if a in (r"\\", r"\\*"):
                s.i += 1
                if s.i < len(s.t) and s.t[s.i] == "[":
                    s.opt()
                rows[-1][-1] = cell()
                rows.append([[]])
                continue
            if a == r"\over":
                s.i += 1
                frac = flat(items)
                items = []
                continue
            if a in ("}", r"\right"):
                raise Bad("stop")
            s.item(items)
        rows = [r for r in rows if any(r)]
        if not rows:
            return None
        if base == "eqnarray":
            nr = []
            for r in rows:
                if len(r) == 3:
                    r = [r[0], r[1] + r[2]]
                nr.append(r)
            rows = nr
        if (
            base in ALIGN
            and all(not r[0] for r in rows)
            and any(len(r) > 1 for r in rows)
            and len(rows) > 1
            and all(len(r) <= 2 for r in rows)
        ):
            pass
        if base in ALIGN | GATH and len(rows) == 1:
            return functools.reduce(operator.iadd, rows[0], [])
        if base in ALIGN:
            nm = "aligned" if any(len(r) > 1 for r in rows) else "gathered"
        elif base in GATH:
            nm = "gathered"
        else:
            nm = base
        w = max(map(len, rows))
        out = [rf"\begin{{{nm}}}"]
        if nm == "array":
            n = len(spec.replace("|", ""))
            if n < w:
                raise Bad("cols")
            out += ["{", *list(spec), "}"]
        for k, r in enumerate(rows):
            if k:
                out.append(r"\\")
            while len(r) > 1 and not r[-1]:
                r = r[:-1]
            for j, c in enumerate(r):
                out += (["&"] if j else []) + c
        return [*out, rf"\end{{{nm}}}"]


def nested_script(b):
    st = []
    for k, c in enumerate(b):
        if c == "{":
            st.append(k > 0 and b[k - 1] in "^_")
        elif c == "}" and st:
            st.pop()
        elif c in "^_" and any(st):
            return True
    return False


def strip_g(x):
    return [c for c in x if c not in ("{G", "}G")]


def flat(items):
    """Atoms with their scripts -> tokens."""
    out, scr_tail = [], False
    for base, sub, sup, pr in items:
        scr = sub is not None or sup is not None or pr
        if base and base[0] == "{G":
            inner = strip_g(base)
            if not inner and not scr:
                continue
            base = ["{", *inner, "}"] if scr and len(inner) > 1 and not single(inner) else inner
        else:
            base = strip_g(base)
        if not base and scr:
            base = ["{", "}"] if False else []
        # merge \mathrm{a}\mathrm{b}
        if (
            len(base) > 3
            and base[0] in MERGE
            and base[-1] == "}"
            and len(out) > 3
            and out[-1] == "}"
            and last_cmd(out) == base[0]
            and not scr_tail
        ):
            last_open(out)
            out = out[:-1] + base[2:]
        else:
            out += base
        bool(scr)
        if pr:
            out += ["'"] * pr
        for m, x in (("_", sub), ("^", sup)):
            if x is not None:
                x = strip_g(x)
                if len(x) == 1:
                    out += [m, *x]
                else:
                    out += [m, "{", *x, "}"]
    return out


def last_open(o):
    d = 0
    for k in range(len(o) - 1, -1, -1):
        if o[k] == "}":
            d += 1
        elif o[k] == "{":
            d -= 1
            if d == 0:
                return k
    return 0


def last_cmd(o):
    k = last_open(o)
    return o[k - 1] if k > 0 else ""


def single(x):
    return bool(x[0] in A1 and last_open(x) == 1)


def norm_inner(src):
    p = P(src)
    return strip_g(p.seq(None))


def norm(src):
    """LaTeX -> normalised tokens."""
    src = src.strip()
    if "&" in src or re.search(r"\\\\|\\cr(?![a-zA-Z])", src):
        try:
            t = norm_inner(src)
        except Bad:
            t = norm_inner(r"\begin{aligned}" + src + r"\end{aligned}")
    else:
        t = norm_inner(src)
    while t and t[-1] == r"\quad":
        t = t[:-1]
    while t and t[0] == r"\quad":
        t = t[1:]
    o = []
    for c in t:  # collapse runs of \quad
        if c == r"\quad" and o and o[-1] == c:
            continue
        o.append(c)
    if o.count("{") != o.count("}"):
        raise Bad("unbalanced")
    return o


def norm2(src):
    """(label tokens, render tokens with the source's own spacing commands)"""
    t = norm(src)
    KEEP[0] = True
    try:
        r = norm(src)
    except Bad:
        r = t
    finally:
        KEEP[0] = False
    if [c for c in r if c not in SPV] != t:
        r = t
    while r and r[-1] in SPV:
        r = r[:-1]
    while r and r[0] in SPV:
        r = r[1:]
    return t, r


SPV = set(SPACES.values())
