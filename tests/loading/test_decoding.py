"""Equal pixels whatever the transfer syntax, and which package decoded them."""

from __future__ import annotations

import base64
import importlib.metadata
import io
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pydicom
import pytest
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID

from cervispine.exceptions import DecoderMissingError, LoadError
from cervispine.loading import Loader
from cervispine.loading.decoders import DECODERS, missing_decoder

JPEG = "1.2.840.10008.1.2.4."

#: Each syntax with an encoder: native, RLE, JPEG lossless, JPEG-LS, JPEG 2000, and their package.
LOSSLESS = {
    "1.2.840.10008.1.2": "numpy",
    "1.2.840.10008.1.2.1": "numpy",
    "1.2.840.10008.1.2.1.99": "pydicom",
    "1.2.840.10008.1.2.2": "pydicom",
    "1.2.840.10008.1.2.5": "pylibjpeg-rle",
    f"{JPEG}57": "python-gdcm",
    f"{JPEG}70": "python-gdcm",
    f"{JPEG}80": "pyjpegls",
    f"{JPEG}90": "pylibjpeg-openjpeg",
}
BY_GDCM = {f"{JPEG}57": "JPEGLosslessProcess14", f"{JPEG}70": "JPEGLosslessProcess14_1"}


def by_gdcm(path: Path, syntax: str) -> None:
    """Encode the pixels of a file again by GDCM, which alone writes JPEG Lossless."""
    gdcm = pytest.importorskip("gdcm")
    dataset = pydicom.dcmread(path)
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, BY_GDCM[syntax])))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    # GDCM rewrites the header as well, which is not what is tested.
    dataset.PixelData = pydicom.dcmread(path).PixelData
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    dataset.save_as(path, enforce_file_format=True)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [12, 16])
def test_one_image_in_every_lossless_syntax(
    tmp_path: Path, Series: Any, signed: bool, bits: int
) -> None:
    base = Series(
        shape=(3, 32, 40),
        bits=bits,
        signed=signed,
        slopes=(0.5, 1, 2),
        intercepts=(1400 * signed,) * 3,
    )
    volumes = {}
    for syntax, package in LOSSLESS.items():
        folder = tmp_path / syntax
        paths = attrs.evolve(
            base, syntax="1.2.840.10008.1.2.1" if syntax in BY_GDCM else syntax
        ).write(folder)
        if syntax in BY_GDCM:
            for path in paths:
                by_gdcm(path, syntax)
        cohort = Loader(on_problem="raise").index(folder)
        assert cohort[0].series[0].transfer_syntaxes == (syntax,)
        assert [problem.code for problem in cohort.intake.problems] == []  # type: ignore[union-attr]
        volumes[syntax] = volume = Loader().read(cohort[0])
        assert f"decoded by {package} {importlib.metadata.version(package)}" in volume.history[0]
    first, *others = volumes.values()
    assert first.pixels.std() > 1
    for syntax, volume in volumes.items():
        assert np.array_equal(volume.pixels, first.pixels), syntax
        assert np.array_equal(volume.affine, first.affine)
        assert volume.pixels.dtype == np.float32
    assert len(others) == len(LOSSLESS) - 1


#: A ramp of 40 x 32 as a lossless HTJ2K codestream, made with imagecodecs 2026.3.6 (OpenJPH); no
#: package of the test environment encodes it.
HTJ2K = (
    "/0//UQApQAAAAAAgAAAAKAAAAAAAAAAAAAAAIAAAACgAAAAAAAAAAAABDwEB/1AACAACAAAACv9SAAwAAgABAAUEBE"
    "AB/1wAEyCIkJCQkJCQkJCQkJCQiIiI/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv+QAAoAAAAAAMsAAf+TwAAqAEn/"
    "SesFC3QAwAATQAASgJAhAYt0AOkAB3QAwAAVMAAEwEgk8gBCMQJ2AGn6AANUAMAAFXAABViiKIrisCI6cIJ3AFChQo"
    "X66DGBvrYAwAAWhAABaYAQQgghhBD+5+p6enpwAnkApCQSiUQikf7+wAhAe/YhAey7AMAALZgABdAARERERERERERE"
    "RPn/AKenp6enp6enp8J/AEgEQRAEQRAEQRAEQf7/emBCB79hCB79hCB79hCB7LMB/9k="
)
RAMP = np.add.outer(37 * np.arange(40), 11 * np.arange(32)) % 3000


@pytest.mark.parametrize(("number", "lossy"), [(201, False), (202, False), (203, True)])
def test_high_throughput_jpeg_2000(tmp_path: Path, Series: Any, number: int, lossy: bool) -> None:
    series = Series(shape=(3, 40, 32))
    for index in range(3):
        dataset = series.dataset(index)
        dataset.PixelData = encapsulate([base64.b64decode(HTJ2K)])
        dataset["PixelData"].VR = "OB"
        dataset.file_meta.TransferSyntaxUID = UID(f"{JPEG}{number}")
        dataset.save_as(tmp_path / f"{index}.dcm", enforce_file_format=True)
    cohort = Loader(on_problem="raise").index(tmp_path)
    noted = [problem.code for problem in cohort.intake.problems]  # type: ignore[union-attr]
    assert noted == ["LOSSY_COMPRESSION"] * lossy
    volume = Loader().read(cohort[0])
    assert np.array_equal(volume.pixels, np.stack([RAMP] * 3))
    assert "decoded by pylibjpeg-openjpeg" in volume.history[0]


