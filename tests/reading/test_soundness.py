"""Sources of regions by the source policy, and unsound text layers."""

from __future__ import annotations

from typing import Any

import pytest

from mineru_accel.document import Region, Source
from mineru_accel.layout.classes import Label
from mineru_accel.options import Backend, Kind
from mineru_accel.reading.regions.areas import Area
from mineru_accel.reading.source_policy import LayerQuality, make_source_policy
from mineru_accel.reading.text.lines import Line
from mineru_accel.reading.text.soundness import (
    assess_text_layer,
    choose_source,
    comparison_sample,
    find_contradiction,
    similarity,
)


def area(label: Label, *lines: str, height: float = 100.0) -> Area:
    texts = [Line((0, 12.0 * n, 200, 12.0 * n + 10), text) for n, text in enumerate(lines)]
    return Area(Region(label, (0, 0, 1, 1)), (0, 0, 200, height), [], texts)


SOUND = area(Label.PLAIN_TEXT, *["a line of honest text"] * 8)


@pytest.mark.parametrize(
    ("label", "source"),
    [
        (Label.TITLE, Source.TEXT_LAYER),
        (Label.PLAIN_TEXT, Source.TEXT_LAYER),
        (Label.ABANDON, Source.TEXT_LAYER),
        (Label.FIGURE_CAPTION, Source.TEXT_LAYER),
        (Label.TABLE, Source.VLM),
        (Label.ISOLATE_FORMULA, Source.VLM),
        (Label.FIGURE, Source.IMAGE),
    ],
)
def test_hybrid_on_a_sound_page(label: Label, source: Source) -> None:
    policy = make_source_policy(Backend.HYBRID, None, False)
    choice = choose_source(policy, area(label, "x is y and z", height=12), None)
    assert (choice.source, choice.reason) == (source, "")
    if label is not Label.FIGURE:  # the VLM reads everything on a scan
        choice = choose_source(policy, area(label), "no text layer")
        assert choice.source is Source.VLM
        assert choice.reason == ("" if source is Source.VLM else "no text layer")


def test_garbage_and_missing_text_are_doubtful() -> None:
    assert assess_text_layer(SOUND)[0] is LayerQuality.SOUND
    assert assess_text_layer(area(Label.PLAIN_TEXT, "\ue000\ue001\ue002 text"))[0] is LayerQuality.DOUBTFUL
    assert (
        assess_text_layer(area(Label.PLAIN_TEXT, "one line in a large region", height=90))[0] is LayerQuality.DOUBTFUL
    )
    assert assess_text_layer(area(Label.PLAIN_TEXT))[0] is LayerQuality.NONE


def test_vlm_for_overrides_the_policy_of_hybrid() -> None:
    policy = make_source_policy(Backend.HYBRID, (Kind.TEXT,), False)
    assert choose_source(policy, SOUND, None).source is Source.VLM
    assert choose_source(policy, area(Label.TABLE, "a b"), None).source is Source.TEXT_LAYER
    assert choose_source(policy, area(Label.TABLE), "no text layer").source is Source.IMAGE
    assert choose_source(policy, area(Label.TITLE), "no text layer").source is Source.OCR
    assert choose_source(policy, area(Label.ISOLATE_FORMULA, "x"), None).source is Source.IMAGE


def test_vlm_reads_everything_but_pictures() -> None:
    policy = make_source_policy(Backend.VLM, None, False)
    assert choose_source(policy, SOUND, None).source is Source.VLM
    assert choose_source(policy, area(Label.FIGURE), None).source is Source.IMAGE
    assert choose_source(make_source_policy(Backend.VLM, None, True), area(Label.FIGURE), None).source is Source.VLM


def test_one_line_shows_whether_text_layer_and_pixels_agree() -> None:
    assert find_contradiction([SOUND], lambda box: "A 1ine of hOnest text") is None
    assert find_contradiction([SOUND], lambda box: "quite other words indeed")
    korean = area(Label.PLAIN_TEXT, "모든 국민은 인간으로서의 존엄과 가치를 가지며")
    assert find_contradiction([korean], lambda box: "") is None  # the OCR model can't read it
    answers = iter(["@@@@", "a line of honest text"])  # one bad sample is no contradiction
    assert find_contradiction([SOUND], lambda box: next(answers)) is None
    assert similarity("Überzug ﬁx", "uberzug fix") > 0.9


def typeset(*words: tuple[str, str]) -> Line:
    """A line of words and their fonts; every character is 5 points wide."""
    chars: list[dict[str, Any]] = []
    for word, font in words:
        for char in [*word, " "]:
            x = 5.0 * len(chars)
            chars.append({"char": char, "bbox": (x, 0.0, x + 5, 10.0), "font": {"name": font}})
    return Line((0.0, 0.0, 5.0 * len(chars), 10.0), " ".join(word for word, _ in words), chars=chars)


def test_sample_is_of_the_lines_most_frequent_font() -> None:
    words = "the layer of this page maps letters".split()
    line = typeset(("Introduction.", "Bold"), *[(word, "Body") for word in words])
    box, said = comparison_sample(line)
    assert said == "thelayerofthispage" and box == (70.0, 0.0, 180.0, 10.0)
    short = typeset(("a", "Body"), ("short", "Body"), ("headline", "Body"))
    assert comparison_sample(short) == ((0.0, 0.0, 80.0, 10.0), "ashortheadline")
    chinese = typeset(("一份文件的每一页都有自己的文字层而且它说的和看到的一样", "Song"))
    assert len(comparison_sample(chinese)[1]) == 18
    bare = Line((0, 0, 200, 10), "characters are not known")
    assert comparison_sample(bare) == ((0, 0, 200, 10), "characters are not known")


def test_a_sound_heading_proves_nothing_about_a_line_in_a_broken_font() -> None:
    """After a run-in heading in another font, the text with shifted letters is compared."""
    seen = "Introduction. Many pages look right and say something else altogether"
    first, *others = seen.split()
    line = typeset((first, "Bold"), *[("".join(chr(ord(c) + 3) for c in word), "Body") for word in others])
    page = Area(Region(Label.PLAIN_TEXT, (0, 0, 1, 1)), line.bbox, [], [line])

    def read(box: Any) -> str:
        return "".join(c for n, c in enumerate(seen) if box[0] <= 5 * n < box[2])

    assert find_contradiction([page], read)
    honest = typeset(*[(w, "Body") for w in seen.split()])
    assert find_contradiction([Area(Region(Label.PLAIN_TEXT, (0, 0, 1, 1)), line.bbox, [], [honest])], read) is None
