"""Inference over a whole archive, which may take days and lose any of its processes.

run      infer_archive: index, read what is missing, merge, count
work     the unit of work: one study, published under a hash of its bytes
workers  handing studies out: to this process, to processes of this machine, to a cluster
store    what is kept in the folder of a run
account  found = done + quarantined + rejected + ignored
"""

from cervispine.archive.account import Account
from cervispine.archive.run import ArchiveRun, infer_archive

__all__ = ["Account", "ArchiveRun", "infer_archive"]