def near(index: int, dataset: Dataset) -> None:
    dataset.compress(f"{JPEG}81", jls_error=2, generate_instance_uid=False)


def jpeg_2000(index: int, dataset: Dataset) -> None:
    dataset.compress(f"{JPEG}91", j2k_psnr=[110], generate_instance_uid=False)


def baseline(index: int, dataset: Dataset) -> None:
    image = pytest.importorskip("PIL.Image")
    stored = dataset.pixel_array
    stored = np.round(stored / 257).astype(np.uint8)
    file = io.BytesIO()
    image.fromarray(stored).save(file, format="jpeg", quality=95)
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    dataset.PixelData = encapsulate([file.getvalue()])
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = UID(f"{JPEG}50")


LOSSY = {
    "near-lossless JPEG-LS": (near, "pyjpegls", 2.5),
    "JPEG 2000": (jpeg_2000, "pylibjpeg-openjpeg", 3),
    "JPEG baseline": (baseline, "pillow", 4),
}


@pytest.mark.parametrize("name", LOSSY)
def test_loss_is_noted_and_the_image_read(tmp_path: Path, Series: Any, name: str) -> None:
    change, package, allowed = LOSSY[name]
    series = Series(shape=(3, 48, 48))
    series.write(tmp_path / "first")
    first = Loader().read(Loader().index(tmp_path / "first")[0])
    for index in range(3):
        dataset = series.dataset(index)
        change(index, dataset)
        (tmp_path / "lossy").mkdir(exist_ok=True)
        dataset.save_as(tmp_path / "lossy" / f"{index}.dcm", enforce_file_format=True)
    cohort = Loader(on_problem="raise").index(tmp_path / "lossy")
    intake = cohort.intake
    assert intake is not None
    assert [(p.code, p.fate, p.files) for p in intake.problems] == [
        ("LOSSY_COMPRESSION", "noted", 3)
    ]
    volume = Loader().read(cohort[0])
    assert package in volume.history[0]
    ours, theirs = (v.pixels - v.pixels.min() for v in (volume, first))
    if name == "JPEG baseline":
        theirs = theirs / 257
    assert np.abs(ours - theirs).max() <= allowed
    assert not np.array_equal(ours, theirs)


def test_loss_of_the_past_is_noted(tmp_path: Path, Series: Any, check: Any) -> None:
    elements = {"LossyImageCompression": "01", "ImageType": ["DERIVED", "PRIMARY", "M", "NONE"]}
    Series(elements=elements).write(tmp_path)
    cohort = Loader(on_problem="raise").index(tmp_path)
    check(cohort, "LOSSY_COMPRESSION", "noted", 5)
    check(cohort, "PROCESSED_IMAGE", "noted", 5)


def test_every_compressed_syntax_has_one_decoder() -> None:
    numbers = (50, 51, 57, 70, 80, 81, 90, 91, 201, 202, 203)
    assert set(DECODERS) == {"1.2.840.10008.1.2.5", *(f"{JPEG}{number}" for number in numbers)}
    missing = {syntax for syntax in DECODERS if missing_decoder(syntax) is not None}
    assert missing <= {f"{JPEG}51"}, "JPEG Extended alone needs a package that is not ours to bring"


def test_twelve_bit_jpeg_is_told_at_indexing_with_one_command(tmp_path: Path, Series: Any) -> None:
    """GDCM and Pillow claim the syntax and fail at 12 bits: that must not come up when reading."""
    if missing_decoder(f"{JPEG}51") is None:
        pytest.skip("pylibjpeg-libjpeg is installed")
    for path in Series(syntax=f"{JPEG}80", shape=(3, 40, 40)).write(tmp_path):
        dataset = pydicom.dcmread(path)
        dataset.file_meta.TransferSyntaxUID = UID(f"{JPEG}51")
        dataset.save_as(path, enforce_file_format=True)
    with pytest.raises(DecoderMissingError, match=r"3 files in JPEG Extended") as caught:
        Loader().index(tmp_path)
    assert caught.value.advice == "pip install pylibjpeg-libjpeg"


def test_a_stream_of_another_image_is_refused(tmp_path: Path, Series: Any) -> None:
    # The stream holds 48 rows where the header says 40: decoders believe the stream.
    large, small = Series(shape=(3, 48, 40)), Series(shape=(3, 40, 40))
    for index in range(3):
        dataset = small.dataset(index)
        other = large.dataset(index)
        for each in (dataset, other):
            each.compress(f"{JPEG}80", generate_instance_uid=False)
        dataset.PixelData = other.PixelData
        dataset.save_as(tmp_path / f"{index}.dcm", enforce_file_format=True)
    with pytest.raises(LoadError) as caught:
        Loader(on_problem="raise").index(tmp_path)
    assert caught.value.code == "PIXELS_INVALID"
