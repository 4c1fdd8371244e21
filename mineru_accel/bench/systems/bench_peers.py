"""``mineru-accel bench peers``: which other systems are installed, and how to install them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ...errors import EXIT_OK
from . import peer_environments
from .peer_environments import PEERS, find_peer, given_pythons, install_commands


def run(argv: Sequence[str]) -> int:
    """Print each peer's version and Python, or the commands that install it."""
    parser = argparse.ArgumentParser(prog="mineru-accel bench peers", description=peer_environments.__doc__)
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON", help="look there first")
    chosen = given_pythons(parser.parse_args(argv).peer)
    for name in PEERS:
        place = find_peer(name, chosen)
        print(f"{name}: {f'{place[1]}, {place[0]}' if place else 'not installed; to install it:'}")
        if place is None:
            print("".join(f"  {line}\n" for line in install_commands(name)), end="")
    return EXIT_OK
