"""What people take away: tables, figures, a page.

comparison   a comparison as JSON, tables (CSV) and figures (SVG)
cases        a few instructive test cases as pictures
published    what Qu et al. 2024 printed, always marked as theirs
report       report.html, made from the files of a run alone, readable offline
"""

from cervispine.reporting.cases import save_cases
from cervispine.reporting.comparison import save_comparison
from cervispine.reporting.report import write_report

__all__ = ["save_cases", "save_comparison", "write_report"]
