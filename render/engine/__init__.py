"""Engines: what turns a volume and a recipe into pixels. `render.draw` is the door to them."""
