"""Conversion on a Ray cluster: the local pipeline's stages as pools of actors, run by Ray Data. See README.md here."""
