"""How long work tells how far it is."""

from collections.abc import Callable

# Called with the part that is done, from 0 to 1: what does one thing.
PartDone = Callable[[float], None]
# Called with what is being done, in words, and the part of it that is done: what does several things one after another.
Progress = Callable[[str, float], None]
# Called with how many are done, and how many there are: what counts instances.
CountDone = Callable[[int, int], None]
