"""Sentences to teach and questions to ask: made from words by a seeded generator, so every run has the same ones.

Each sentence draws its parts anew, so that no two are nearly alike and yet every word is in many of them: what a full-text
search must rank and a vector search must tell apart.
"""

import itertools
import random
from collections.abc import Iterator

PLACES = (
    "Aberdeen Bergen Cordoba Dresden Evora Fes Galway Havana Izmir Jakarta Kyoto Lisbon Marrakesh Nantes Oslo Porto Quito "
    "Riga Seville Tromso Utrecht Valencia Windhoek Xalapa Yerevan Zagreb"
).split()
OWNERS = (
    "archivist baker carpenter diver engineer farmer gardener harpist innkeeper jeweller keeper librarian mason navigator "
    "optician painter quarryman rower surveyor tailor usher violinist weaver yachtsman zoologist"
).split()
QUALITIES = (
    "amber brittle copper dusty elegant faded gilded hollow ivory jagged knotted lacquered mottled narrow ornate polished "
    "quiet rusty silver tangled upright velvet weathered yellowed zinc ancient bent crooked damp enamelled"
).split()
THINGS = (
    "anchor barometer clock drum engine flute gate hammer instrument jar kettle lantern mirror net oven piano quilt ribbon "
    "saddle telescope umbrella violin wheel xylophone yoke zither atlas bridge candle dam easel ferry globe harbour inkwell"
).split()
DEEDS = (
    "repairs measures paints carries hides borrows counts cleans draws examines guards heats inherits joins lends mends "
    "names opens packs restores sells tests unpacks visits weighs"
).split()
TIMES = (
    "before dawn|after the harvest|on market days|every second winter|during the flood|at high tide|when the bells ring|"
    "in the last week of May|between two storms|once the snow has gone|while the choir sings|on the eve of the fair"
).split("|")
REASONS = (
    "the old one broke|the council asked for it|visitors pay to see it|nobody else knows how|the river had risen|"
    "a letter had promised it|the museum lost its key|the roof leaks|the road was closed|an apprentice insisted"
).split("|")


def sentences(seed: int) -> Iterator[str]:
    """Sentences without end, each with a number of its own."""
    draw = random.Random(seed)
    for number in itertools.count(1):
        thing, other = draw.sample(THINGS, 2)
        yield (
            f"The {draw.choice(OWNERS)} of {draw.choice(PLACES)} {draw.choice(DEEDS)} the {draw.choice(QUALITIES)} {thing} "
            f"beside the {draw.choice(QUALITIES)} {other} {draw.choice(TIMES)}, because {draw.choice(REASONS)}; "
            f"entry {number}."
        )


def questions(seed: int) -> Iterator[str]:
    """Questions without end about what `sentences` speak of."""
    draw = random.Random(seed)
    while True:
        owner, place, thing = draw.choice(OWNERS), draw.choice(PLACES), draw.choice(THINGS)
        yield draw.choice(
            (
                f"What does the {owner} of {place} do with the {draw.choice(QUALITIES)} {thing}?",
                f"Why does somebody in {place} keep a {draw.choice(QUALITIES)} {thing}?",
                f"Who {draw.choice(DEEDS)} the {thing} {draw.choice(TIMES)}?",
                f"When is the {draw.choice(QUALITIES)} {thing} of the {owner} used?",
            )
        )
