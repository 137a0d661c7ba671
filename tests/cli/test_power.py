"""``cervispine power`` prints what ``sample_size`` finds."""

import json

import pytest
from typer.testing import CliRunner

from cervispine.cli import app
from cervispine.evaluation import OneAUC, PairedCalls, sample_size
from cervispine.exceptions import UsageError


@pytest.mark.parametrize(
    ("arguments", "design"),
    [
        (["auc", "--auc", "0.8"], OneAUC(0.8)),
        (["mcnemar", "--first-only", "0.2", "--second-only", "0.1"], PairedCalls(0.2, 0.1)),
    ],
)
def test_power_says_what_the_function_says(arguments, design):
    done = CliRunner().invoke(app, ["power", *arguments])
    assert done.exit_code == 0
    assert done.stdout.strip() == sample_size(design).summary()
    done = CliRunner().invoke(app, ["power", *arguments, "--json"])
    assert json.loads(done.stdout) == sample_size(design).to_dict()


def test_an_absent_pilot_is_refused(tmp_path):
    arguments = ["--pilot", str(tmp_path / "no.csv"), "--difference", "0.05", "--readers", "8"]
    done = CliRunner().invoke(app, ["power", "mrmc", *arguments])
    assert isinstance(done.exception, UsageError)
