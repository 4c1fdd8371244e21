"""The words of ``paper.pdf``. ``-`` within a listed word marks where it may be broken."""

from __future__ import annotations

import re

from .inline import SHY

TITLE = "Reading Snow Depth from Roadside Cameras\nwith a Single Painted Stake"
AUTHORS = "Maren Holt^1^, Tomás Iriarte^2^ and Yuki Aoyama^1^"
PLACES = "^1^ Institute for Mountain Hydrology, Tarnfield\n^2^ Department of Road Safety, Province of Alta Vera"
ABSTRACT = (
    "Snow depth decides when a mountain road is closed, yet most passes have no automatic gauge. Many of them do "
    "have a traffic camera. We show that one painted stake in the camera's view is sufficient to measure the depth "
    "within three centimetres, without any calibration of the lens. The method fits the visible bands of the stake "
    "to a profile of five parameters and refuses to answer when fog or drifting snow hides them. Over two winters "
    "and eleven cameras it gave a reading for 94 % of the daylight hours."
)

INTRO = [
    "Roads over high passes are opened and closed on the judgement of a few people who drive up to look. Ultrasonic "
    "gauges would help them, but a gauge with its mast, power supply and radio costs as much as a small car, and the "
    "sensors ice over in exactly the weather that matters^3^. In contrast, a camera is already there: the eleven "
    "passes in our study have had traffic cameras since 2014, and their pictures are kept for thirty days.",
    "Earlier work measured depth from such pictures either by training a classifier on thousands of labelled "
    "images^1^ or by surveying the scene so that every pixel has a known position^4^. Both are difficult to carry to "
    "a new site. A classifier must be trained again when the camera is moved by a gust of wind, and a survey needs "
    "two people and a day without snow. We ask for less: one stake, two metres tall, painted in bands of ten "
    "centimetres, placed anywhere in the picture.",
    "Our contributions are a model of the stake that needs no calibration, a confidence test that finds the pictures "
    "in which the reading can't be trusted, and a public set of 52,000 pictures with manual readings.",
]
MODEL_1 = (
    "A stake that stands upright appears in the picture as a strip of bands whose heights shrink slowly with "
    "distance from the optical axis. Let $h_i$ be the height in the picture of band $i$, counted from the top. For a "
    "pinhole camera that is tilted by a small angle, the heights follow a geometric series:"
)
FORMULA_1 = r"h_i = h_0 \left( 1 - \alpha \right)^i + \varepsilon_i"
MODEL_2 = (
    "where $\\alpha$ is fixed by the tilt alone. The number of visible bands is therefore found from the top of the "
    "stake and the snow line, even if the lower bands differ in size by a third. We find both ends by minimising "
    "the energy"
)
FORMULA_2 = r"E(s, t) = \sum_{y=t}^{s} \left( I(y) - P\left( \frac{y - t}{h_0} \right) \right)^2 + \lambda \, (s - t)"
MODEL_3 = (
    "over the snow line $s$ and the top $t$, where $I$ is the brightness along the axis of the stake and $P$ is the "
    "painted pattern. The weight $\\lambda$ = 0.4 was chosen on one camera and kept for all others. The search is "
    "exhaustive, since both values are whole pixels, and takes four milliseconds on the camera's own processor."
)
TRUST = [
    "A reading is offered only if the minimum of the energy is sharp. We define the sharpness as the ratio of the "
    "second lowest minimum to the lowest, at least five pixels away, and reject pictures in which it is below 1.3. "
    "Fog flattens the whole curve, a plough in front of the stake moves the minimum to an impossible place, and "
    "snow that sticks to the paint gives two minima of nearly the same depth. All three are caught by the same "
    "threshold."
]
RESULTS_1 = (
    "We installed stakes at eleven passes between 1,180 and 2,460 metres above the sea and read every hourly picture "
    "of two winters by hand. Two readers agreed within one centimetre on 97 % of the pictures; where they "
    "did not, a third reader decided. Figure 1 shows a typical view and the fitted bands."
)
RESULTS_2 = (
    "Over all cameras the mean absolute difference from the manual reading is 2.7 centimetres, and the error is "
    "the same for shallow and for deep snow. The classifier of reference 1, trained on our first winter and applied "
    "to the second, has an error of 6.1 centimetres. Its errors grow in March, when the light is stronger than "
    "in the pictures that it has seen, as Figure 2 makes clear. The method with a surveyed scene is slightly better "
    "than ours, with 2.2 centimetres, as long as nobody touches the camera; after the storm of 9 February it was "
    "wrong by half a metre until the scene was surveyed again."
)
RESULTS_3 = (
    "The confidence test rejected 6 % of the daylight pictures. Of the 311 readings that were wrong by more than ten "
    "centimetres, it caught 298. The other thirteen show a stake that was bent by the plough, which no test of the "
    "picture can reveal."
)
SETTING = [
    "A stake is set in half an hour. The post is a scaffold tube in a socket of concrete, and the bands are cut from "
    "traffic film, red and white in turn, which keeps its colour for five summers. The foot of the stake must be "
    "seen from the camera when the ground is bare, and the stake should cover at least 120 pixels, which at a "
    "distance of forty metres is true of every camera that we met.",
    "The first clear picture after the stake is set gives its foot and its top. Nothing else is entered by hand. If "
    "the camera is turned or replaced, the same two points are marked again, which the road crew did themselves on "
    "nine occasions in two winters, by telephone and without a visit to the pass.",
]
LIMITS = (
    "The stake must be visible at night to be of use around the clock; reflective paint works with the lights of "
    "passing cars but not without them. A single stake measures a single place, and wind can move half a metre of "
    "snow within an hour. We recommend two stakes on either side of the road where drifts are known. Finally, the "
    "geometric series fails for lenses with strong distortion, which can be seen from the residuals $\\varepsilon_i$ "
    "of the first clear picture."
)
THANKS = (
    "We thank the road crews of Gull Pass and Oster Saddle, who read the stakes on foot in all weathers, and two "
    "reviewers whose doubts about the confidence test led to Section 3. The pictures were taken by the Province of "
    "Alta Vera and are published with its consent."
)
CONCLUSION = (
    "One painted stake turns a traffic camera into a snow gauge that is accurate to three centimetres and that knows "
    "when it can't see. The offices that manage the eleven passes have used the readings since last autumn, and "
    "fifteen further stakes are to be set before the first snow."
)
REFERENCES = [
    "[1] R. Adeyemi and P. Lind. Learning snow depth from webcams. *Journal of Cold Regions*, 41(2):113–129, 2019.",
    "[2] F. Castellano. Pinhole geometry for surveyors. *Field Methods*, 8:77–91, 2008.",
    "[3] H. Brandt, S. Okafor and L. Meyer. Icing of ultrasonic gauges. *Alpine Engineering*, 17(4):201–215, 2016.",
    "[4] K. Nakamura and E. Duarte. Surveyed scenes for snow monitoring. In *Proceedings of the Workshop on Outdoor "
    "Vision*, pages 45–52, 2021.",
]

