"""The workspace: what `simcore init` copies into a person's own folder."""
