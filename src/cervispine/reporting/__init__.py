"""What people take away: tables, figures, a page.

comparison   a comparison as JSON, tables (CSV) and figures (SVG)
cases        a few instructive test cases as pictures
published    what Qu et al. 2024 printed, always marked as theirs
intake       intake.html: what became of every file, and what each study looks like
thumbnails   the middle slice of a series as a small picture
pages        a template to one offline page
report       report.html, made from the files of a run alone, readable offline
"""

from cervispine.reporting.cases import save_cases
from cervispine.reporting.comparison import save_comparison
from cervispine.reporting.intake import save_intake
from cervispine.reporting.report import write_report

__all__ = ["save_cases", "save_comparison", "save_intake", "write_report"]
