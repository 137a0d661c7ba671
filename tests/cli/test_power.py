"""``cervispine power`` prints what ``sample_size`` finds."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from cervispine.cli import app
from cervispine.evaluation import (
    OneAUC,
    PairedAUCs,
    PairedCalls,
    ReaderStudy,
    delong_covariance,
    mrmc,
    read_readings,
    sample_size,
)
from cervispine.exceptions import LabelError, UsageError


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
    assert isinstance(done.exception, LabelError)
    assert done.exception.code == "READINGS_UNREADABLE"


@pytest.fixture
def pilot(tmp_path):
    generator = np.random.default_rng(0)
    truth = np.arange(60) % 2
    first, second = (truth * strength + generator.normal(size=60) for strength in (1.5, 1.0))
    labels = [f"{n:03d},{'OPLL' if label else 'DSS'}" for n, label in enumerate(truth)]
    scores = [
        f"{n:03d},{name},{value:.6f}"
        for name, values in (("a", first), ("b", second))
        for n, value in reversed(list(enumerate(values)))
    ]
    for name, header, rows in (
        ("labels", "patient,label", labels),
        ("scores", "patient,model,score", scores),
    ):
        (tmp_path / f"{name}.csv").write_text("\n".join([header, *rows]) + "\n")
    return tmp_path, truth, first.round(6), second.round(6)


def paired(folder, second="b"):
    files = ["--truth", str(folder / "labels.csv"), "--scores", str(folder / "scores.csv")]
    wanted = ["--first", "a", "--second", second, "--difference", "0.05"]
    return CliRunner().invoke(app, ["power", "paired-auc", *files, *wanted])


def test_a_pilots_files_give_its_variances_whatever_the_order_of_rows(pilot):
    folder, truth, first, second = pilot
    design = PairedAUCs.from_pilot(truth, first, second, difference=0.05)
    assert paired(folder).stdout.strip() == sample_size(design).summary()
    spread = delong_covariance(truth, [first, second])[1]
    assert design.covariance == pytest.approx(spread[0, 1])
    assert (design.positives, design.negatives) == (30, 30)


def test_a_model_that_the_pilot_lacks_is_refused(pilot):
    done = paired(pilot[0], second="c")
    assert isinstance(done.exception, UsageError)
    assert "no scores of c among those of 2 models" in str(done.exception)


@pytest.fixture
def synthetic_readings(tmp_path):
    """A small reader study: five readers, two modalities, forty cases."""
    generator = np.random.default_rng(1)
    rows = ["case,reader,modality,truth,rating"]
    for case in range(40):
        shared = 1.2 * (case % 2) + generator.normal()
        for reader in range(5):
            for modality in ("aided", "unaided"):
                rating = shared + generator.normal() + 0.3 * (modality == "aided") * (case % 2)
                rows.append(f"{case},{reader},{modality},{case % 2},{rating:.4f}")
    path = tmp_path / "pilot.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def test_a_pilot_study_of_readers_gives_its_components(synthetic_readings):
    done = CliRunner().invoke(
        app,
        ["power", "mrmc", "--pilot", str(synthetic_readings), "--difference", "0.05",
         "--readers", "8"],
    )  # fmt: skip
    study = mrmc(read_readings(synthetic_readings))
    design = ReaderStudy(0.05, 8, study.components, study.n)
    assert done.stdout.strip() == sample_size(design).summary()
