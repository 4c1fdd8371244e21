"""``newsletter.pdf``: French, three columns under a spanning headline, a sidebar, links."""

from __future__ import annotations

from pathlib import Path

from .figures import winter_scene
from .page import Frame, Sample
from .typeset import Style

BODY = Style("Serif", 10.6, 13.4)
LEAD = Style("Serif", 12.5, 16, italic=True)
HEAD = Style("Sans", 12, 14.5, bold=True, color="#7a1f2b")
SMALL = Style("Sans", 7.8, 10, color="#555555")
CAPTION = Style("Sans", 8, 10)
LEFT, STEP, WIDTH, FULL = 48.0, 172.0, 155.0, 499.0

HEADLINE = "La gare de Saint-Éloi rouvre ses portes"
STANDFIRST = (
    "Fermée depuis 1987, la petite gare accueille désormais une boulangerie, un atelier de réparation de vélos et, "
    "dès le mois de mai, deux trains par jour."
)
STATION = [
    "Il pleuvait samedi matin, mais plus de six cents personnes s’étaient rassemblées devant la façade repeinte. "
    "« J’avais douze ans quand le dernier train est parti », raconte Hélène Marchetti, qui tient aujourd’hui la "
    "boulangerie installée dans l’ancien guichet. « Mon père était chef de gare. Je n’aurais jamais cru revoir cela. »",
    "Les travaux ont duré trois ans et coûté 1,4 million d’euros, dont un quart provient d’une souscription publique. "
    "La toiture a été entièrement refaite, les carreaux d’origine nettoyés un à un.",
]
STATION_2 = [
    "Le quai a été rehaussé pour que les voyageurs en fauteuil puissent monter sans aide. Une rampe relie la place "
    "au passage souterrain, fermé lui aussi depuis trente-sept ans.",
    "Les horaires et les tarifs sont publiés sur [le site de la commune](https://www.saint-eloi.example/gare). Les "
    "billets s’achètent à bord ou à la boulangerie, où l’on peut aussi emprunter un vélo pour la journée.",
]
LETTER = "Courrier : et le vieux poirier ?"
LETTER_TEXT = [
    "Madame, Monsieur, votre numéro de mars annonce l’abattage du poirier de la cour de l’école. Cet arbre fut planté "
    "en 1921 par la première institutrice du village ; mes deux grands-mères ont appris à lire sous ses branches. "
    "Est-il vraiment malade, ou gêne-t-il seulement le nouveau parking ? — *Odile Brémond*",
    "La mairie nous répond que l’expertise a été confiée à l’Office des forêts et que rien ne sera décidé avant "
    "l’automne. Des greffons ont déjà été prélevés : quoi qu’il arrive, un jeune poirier de la même souche sera planté "
    "dans le verger communal.",
]
LIBRARY = "Un été à la bibliothèque"
LIBRARY_TEXT = [
    "Pendant les mois de juillet et d’août, la bibliothèque restera ouverte jusqu’à 21 heures le jeudi. Au programme : "
    "des lectures dans le jardin, un concours de nouvelles et une exposition de cartes anciennes.",
    "Les inscriptions pour le concours se font [par courriel](mailto:biblio@saint-eloi.example) avant le 15 juin. "
    "Le jury lira des textes de dix pages au plus, en français ou en occitan.",
]
SIDE = "En bref"
SIDE_TEXT = [
    "**Marché.** À partir du 4 mai, le marché du samedi se tient de nouveau place de l’Église.",
    "**Eau.** Le réseau sera coupé mardi de 9 h à 11 h dans la rue des Tanneurs.",
    "**Forêt.** Le sentier des Hêtres est praticable après la chute d’arbres de février.",
    "**Randonnée.** Le club propose chaque dimanche une marche de douze kilomètres ; rendez-vous à 8 h à la fontaine.",
    "**Musique.** L’école cherche une clarinette d’occasion pour une élève de neuf ans.",
]


def _column(number: int, y: float) -> Frame:
    return Frame(LEFT + number * STEP, y, WIDTH, 770)


def make(folder: Path) -> None:
    """Write newsletter.pdf and its ground truth."""
    sample = Sample(folder / "newsletter", title="Le Petit Éclaireur, nº 42")
    sample.new_page()
    sample.text("abandon", "Le Petit Éclaireur · nº 42 · avril 2024", SMALL, (LEFT, 36, FULL), md=None)
    sample.rule(LEFT, 52, LEFT + FULL, 52, 1.2, "#7a1f2b")
    big = Style("Sans", 25, 30, bold=True)
    box = sample.text("title", HEADLINE, big, (LEFT, 68, FULL), prefix="# ")
    box = sample.text("plain text", STANDFIRST, LEAD, (LEFT, box[3] + 9, FULL))
    top = box[3] + 20

    frame = _column(0, top)
    for text in STATION:
        sample.text("plain text", text, BODY, frame, after=7)
    ends = frame.y
    frame = _column(1, top)
    sample.image(winter_scene(420, 300, seed=23), (frame.x, top, frame.x + WIDTH, top + 108), quality=70)
    frame.y = top + 114
    sample.text("figure_caption", "La vue depuis le quai, en mars dernier.", CAPTION, frame, after=11)
    for text in STATION_2:
        sample.text("plain text", text, BODY, frame, after=7)
    ends = max(ends, frame.y)
    frame = _column(2, top + 12)
    inner = Frame(frame.x + 9, frame.y, WIDTH - 18, frame.bottom)
    sample.fill((frame.x, top, frame.x + WIDTH, ends - 7), "#f4ecdf")
    sample.text("title", SIDE, HEAD, inner, prefix="## ", after=7)
    for text in SIDE_TEXT:
        sample.text("plain text", text, BODY.but(font="Sans", size=9.0, leading=12.0), inner, after=8)

    for title, texts in ((LIBRARY, LIBRARY_TEXT), (LETTER, LETTER_TEXT)):
        frame = Frame(LEFT, ends + 22, FULL, 770)
        sample.rule(LEFT, ends + 10, LEFT + FULL, ends + 10, 0.6, "#7a1f2b")
        sample.text("title", title, HEAD.but(size=16.0, leading=20.0), frame, prefix="## ", after=9)
        for number, text in enumerate(texts):
            box = sample.text("plain text", text, BODY, (LEFT + number * 258, frame.y, 241))
            ends = max(ends, box[3])
    sample.text("abandon", "Page 1", SMALL.but(align="center"), (LEFT, 806, FULL), md=None)
    sample.save()
