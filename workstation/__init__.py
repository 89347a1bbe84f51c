"""The workstation: the story from a series to its charge, and everybody who speaks in it."""

# What pip calls this software. There, `workstation`, our package and command, is the name of something else:
# docs/decisions/0063-the-name-of-the-distribution.md.
DISTRIBUTION = "radiology-3d-workstation"
