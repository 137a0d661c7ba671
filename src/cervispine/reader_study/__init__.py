"""Surgeons read a cohort in the browser, blinded; what they say becomes readers.csv.

design    who reads what, when and with which aid: pure functions of a seed
answers   what a reader says of a case, and when it is complete
images    a Volume as 16-bit frames that a browser shows with true values
cases     whom readers read, whom they learn from, and what a model says of them
aids      what a model says of a case, for the aided arm: probability and heat map
schema    the tables of a study's database, and what the database itself forbids
store     a study's database: its people, their links, its audit log
sessions  which session of a reader is open, and when the next one will be
reading   what a reader may see, say and lock, and when
joining   readers who join a study: their own lists, and nobody else's changed
study     a cohort and a design to a folder that is served, or served again
guard     what every request passes: hosts, sizes, rates, cookies, headers
routes    the pages and the calls of readers and administrator
server    the application, and running it
export    a study's folder to readers.csv, agreement, aided against unaided, audit log
pages/    the pages themselves; pages/vendor holds the viewer, with its licence

Needs ``pip install cervispine[reader]``; the design needs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from cervispine.reader_study.design import ARMS, Design, Slot, plan

if TYPE_CHECKING:
    from cervispine.reader_study.cases import Materials
    from cervispine.reader_study.export import Exported, export_study
    from cervispine.reader_study.guard import Rates
    from cervispine.reader_study.joining import add_readers
    from cervispine.reader_study.server import make_app
    from cervispine.reader_study.store import Store
    from cervispine.reader_study.study import make_study, open_study

__all__ = [
    "ARMS",
    "Design",
    "Exported",
    "Materials",
    "Rates",
    "Slot",
    "Store",
    "add_readers",
    "export_study",
    "make_app",
    "make_study",
    "open_study",
    "plan",
]

#: What needs the extra is imported when it is asked for.
_HOMES = {
    "Exported": "export",
    "Materials": "cases",
    "Rates": "guard",
    "Store": "store",
    "add_readers": "joining",
    "export_study": "export",
    "make_app": "server",
    "make_study": "study",
    "open_study": "study",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
