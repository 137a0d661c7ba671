"""A fitted ensemble to a folder and back: a model folder for each member, and a configuration."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from cervispine.classification.abstention import Band
from cervispine.classification.card import ensemble_card
from cervispine.classification.ensemble import member_folder
from cervispine.classification.estimator import Classifier
from cervispine.classification.opll import OPLLClassifier
from cervispine.classification.storage import CONFIG, read_json, refused
from cervispine.exceptions import UsageError
from cervispine.records.files import make_folder, write_json, write_text

if TYPE_CHECKING:
    from cervispine.classification.ensemble import Ensemble

E = TypeVar("E", bound="Ensemble")

__all__ = ["export_ensemble", "is_ensemble", "load_ensemble", "load_model", "save_ensemble"]

FORMAT = "cervispine/ensemble"
VERSION = 1

#: More members than anybody trains; a configuration that names more is not read.
MOST_MEMBERS = 100


def save_ensemble(ensemble: Ensemble, folder: Path) -> Path:
    """Write the members, the card, and the configuration last."""
    make_folder(folder)
    configs = [
        hashlib.sha256((member.save(member_folder(folder, number)) / CONFIG).read_bytes())
        for number, member in enumerate(ensemble.members_)
    ]
    config = {
        "format": FORMAT,
        "version": VERSION,
        # Identifiers of patients stay with those who gave them.
        "parameters": {
            "calibrate": bool(ensemble.calibrate),
            "error_rate": float(ensemble.error_rate),
            "seed": int(ensemble.seed),
        },
        "threshold": ensemble.threshold_,
        "temperature": ensemble.temperature_,
        "band": None if ensemble.band_ is None else ensemble.band_.to_dict(),
        "class_names": list(ensemble.class_names),
        "domain": "" if ensemble.domain_ is None else ensemble.domain_.summary(),
        "members_sha256": [each.hexdigest() for each in configs],
    }
    records = [member.record_ for member in ensemble.members_]
    card = ensemble_card(config, records, ensemble.members_[0].intended_use)
    write_text(folder / "README.md", card)
    write_json(folder / CONFIG, config)
    return folder


def export_ensemble(ensemble: Ensemble, folder: Path) -> Path:
    """Write each member's network as ONNX beside its weights."""
    if not (folder / CONFIG).exists():
        save_ensemble(ensemble, folder)
    elif not is_ensemble(folder):
        raise UsageError("the folder holds another model", where=str(folder), code="RUN_EXISTS")
    for number, member in enumerate(ensemble.members_):
        member.export(member_folder(folder, number))
    return folder


def load_ensemble(
    cls: type[E], folder: Path, *, kind: type[Classifier] | None, device: str, engine: str
) -> E:
    """Read what :func:`save_ensemble` wrote, refusing anything else."""
    config = read_json(folder, CONFIG)
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise refused(folder, f"{CONFIG} does not say {FORMAT!r}")
    if config.get("version") != VERSION:
        raise refused(
            folder, f"its format has version {config.get('version')}, this reads {VERSION}"
        )
    try:
        parameters, hashes = dict(config["parameters"]), list(config["members_sha256"])
        threshold, temperature = float(config["threshold"]), float(config["temperature"])
        band = None if config["band"] is None else Band.from_dict(config["band"])
        unknown = set(parameters) - {"calibrate", "error_rate", "seed"}
    except (TypeError, ValueError, KeyError) as error:
        raise refused(folder, "its configuration is not what this version writes") from error
    if unknown or not np.isfinite([threshold, temperature]).all() or temperature <= 0:
        raise refused(folder, "its configuration is not what this version writes")
    if not 2 <= len(hashes) <= MOST_MEMBERS:
        raise refused(folder, f"it names {len(hashes)} members")
    members = []
    for number, expected in enumerate(hashes):
        path = member_folder(folder, number)
        try:
            found = hashlib.sha256((path / CONFIG).read_bytes()).hexdigest()
        except OSError as error:
            raise refused(folder, f"{path.name} cannot be read") from error
        if found != expected:
            raise refused(
                folder, f"{path.name} is damaged or of another ensemble: its hash differs"
            )
        members.append((kind or OPLLClassifier).load(path, device=device, engine=engine))
    settings = [member.preprocessor_.settings() for member in members]
    if any(each != settings[0] for each in settings):
        raise refused(folder, "its members have different preprocessing")
    ensemble = cls(members=members, **parameters)
    ensemble._take(members)
    ensemble.threshold_ = threshold
    ensemble.temperature_ = temperature
    ensemble.band_ = band
    return ensemble


def is_ensemble(folder: Path) -> bool:
    """Return whether a folder says that it holds an ensemble."""
    config = read_json(folder, CONFIG)
    return isinstance(config, dict) and config.get("format") == FORMAT


def load_model(
    folder: str | Path, *, device: str = "auto", engine: str = "torch"
) -> OPLLClassifier | Ensemble:
    """Read a model of the OPLL task, whether one classifier or an ensemble.

    Raises
    ------
    ModelFormatError
        The folder is foreign, incomplete or damaged.
    """
    from cervispine.classification.ensemble import Ensemble

    if is_ensemble(Path(folder)):
        return Ensemble.load(folder, device=device, engine=engine)
    return OPLLClassifier.load(folder, device=device, engine=engine)
