"""The workstation: the story from a series to its charge, and everybody who speaks in it."""

# What pip calls this software. `workstation`, the name of the package and of the command, belongs to somebody else there:
# docs/decisions/0063-the-name-of-the-distribution.md.
DISTRIBUTION = "radiology-3d-workstation"
