"""The commands that train and read: a whole study, one model, one cohort."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from cervispine.cli.options import (
    AllowMissing,
    AllowTrainingPatients,
    Data,
    DataOrPhantoms,
    KeyFile,
    KeyOfTraining,
    Labels,
    LoaderName,
    Model,
    Out,
    Readers,
    Resume,
    Saved,
    Seed,
    Strict,
    Verify,
    end_strictly,
    index_folder,
    names_in,
)
from cervispine.exceptions import UsageError

__all__ = ["experiment", "export", "predict", "train"]


def experiment(
    data: DataOrPhantoms = None,
    *,
    out: Out,
    labels: Labels = None,
    allow_missing: AllowMissing = False,
    readers: Readers = None,
    backbones: Annotated[
        str, typer.Option(help="Installed backbones, with commas between.")
    ] = "resnet34,resnet50,resnet101",
    preset: Annotated[
        str,
        typer.Option(help="Images and training. quick: 112 x 80 px, 8 epochs. paper: 224 px, 10."),
    ] = "quick",
    split: Annotated[
        Path | None, typer.Option(help="CSV with the columns patient,part; else one is drawn.")
    ] = None,
    stratify: Annotated[
        str, typer.Option(help="Columns of labels.csv, with commas: each part gets its share.")
    ] = "",
    loader: LoaderName = "dicom",
    saved: Saved = None,
    key: KeyFile = None,
    verify: Verify = None,
    seed: Seed = 0,
    resume: Resume = False,
    strict: Strict = False,
) -> None:
    """Run the paper's study and write its report.

    Each network is trained on most patients and tested on patients it has never seen; the
    report compares it with the readers. Without DATA it runs on synthetic phantoms.
    """
    from cervispine.experiment import run_experiment

    result = run_experiment(
        data,
        out=out,
        labels=labels,
        allow_missing=allow_missing,
        readers=readers,
        backbones=names_in(backbones),
        preset=preset,
        split=split,
        stratify=names_in(stratify),
        loader=loader,
        saved=saved,
        key=key,
        verify=verify,
        seed=seed,
        resume=resume,
    )
    print(result.summary())
    print(f"\nThe report is {result.report}")
    end_strictly(result.parts["test"].intake, strict)


def train(
    data: Data,
    *,
    labels: Annotated[Path, typer.Option(help="CSV: patient,label (OPLL or DSS).")],
    allow_missing: AllowMissing = False,
    out: Out,
    backbone: Annotated[
        str, typer.Option(help="An installed backbone; several, with commas, make an ensemble.")
    ] = "resnet50",
    preset: Annotated[
        str | None,
        typer.Option(help="quick or paper: the images and the training that a run tests."),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="At most so many; 30, or those of --preset.")
    ] = None,
    loader: LoaderName = "dicom",
    saved: Saved = None,
    cache: Annotated[
        Path | None,
        typer.Option(help="Folder that keeps prepared images for the next training."),
    ] = None,
    key: KeyFile = None,
    verify: Verify = None,
    seed: Seed = 0,
    resume: Resume = False,
) -> None:
    """Train one model, or an ensemble, on a whole cohort and save it as a folder.

    Started by torchrun, several processes train it together, on several GPUs or machines.
    """
    from cervispine.classification import Ensemble, OPLLClassifier
    from cervispine.classification.checkpoints import remove_checkpoints
    from cervispine.classification.distributed import joined
    from cervispine.classification.ensemble import member_folder
    from cervispine.experiment.presets import find_preset
    from cervispine.preprocessing import Preprocessor
    from cervispine.records import Key
    from cervispine.reporting import save_history

    chosen = None if preset is None else find_preset(preset)
    images = {} if chosen is None else chosen.preprocessor
    training = {} if chosen is None else dict(chosen.classifier)
    if epochs is not None:
        training["epochs"] = epochs

    with joined() as world:
        # One process writes and speaks, and what it makes the others find.
        shown = None if world.first else False
        if not world.first:
            logging.getLogger("cervispine").setLevel(logging.WARNING)
        with world.first_goes_first():
            secret = None if key is None else Key.open(key, outside=out)
            cohort = index_folder(
                data, labels, loader=loader, verify=verify, allow_missing=allow_missing,
                saved=saved, shown=shown,
            )  # fmt: skip
        if (out / "config.json").exists():
            raise UsageError(
                "the folder holds a model already",
                where=str(out),
                advice="choose another folder",
                code="RUN_EXISTS",
            )
        members = [
            OPLLClassifier(
                backbone=name,
                preprocessor=Preprocessor(**images, cache=cache),
                seed=seed + number,
                progress=shown,
                **training,
            )
            for number, name in enumerate(names_in(backbone))
        ]
        classifier = members[0] if len(members) == 1 else Ensemble(members=members, seed=seed)
        classifier.fit(cohort, run_dir=out, resume=resume, key=secret)
        if not world.first:
            return
        classifier.save(out)
    for folder in (out, *(member_folder(out, number) for number in range(len(members)))):
        remove_checkpoints(folder)
    trained = [classifier] if isinstance(classifier, OPLLClassifier) else classifier.members_
    names = [f"{each.backbone}, seed {each.seed}" for each in trained]
    if len(names) == 1:
        names = [backbone]
    save_history(
        dict(zip(names, (each.history_ for each in trained), strict=True)),
        dict(zip(names, (each.record_["best_epoch"] for each in trained), strict=True)),
        out,
    )
    print(f"saved {out}: threshold {classifier.threshold_:.3f}, see {out / 'README.md'}")
    if classifier.band_ is not None:
        print(f"undecided: probability {classifier.band_.summary(classifier.class_names)}")


def predict(
    model: Model,
    data: Data,
    *,
    out: Annotated[Path, typer.Option(help="CSV to write: patient,model,score,call ...")],
    loader: LoaderName = "dicom",
    saved: Saved = None,
    key: KeyOfTraining = None,
    allow_training_patients: AllowTrainingPatients = False,
    verify: Verify = None,
    engine: Annotated[
        str, typer.Option(help="torch; onnxruntime, after `cervispine export`; or auto.")
    ] = "torch",
    strict: Strict = False,
) -> None:
    """Read a cohort with a saved model, or a saved ensemble."""
    from cervispine.classification import load_model
    from cervispine.records import Key
    from cervispine.records.files import make_folder, refuse_other_file
    from cervispine.records.predictions import BEGINNING

    refuse_other_file(out, ",".join(BEGINNING))
    make_folder(out.parent)
    secret = None if key is None else Key.open(key, make=False)
    classifier = load_model(model, engine=engine)
    sequences = classifier.preprocessor_.sequences
    cohort = index_folder(data, loader=loader, verify=verify, sequences=sequences, saved=saved)
    predictions = classifier.classify(
        cohort,
        key=secret,
        allow_training_patients=allow_training_patients,
    )
    predictions.to_csv(out)
    print(f"{predictions.summary()}: {out}")
    compared = predictions.provenance["compared_with_training"]
    print(f"compared with those the model was trained on: {compared}")
    end_strictly(cohort.intake, strict)


def export(
    model: Model,
) -> None:
    """Write the network of a saved model as ONNX into its folder, for a faster engine.

    Of an ensemble, those of all members.
    """
    from cervispine.classification import load_model

    print(f"wrote {load_model(model, device='cpu').export(model)}")