_BREAKS = """
auto-matic cam-era cam-eras cali-bra-tion param-eters mea-sure mea-sured mea-sures min-imum min-imising
judge-ment ultra-sonic clas-si-fier thou-sands sur-vey-ing posi-tion dif-fi-cult contri-bu-tions con-fi-dence pic-ture
pic-tures man-ual read-ing read-ings dis-tance opti-cal geo-met-ric num-ber vis-ible bright-ness pat-tern exhaus-tive
mil-li-seconds pro-ces-sor sharp-ness im-pos-sible thresh-old installed be-tween deci-ded typi-cal ab-so-lute
dif-fer-ence cen-ti-metres ref-er-ence stronger method sur-veyed slightly rejected day-light reveal re-flec-tive
rec-om-mend known dis-tor-tion resid-uals ac-cu-rate man-age au-tumn fif-teen fur-ther suf-fi-cient with-out trained
con-trast traf-fic study moun-tain pro-file hid-den drift-ing sec-ond low-est en-ergy chosen oth-ers painted
in-stall sen-sors weather mat-ters ear-lier la-belled pixel care-fully win-ters
"""
_BROKEN = {word.replace("-", ""): word.replace("-", SHY) for word in re.split(r"\s+", _BREAKS.strip())}


def hyphenated(text: str) -> str:
    """``text`` with soft hyphens in the words that may be broken."""
    text = text.replace("'", "’")
    return re.sub(r"[a-z]+", lambda m: _BROKEN.get(m.group(0), m.group(0)), text)
