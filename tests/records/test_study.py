"""Series, Study and Volume are frozen, name nobody, and travel between processes whole."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest

from cervispine import Series, Study, Volume
from cervispine.exceptions import AmbiguousSeriesError, PixelError
from cervispine.records.arrays import read_only

Make = Callable[..., Any]
FROZEN = attrs.exceptions.FrozenInstanceError


def volume(**more: Any) -> Volume:
    usual = {"pixels": np.arange(24).reshape(2, 3, 4), "affine": np.diag([3.0, 0.9, 0.6, 1.0])}
    return Volume(**(usual | more))


def test_mappings_are_read_only_copies(series: Make, study: Make) -> None:
    given = {"site": "A"}
    for held in (series(protocol=given).protocol, study(attributes=given).attributes):
        given["site"] = "B"
        assert dict(held) == {"site": "A"}
        with pytest.raises(TypeError):
            held["site"] = "B"
        given["site"] = "A"


def test_series_and_study_are_frozen_values(series: Make, study: Make) -> None:
    one, other = series(protocol={"TE": 100}), series(protocol={"TE": 80})
    assert one == series(protocol={"TE": 100})
    assert one != other
    assert {one, series(protocol={"TE": 100})} == {one}
    assert study(label=1) == study(label=1) != study(label=0)
    assert hash(study(attributes={"a": 1})) == hash(study(attributes={"a": 1}))
    with pytest.raises(FROZEN):
        one.uid = "1"
    with pytest.raises(FROZEN):
        study().label = 1


def pickled(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, pickled])
def test_a_copy_is_equal_and_as_frozen(
    study: Make, series: Make, again: Callable[[Any], Any]
) -> None:
    made = study(series=(series(protocol={"TE": 100}),), label=1, attributes={"site": "A"})
    twin = again(made)
    assert isinstance(twin, Study)
    assert isinstance(twin.series[0], Series)
    assert twin == made
    with pytest.raises(TypeError):
        twin.attributes["site"] = "B"
    with pytest.raises(TypeError):
        twin.series[0].protocol["TE"] = 80
    with pytest.raises(FROZEN):
        twin.label = 0


def test_neither_repr_nor_error_names_the_patient(study: Make, series: Make) -> None:
    made = study(series=(series(),), attributes={"name": "canary"})
    with pytest.raises(AmbiguousSeriesError) as caught:
        made.one_series("T1")
    for text in (repr(made), str(made), str(caught.value), repr(caught.value)):
        assert "canary" not in text
    assert "1.2.3" in str(caught.value)


def test_one_series_is_found_and_nothing_is_guessed(study: Make, series: Make) -> None:
    first = series(uid="1")
    t1 = series(uid="2", sequence="T1")
    assert study(series=(first, t1)).one_series("T2") is first
    for held, code in (((t1,), "SERIES_MISSING"), ((first, series(uid="3")), "SERIES_MIXED")):
        with pytest.raises(AmbiguousSeriesError) as caught:
            study(series=held).one_series("T2")
        assert caught.value.code == code


def test_a_volume_has_float_arrays_that_cannot_be_written() -> None:
    affine = np.diag([3, 1, 1, 1])
    made = volume(affine=affine)
    assert made.pixels.dtype == np.float32
    assert made.affine.dtype == np.float64
    for array in (made.pixels, made.affine):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    affine[0, 0] = 5
    assert made.affine[0, 0] == 3
    with pytest.raises(FROZEN):
        made.sequence = "T2"  # type: ignore[misc]


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_volume_leaves_the_array_it_was_given_alone_and_does_not_follow_it(kind: type) -> None:
    whole = np.arange(60, dtype=kind).reshape(5, 3, 4)
    for given in (whole, whole[1:3], whole.transpose(2, 1, 0), whole[::-1]):
        made = volume(pixels=given)
        before = made.pixels.copy()
        assert given.flags.writeable
        given[...] = given + 100
        np.testing.assert_array_equal(made.pixels, before)


def test_a_read_only_view_of_an_array_that_can_be_written_is_copied() -> None:
    whole = np.zeros((5, 3, 4), dtype=np.float32)
    view = whole[1:3]
    view.flags.writeable = False
    made = volume(pixels=view)
    whole[1] = 7
    assert made.pixels.max() == 0


def test_a_mapped_file_is_copied(tmp_path: Path) -> None:
    np.save(tmp_path / "pixels.npy", np.zeros((2, 3, 4), dtype=np.float32))
    made = volume(pixels=np.load(tmp_path / "pixels.npy", mmap_mode="r"))
    np.save(tmp_path / "pixels.npy", np.ones((2, 3, 4), dtype=np.float32))
    assert made.pixels.max() == 0


def test_what_nobody_can_write_to_is_not_copied() -> None:
    pixels = read_only(np.zeros((5, 3, 4), dtype=np.float32))
    made = volume(pixels=pixels)
    assert made.pixels is pixels
    for part in (pixels[1:3], pixels[::-1].transpose(2, 0, 1)):
        assert np.shares_memory(made.with_step("cut", pixels=part).pixels, pixels)


def test_a_volume_from_another_process_cannot_be_written_either() -> None:
    made = volume(sequence="T2", history=("read",))
    twin = pickle.loads(pickle.dumps(made))
    np.testing.assert_array_equal(twin.pixels, made.pixels)
    np.testing.assert_array_equal(twin.affine, made.affine)
    assert (twin.sequence, twin.history) == ("T2", ("read",))
    for array in (twin.pixels, twin.affine):
        assert not array.flags.writeable


@pytest.mark.parametrize("shape", [(3, 4), (1, 2, 3, 4), (0, 3, 4), (2, 0, 4), ()], ids=str)
def test_pixels_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(PixelError, match="slices, rows and columns") as caught:
        volume(pixels=np.zeros(shape))
    assert caught.value.code == "PIXELS_INVALID"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_not_finite_are_refused(value: float) -> None:
    pixels = np.zeros((2, 3, 4))
    pixels[1, 2, 3] = value
    with pytest.raises(PixelError) as caught:
        volume(pixels=pixels)
    assert caught.value.code == "IMAGE_DEGENERATE"
    with pytest.raises(PixelError):
        volume().with_step("made a fault", pixels=pixels)


def test_spacing_is_measured_along_each_axis() -> None:
    turn = np.array([[0.0, 0.6, 0.8], [1.0, 0.0, 0.0], [0.0, 0.8, -0.6]])
    affine = np.eye(4)
    affine[:3, :3] = turn * [3.3, 0.9, 0.6]
    affine[:3, 3] = [100, -50, 7]
    assert volume(affine=affine).spacing == pytest.approx((3.3, 0.9, 0.6))


def test_a_step_leaves_the_volume_before_it_alone() -> None:
    before = volume(sequence="T2", history=("read",))
    after = before.with_step("halved", pixels=before.pixels / 2)
    assert (before.history, after.history) == (("read",), ("read", "halved"))
    assert before.pixels[1, 2, 3] == 23
    assert after.pixels[1, 2, 3] == 11.5
    assert after.sequence == "T2"
    np.testing.assert_array_equal(after.affine, before.affine)
    moved = before.with_step("moved", pixels=before.pixels, affine=2 * np.eye(4))
    assert moved.spacing == (2, 2, 2)


def test_files_are_paths_however_they_were_given(series: Make) -> None:
    texts = ("a/1", "a/2")
    one, other = series(files=texts), series(files=tuple(map(Path, texts)))
    assert one == other
    assert one.files == other.files == (Path("a/1"), Path("a/2"))
    # What is worked out once is no part of the value, nor of what travels.
    assert pickle.loads(pickle.dumps(one)) == attrs.evolve(one) == other
    assert attrs.evolve(one, files=("b",)).files == (Path("b"),)
