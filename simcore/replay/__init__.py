"""The replay world: market data in, decision ledger out."""

from simcore.replay.compile import warmup
from simcore.replay.journal import Journal
from simcore.replay.recording import Recording
from simcore.replay.session import Session
from simcore.replay.world import run_replay

__all__ = ["Journal", "Recording", "Session", "run_replay", "warmup"]
