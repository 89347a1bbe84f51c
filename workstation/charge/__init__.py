"""The charge: facts in, decision out. Pure rules; nothing here opens a socket, a database or a DICOM file."""

from .decide import Decision, decide, decision_to_json
from .facts import Facts, FactsError, facts_to_json, read_facts
from .lines import Line
from .policy import Policy, PolicyError, load_policy
from .reasons import Reason

__all__ = [
    "Decision",
    "Facts",
    "FactsError",
    "Line",
    "Policy",
    "PolicyError",
    "Reason",
    "decide",
    "decision_to_json",
    "facts_to_json",
    "load_policy",
    "read_facts",
]
