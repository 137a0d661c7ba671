"""A fitted classifier to a folder and back: safetensors and JSON, nothing unpickled."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from cervispine.backbones import find_backbone
from cervispine.classification.abstention import Band
from cervispine.classification.card import model_card
from cervispine.classification.domain import Domain
from cervispine.classification.engines import ENGINES
from cervispine.classification.exporting import EXPORT, NETWORK, choose_engine, export_network
from cervispine.classification.hardware import choose_device
from cervispine.classification.memory import TrainedOn
from cervispine.classification.networks import build_network
from cervispine.classification.parameters import check_parameters
from cervispine.exceptions import (
    BackboneNotFoundError,
    LoaderNotFoundError,
    ModelFormatError,
    ProvenanceWarning,
    UsageError,
)
from cervispine.loading.registry import find_loader
from cervispine.preprocessing import Preprocessor
from cervispine.records.files import make_folder, write_bytes, write_json, write_text

if TYPE_CHECKING:
    from cervispine.classification.estimator import Classifier

C = TypeVar("C", bound="Classifier")

__all__ = [
    "export_classifier",
    "load_classifier",
    "read_json",
    "refused",
    "save_classifier",
    "save_test",
]

FORMAT = "cervispine/model"
VERSION = 3
#: Models of version 1 have neither band nor domain; those of versions 1 and 2 no offset.
READABLE = (1, 2, 3)
WEIGHTS = "model.safetensors"
CONFIG = "config.json"
TRAINED_ON = "trained_on.json"
HISTORY = "training.json"
HISTORY_TABLE = "history.csv"
TESTED = "tested.json"
TESTED_FORMAT = "cervispine/tested"
TESTED_VERSION = 1
CARD = "README.md"
DOMAIN = "domain.json"

#: What a record says of the backbone, without which it is not known what to look for.
BACKBONE = ("backbone", "backbone_distribution", "backbone_version")

#: No configuration that cervispine writes comes near this many bytes.
LARGEST_CONFIG = 1_000_000


def save_classifier(classifier: Classifier, folder: Path) -> Path:
    """Write weights, configuration, training history and model card; the configuration last."""
    make_folder(folder)
    weights = _weights_of(classifier)
    write_bytes(folder / WEIGHTS, weights)
    write_json(folder / HISTORY, {"epochs": list(classifier.history_)})
    write_text(folder / HISTORY_TABLE, _table(classifier.history_))
    trained_on = json.dumps(classifier.trained_on_.to_dict(), indent=1).encode()
    write_bytes(folder / TRAINED_ON, trained_on)
    domain = None if classifier.domain_ is None else classifier.domain_.to_dict()
    domain_content = json.dumps(domain, indent=1).encode()
    write_bytes(folder / DOMAIN, domain_content)
    config = {
        "format": FORMAT,
        "version": VERSION,
        "class": type(classifier).__name__,
        "class_names": list(classifier.class_names),
        "intended_use": classifier.intended_use,
        "parameters": classifier.parameters_,
        "preprocessing": classifier.preprocessor_.settings(),
        "threshold": classifier.threshold_,
        "offset": classifier.offset_,
        "temperature": classifier.temperature_,
        "band": None if classifier.band_ is None else classifier.band_.to_dict(),
        "record": classifier.record_,
        "domain": "" if classifier.domain_ is None else classifier.domain_.summary(),
        "domain_sha256": hashlib.sha256(domain_content).hexdigest(),
        "trained_on_sha256": hashlib.sha256(trained_on).hexdigest(),
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
    }
    # A test, and an export, were of the weights that were there before.
    for name in (TESTED, EXPORT, NETWORK):
        (folder / name).unlink(missing_ok=True)
    write_text(folder / CARD, model_card(config, classifier.history_))
    write_json(folder / CONFIG, config)
    return folder


def _table(history: Sequence[Mapping[str, float]]) -> str:
    """Return a history as CSV, a row an epoch; of older models without the learning rate."""
    names = list(history[0])
    rows = [",".join(f"{epoch[name]:.10g}" for name in names) for epoch in history]
    return "\n".join([",".join(names), *rows]) + "\n"


def _weights_of(classifier: Classifier) -> bytes:
    from safetensors.torch import save

    return save(
        {
            name: value.detach().cpu().contiguous()
            for name, value in classifier.module_.state_dict().items()
        }
    )


def export_classifier(classifier: Classifier, folder: Path) -> Path:
    """Write the network as ONNX beside the weights it was made from."""
    weights_sha256 = hashlib.sha256(_weights_of(classifier)).hexdigest()
    if not (folder / CONFIG).exists():
        save_classifier(classifier, folder)
    elif _read_config(folder)["weights_sha256"] != weights_sha256:
        raise UsageError("the folder holds another model", where=str(folder), code="RUN_EXISTS")
    return export_network(classifier, folder, weights_sha256)


def save_test(folder: str | Path, tested: Mapping[str, Any]) -> None:
    """Write the figures of a test beside a saved model, and its model card anew with them.

    Parameters
    ----------
    folder
        Of the model.
    tested
        ``figures`` of the model by name (``auc``, ``sensitivity`` ...), each an estimate as
        :meth:`Estimate.to_dict` gives it; ``strata``: its figures by level; ``participants``: who
        was in the test part, as :func:`~cervispine.records.describing.describe` gives it;
        ``intake``: what became of the files; ``data_sha256`` and ``split_sha256`` of the run.

    Raises
    ------
    ModelFormatError
        The folder does not hold a model.
    ResourceError
        When the folder cannot be written.
    """
    folder = Path(folder)
    config, history = _read_config(folder), _read_history(folder)
    write_json(folder / TESTED, {"format": TESTED_FORMAT, "version": TESTED_VERSION, **tested})
    write_text(folder / CARD, model_card(config, history, tested))


def load_classifier(kind: type[C], folder: Path, *, device: str, engine: str) -> C:
    """Read what :func:`save_classifier` wrote, refusing anything else."""
    if engine not in ENGINES:
        raise UsageError(f"engine is one of {', '.join(ENGINES)}, not {engine!r}")
    config = _read_config(folder)
    if config["class"] != kind.__name__:
        raise refused(folder, f"it holds a {config['class']}, not a {kind.__name__}")
    try:
        preprocessor = Preprocessor.from_settings(config["preprocessing"])
        # A clone of it is to be trained on the same images.
        classifier = kind(**config["parameters"], preprocessor=preprocessor)
        check_parameters(classifier)
        record, class_names = dict(config["record"]), tuple(config["class_names"])
        threshold, temperature = float(config["threshold"]), float(config["temperature"])
        offset = float(config.get("offset", 0))
        band = None if config.get("band") is None else Band.from_dict(config["band"])
        made_with = [record[name] for name in BACKBONE]
    except (AttributeError, TypeError, ValueError, KeyError, UsageError) as error:
        raise refused(folder, "its configuration is not what this version writes") from error
    if not all(isinstance(each, str) for each in made_with):
        raise refused(folder, "its record does not say by which backbone it was made")
    if class_names != classifier.class_names:
        raise refused(folder, "its classes are not those of this class")
    if not np.isfinite([threshold, offset, temperature]).all() or temperature <= 0:
        raise refused(folder, "its threshold, offset or temperature cannot be meant")
    _compare_backbone(record)
    _compare_loader(config["preprocessing"], preprocessor)
    network = build_network(classifier, preprocessor)
    network.load_state_dict(_read_weights(folder, config, network.state_dict()))
    classifier.device_ = choose_device(device)
    classifier.module_ = network.to(classifier.device_).eval()
    classifier.preprocessor_ = preprocessor
    classifier.parameters_ = dict(config["parameters"])
    classifier.threshold_ = threshold
    classifier.offset_ = offset
    classifier.temperature_ = temperature
    classifier.band_ = band
    classifier.classes_ = np.array([0, 1])
    classifier.history_ = _read_history(folder)
    classifier.record_ = record
    classifier.trained_on_ = _read_trained_on(folder, config)
    classifier.domain_ = _read_domain(folder, config)
    chosen = choose_engine(classifier, folder, engine, config["weights_sha256"])
    if chosen is not None:
        classifier.engine_ = chosen
    return classifier


def refused(folder: Path, reason: str) -> ModelFormatError:
    """Return the error that refuses a model folder."""
    advice = "give a folder that Classifier.save wrote with a version of cervispine like this"
    if (folder / "models").is_dir():
        advice = "this is the folder of a run: its models lie in the folders of models/"
    return ModelFormatError(
        f"this is not a model that can be loaded: {reason}", where=str(folder), advice=advice
    )


def read_json(folder: Path, name: str) -> Any:
    """Read a JSON file of a model folder, of no more bytes than cervispine writes."""
    path = folder / name
    try:
        if path.stat().st_size > LARGEST_CONFIG:
            raise refused(folder, f"{name} is larger than any that cervispine writes")
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise refused(folder, f"{name} cannot be read") from error


def _read_config(folder: Path) -> dict[str, Any]:
    config = read_json(folder, CONFIG)
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        held = config.get("format") if isinstance(config, dict) else None
        raise refused(
            folder,
            "it holds an ensemble, which Ensemble.load reads"
            if held == "cervispine/ensemble"
            else f"{CONFIG} does not say {FORMAT!r}",
        )
    if config.get("version") not in READABLE:
        raise refused(
            folder, f"its format has version {config.get('version')}, this reads up to {VERSION}"
        )
    needed = {"class", "parameters", "preprocessing", "record"}
    needed |= {"weights_sha256", "trained_on_sha256"}
    if config["version"] > 1:
        needed |= {"band", "domain_sha256"}
    if config["version"] > 2:
        needed |= {"offset"}
    missing = needed - set(config)
    if missing:
        raise refused(folder, f"{CONFIG} lacks {sorted(missing)}")
    return config


def _read_history(folder: Path) -> tuple[dict[str, float], ...]:
    try:
        return tuple(dict(epoch) for epoch in read_json(folder, HISTORY)["epochs"])
    except (TypeError, ValueError, KeyError) as error:
        raise refused(folder, f"{HISTORY} is not what cervispine writes") from error


def _read_trained_on(folder: Path, config: dict[str, Any]) -> TrainedOn:
    content = _read_hashed(folder, TRAINED_ON, config["trained_on_sha256"])
    try:
        return TrainedOn.from_dict(json.loads(content))
    except (TypeError, ValueError, KeyError, RecursionError) as error:
        raise refused(folder, f"{TRAINED_ON} is not what cervispine writes") from error


def _read_domain(folder: Path, config: dict[str, Any]) -> Domain | None:
    if config["version"] == 1:
        return None
    content = _read_hashed(folder, DOMAIN, config["domain_sha256"])
    try:
        held = json.loads(content)
        return None if held is None else Domain.from_dict(held)
    except (TypeError, ValueError, KeyError, AttributeError, RecursionError) as error:
        raise refused(folder, f"{DOMAIN} is not what cervispine writes") from error


def _read_hashed(folder: Path, name: str, expected: str) -> bytes:
    try:
        content = (folder / name).read_bytes()
    except OSError as error:
        raise refused(folder, f"{name} cannot be read") from error
    if hashlib.sha256(content).hexdigest() != expected:
        raise refused(folder, f"{name} is damaged or of another model: its hash differs")
    return content


def _read_weights(folder: Path, config: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    content = _read_hashed(folder, WEIGHTS, config["weights_sha256"])
    try:
        weights = load(content)
    except (SafetensorError, ValueError) as error:
        raise refused(folder, f"{WEIGHTS} is not a safetensors file") from error
    if {name: value.shape for name, value in weights.items()} != {
        name: value.shape for name, value in expected.items()
    }:
        raise refused(folder, "its weights do not fit the backbone")
    if not all(value.isfinite().all() for value in weights.values()):
        raise refused(folder, "its weights are not all finite")
    return weights


def _compare_backbone(record: dict[str, Any]) -> None:
    made_with = (record["backbone_distribution"], record["backbone_version"])
    try:
        backbone = find_backbone(record["backbone"])
    except BackboneNotFoundError as error:
        if error.code != BackboneNotFoundError.code:
            raise
        raise BackboneNotFoundError(
            error.what,
            where=error.where,
            advice=f"the model was made with that of {' '.join(made_with)}: install it",
        ) from error
    if (backbone.distribution, backbone.version) != made_with:
        warnings.warn(
            f"the model was made with the backbone of {' '.join(made_with)}; installed is "
            f"{backbone.distribution} {backbone.version}",
            ProvenanceWarning,
            stacklevel=4,
        )


def _compare_loader(saved: Mapping[str, Any], preprocessor: Preprocessor) -> None:
    """Refuse a loader that is not installed, and warn of one that cannot be had as it was."""
    loader = saved.get("loader")
    if isinstance(preprocessor.loader, str):
        try:
            find_loader(preprocessor.loader)
        except LoaderNotFoundError as error:
            if error.code != LoaderNotFoundError.code:
                raise
            raise LoaderNotFoundError(
                error.what,
                where=error.where,
                advice=f"the model was made with {loader}: install it",
            ) from error
    now = preprocessor.settings().get("loader", "the loader that each series names")
    if loader is not None and loader != now:
        warnings.warn(
            f"the model was trained on images read by {loader}; others will be read by {now}. "
            "Where that loader was an object, give it again: model.preprocessor_.loader = ...",
            ProvenanceWarning,
            stacklevel=4,
        )
