"""The runners that are measured, ours first."""

from peers.builders import Make, Ninja, NinjaBash
from peers.ghtrader import Ghtrader
from peers.peer import Missing, Peer, Setting
from peers.python import Doit, Dvc, Redun, Snakemake

ALL: list[type[Peer]] = [Ghtrader, Ninja, NinjaBash, Make, Snakemake, Dvc, Redun, Doit]

__all__ = ["ALL", "Missing", "Peer", "Setting"]
