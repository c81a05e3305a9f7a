"""Market data: archive readers, the catalog on disk, prepared bars and books, synthetic markets, the embedded sample."""

from replay_data.feed import Feed, from_arrays, from_columns, from_frame

__all__ = ["Feed", "from_arrays", "from_columns", "from_frame"]
