"""How right answers are: exact, leniently exact, edit similarity over tokens, by length."""

from samples.training.formula import tokens

BANDS = ((1, 10), (10, 25), (25, 50), (50, 100), (100, 999))


def distance(a, b):
    """Edit distance of two token lists."""
    if a == b:
        return 0
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


def summary(pairs):
    """pairs: (truth, answer), token lists -> lines of text, the first for all, then one for each band of lengths."""
    rows = []
    for truth, answer in pairs:
        similar = 1 - distance(truth, answer) / max(len(truth), len(answer), 1)
        rows.append((len(truth), truth == answer, tokens.lenient(truth) == tokens.lenient(answer), similar))
    lines = [_line("all", rows)]
    upto = [row for row in rows if row[0] <= 60]
    lines.append(_line("up to 60", upto))
    for low, high in BANDS:
        part = [row for row in rows if low <= row[0] < high]
        if part:
            lines.append(_line(f"{low} to {high - 1}", part))
    return lines


def _line(name, rows):
    exact, lenient, similar = (sum(row[k] for row in rows) / max(1, len(rows)) for k in (1, 2, 3))
    return f"{name:>10}: n {len(rows):5d} exact {exact:.3f} lenient {lenient:.3f} similarity {similar:.4f}"
