"""Headers are values: what is saved of a file comes back as it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cervispine.loading import Limits
from cervispine.loading.headers import Header, read_headers


@pytest.mark.parametrize("elements", [{}, {"PixelSpacing": None}, {"ImageType": ["DERIVED"]}])
def test_headers_survive_json(tmp_path: Path, Series: Any, elements: dict[str, Any]) -> None:
    path = Series(elements=elements).write(tmp_path)[0]
    headers = read_headers(path, Limits())
    assert isinstance(headers, tuple)
    (header,) = headers
    assert (header.fault is not None) == bool(elements)
    text = json.dumps(header.to_values(), allow_nan=False)
    assert str(tmp_path) not in text
    assert Header.from_values(json.loads(text), path) == header


def test_values_of_another_version_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        Header.from_values({"rows": 3, "nonsense": 1}, tmp_path)
