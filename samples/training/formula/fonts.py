"""Font set-ups of LaTeX papers, books and slides: name -> preamble, and how often each is used."""

PREAMBLES = {
    "cm": r"",
    "lm": r"\usepackage{lmodern}",
    "newtx": r"\usepackage{newtxtext,newtxmath}",
    "newpx": r"\usepackage{newpxtext,newpxmath}",
    "stix2": r"\usepackage{stix2}",
    "libertinus": r"\usepackage{libertinus-type1}\usepackage{libertinust1math}",
    "ptmx": r"\usepackage{mathptmx}",
    "pazo": r"\usepackage{mathpazo}",
    "fourier": r"\usepackage{fourier}",
    "kp": r"\usepackage{kpfonts}",
    "xcharter": r"\usepackage{XCharter}\usepackage[xcharter]{newtxmath}",
    "mdutopia": r"\usepackage[utopia]{mathdesign}",
    "mdcharter": r"\usepackage[charter]{mathdesign}",
    "txfonts": r"\usepackage{txfonts}",
    "pxfonts": r"\usepackage{pxfonts}",
    "cmbright": r"\usepackage{cmbright}",
    "newtxsf": r"\usepackage{newtxsf}",
    "arev": r"\usepackage{arev}",
    "sansmath": r"\renewcommand\familydefault{\sfdefault}\usepackage{sansmath}\AtBeginDocument{\sansmath}",
    "euler": r"\usepackage[OT1,euler-digits]{eulervm}",
    "concrete": r"\usepackage{concmath}",
    "noto": r"\usepackage{notomath}",
    "cochineal": r"\usepackage{cochineal}\usepackage[cochineal]{newtxmath}",
    "garamond": r"\usepackage{ebgaramond}\usepackage[ebgaramond]{newtxmath}",
    "baskervaldx": r"\usepackage{Baskervaldx}\usepackage[baskervaldx]{newtxmath}",
    "fouriernc": r"\usepackage{fouriernc}",
    "antt": r"\usepackage[math]{anttor}",
    "iwona": r"\usepackage[math]{iwona}",
    "chinese": r"\usepackage{CJKutf8}\AtBeginDocument{\begin{CJK}{UTF8}{gbsn}}\AtEndDocument{\end{CJK}}",
    "chinese-kai": r"\usepackage{CJKutf8}\AtBeginDocument{\begin{CJK}{UTF8}{gkai}}\AtEndDocument{\end{CJK}}",
}

# These bring amssymb's signs or clash with it; these clash with mathrsfs.
HAS_AMS = set(
    """newtx newpx stix2 libertinus kp xcharter newtxsf txfonts pxfonts mdutopia mdcharter noto cochineal garamond
    baskervaldx arev""".split()
)
HAS_SCRIPT = {"stix2", "kp"}

# Four families (fouriernc, antt, baskervaldx, concrete) are left for tests; the Chinese ones are
# chosen by what a formula holds.
WEIGHTS = {
    "cm": 31,
    "lm": 4,
    "newtx": 12,
    "newpx": 6,
    "stix2": 7,
    "libertinus": 4,
    "ptmx": 7,
    "pazo": 4,
    "fourier": 3,
    "kp": 3,
    "xcharter": 3,
    "txfonts": 3,
    "pxfonts": 2,
    "cmbright": 2.5,
    "newtxsf": 2.5,
    "sansmath": 2.5,
    "arev": 1,
    "iwona": 1,
    "euler": 1,
    "noto": 1,
    "cochineal": 1.5,
    "garamond": 1.5,
}
SIZES = {"cm": ("10", "11", "12"), "newtx": ("10", "12"), "stix2": ("10",)}
