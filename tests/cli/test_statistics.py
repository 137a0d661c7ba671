"""``compare``: what it needs and what it writes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from cervispine import Cohort
from cervispine.phantom import PhantomCohort


def test_compare_needs_no_torch_and_imports_nothing_slow(
    phantom: PhantomCohort, tmp_path: Path, cohort: Cohort
) -> None:
    scores = tmp_path / "scores.csv"
    rows = [f"{name},any,{0.1 + 0.8 * label}" for name, label in zip(
        cohort.patients, cohort.labels, strict=True)]  # fmt: skip
    rows[0] = f"{cohort.patients[0]},any,0.55"
    scores.write_text("\n".join(["patient,model,score", *rows]))
    arguments = [
        "compare", "--truth", phantom.labels, "--scores", scores, "--readers", phantom.readers,
        "--threshold", "0.5", "--out", tmp_path / "out",
    ]  # fmt: skip
    code = (
        "import sys\n"
        "class NoTorch:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] == 'torch': raise ImportError('torch is not here')\n"
        "sys.meta_path.insert(0, NoTorch())\n"
        "from cervispine.cli import main\n"
        f"sys.argv = {['cervispine', *map(str, arguments)]}\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    slow = {'pandas', 'sklearn', 'scipy.optimize', 'scipy.stats', 'statsmodels'}\n"
        "    assert not slow & set(sys.modules), slow & set(sys.modules)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert result.returncode == 0, result.stderr
    figures = {path.stem for path in (tmp_path / "out" / "figures").glob("*.svg")}
    assert figures == {"roc", "strata", "differences", "calibration", "decision"}
    for name in ("T1", "T2", "T3", "T4"):
        assert (tmp_path / "out" / "tables" / f"{name}.csv").is_file()
        assert "\\toprule" in (tmp_path / "out" / "tables" / f"{name}.tex").read_text()
