"""The strategies that come with simcore: one file each, importing simcore.strategy and simcore.indicators only."""
