"""The pairs of the sweep benchmark; peers' jobs read it from environments of their own, so it imports nothing."""

FASTS = range(10, 201, 10)
SLOWS = range(210, 701, 10)
SEED = 20_250_701
