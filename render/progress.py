"""Callbacks for the progress of long work."""

from collections.abc import Callable

# For one piece of work: called with the part that is done, from 0 to 1.
PartDone = Callable[[float], None]
# For several pieces in turn: called with the current one in words, and the part of it that is done.
Progress = Callable[[str, float], None]
# For counted work: called with how many are done, and how many there are.
CountDone = Callable[[int, int], None]
