"""Surgeons read a cohort in the browser, blinded; what they say becomes readers.csv.

design    who reads what, when and with which aid: pure functions of a seed
answers   what a reader says of a case, and when it is complete
images    a Volume as 16-bit frames that a browser shows with true values
aids      what a model says of a case, for the aided arm: probability and heat map
schema    the tables of a study's database, and what the database itself forbids
store     a study's database: its people, their links, its audit log
reading   what a reader may see, say and lock, and when
study     a cohort and a design to a folder that is served, or served again
guard     what every request passes: hosts, sizes, rates, cookies, headers
routes    the pages and the calls of readers and administrator
server    the application, and running it
export    a study's folder to readers.csv, agreement, aided against unaided, audit log
pages/    the pages themselves; pages/vendor holds the viewer, with its licence

Needs ``pip install cervispine[reader]``; the design needs nothing.
"""

from cervispine.reader_study.design import ARMS, Design, Slot, plan

__all__ = ["ARMS", "Design", "Slot", "plan"]
