"""Engines: they turn a volume and a recipe into pixels. Callers go through `render.draw`."""
