"""What people take away: tables, figures, a page.

figures      a figure as SVG and PNG, marked where it is of phantoms
comparison   a comparison as JSON, tables (CSV, LaTeX) and figures
flow         from the files found to the patients of each part
participants who is in each part, as a table
history      how the networks learned
cases        the test cases from which there is most to learn
published    what Qu et al. 2024 printed, always marked as theirs
intake       intake.html: what became of every file, and what each study looks like
thumbnails   the middle slice of a series as a small picture
pages        a template to one offline page
finished     the files of a finished run, or the error where they are missing
wording      what a run asked and found, and what it does not show, in sentences
facts        what a run knows of what reporting standards ask
checklists   CLAIM 2024, STARD-AI and TRIPOD+AI, filled in as far as may be
report       report.html, made from the files of a run alone, readable offline
"""

from cervispine.reporting.cases import choose_cases, save_cases
from cervispine.reporting.checklists import save_checklists
from cervispine.reporting.comparison import save_comparison
from cervispine.reporting.figures import MARK
from cervispine.reporting.flow import save_flow
from cervispine.reporting.history import save_history
from cervispine.reporting.intake import save_intake
from cervispine.reporting.participants import save_participants
from cervispine.reporting.report import HEATMAPS, write_report

__all__ = [
    "HEATMAPS",
    "MARK",
    "choose_cases",
    "save_cases",
    "save_checklists",
    "save_comparison",
    "save_flow",
    "save_history",
    "save_intake",
    "save_participants",
    "write_report",
]
