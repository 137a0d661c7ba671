"""Images from a DICOMweb archive as a loader for cervispine.

QIDO-RS finds the studies, WADO-RS gives their metadata and then the files that may be wanted; what
they are worth is left to the loader of DICOM, so that an image from an archive is checked as
strictly as one from a folder.
"""

import atexit
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import attrs
from dicomweb_client import DICOMwebClient

from cervispine import Cohort, Loader, Series, Study, Volume
from cervispine.exceptions import LoadError, NoDicomError, NoImagesError, UsageError
from cervispine.loading.geometry import plane_of
from cervispine.loading.parsing import quiet_pydicom
from cervispine.records import Problem

#: Tags of what is looked at in DICOM JSON.
STUDY, SERIES, INSTANCE, ORIENTATION = "0020000D", "0020000E", "00080018", "00200037"

#: Hosts that a token may be sent to without encryption.
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@attrs.frozen
class RemoteSeries:
    """A series as the archive describes it: its UIDs, and the metadata of its instances."""

    study: str
    uid: str
    instances: list[dict[str, Any]]

    def may_be(self, plane: str) -> bool:
        """Say whether the files are worth fetching: in doubt they are."""
        orientations = [each.get(ORIENTATION, {}).get("Value", []) for each in self.instances]
        return any(len(each) != 6 or plane_of(each) == plane for each in orientations)


@attrs.define(kw_only=True)
class DicomwebLoader:
    """Index and read the studies of a DICOMweb archive.

    Parameters
    ----------
    sequences, plane
        As for `cervispine.Loader`.
    folder
        Where fetched files are kept, private to you; without it, DICOMWEB_FOLDER of the
        environment, else a temporary folder that ends with the process. Names in it are hashes.
    token
        A bearer token; without it, DICOMWEB_TOKEN of the environment.
    timeout
        Seconds that the archive may be silent.
    """

    sequences: Sequence[str] = ("T2",)
    plane: str = "sagittal"
    folder: str | os.PathLike[str] | None = None
    token: str | None = attrs.field(default=None, repr=False)
    timeout: float = 60.0

    def index(
        self, source: str | Path, /, *, progress: Callable[[int, int], None] | None = None
    ) -> Cohort:
        """Find the studies behind a URL, whose query QIDO-RS is asked with.

        ``https://archive/dicom-web?StudyDescription=HWS&StudyDate=20240101-20241231``.
        """
        url, filters = _service(str(source))
        client = self._client(url)
        # pydicom's warnings, and so those of the client, quote values of headers.
        with quiet_pydicom(), _one_kind_of_failure("the archive cannot be searched"):
            found = list(_search(client, filters))
        wanted = [series for series in found if series.may_be(self.plane)]
        problems = [
            _problem(series, "PLANE_OTHER", f"not {self.plane}", "ignored")
            for series in found
            if not series.may_be(self.plane)
        ]
        total = sum(len(series.instances) for series in wanted)
        done, folders = 0, []
        for series in wanted:
            folder = self._folder() / _hash(url, series.uid)
            try:
                with quiet_pydicom(), _one_kind_of_failure("files cannot be fetched"):
                    _fetch(client, series, folder)
                folders.append(folder)
            except LoadError as error:
                # Half a series would be taken for a whole one.
                problems.append(_problem(series, error.code, error.what, "rejected"))
            done += len(series.instances)
            if progress is not None:
                progress(done, total)
        return self._with_rest(folders, problems)

    def read(
        self, study: Study | Series, sequence: str = "T2", *, slices: Sequence[int] | None = None
    ) -> Volume:
        """Read what was fetched, as `cervispine.Loader` does."""
        return self._loader().read(study, sequence, slices=slices)

    def _loader(self) -> Loader:
        return Loader(sequences=self.sequences, plane=self.plane)

    def _with_rest(self, folders: list[Path], problems: list[Problem]) -> Cohort:
        """Index what was fetched, and add what was not to the account."""
        listed = "; ".join(f"{each.files} files {each.code}: {each.reason}" for each in problems)
        try:
            if not folders:
                raise NoDicomError("the archive has nothing of what is wanted")
            cohort = self._loader().index(folders)
        except NoDicomError as error:
            advice = "widen the query of the URL"
            raise NoImagesError(f"{error.what}\n{listed}".strip(), advice=advice) from None
        assert cohort.intake is not None
        intake = attrs.evolve(
            cohort.intake,
            found=cohort.intake.found + sum(problem.files for problem in problems),
            problems=(*cohort.intake.problems, *problems),
        )
        return attrs.evolve(cohort, intake=intake)

    def _client(self, url: str) -> DICOMwebClient:
        token = self.token or os.environ.get("DICOMWEB_TOKEN")
        parts = urlsplit(url)
        if token and parts.scheme != "https" and parts.hostname not in LOOPBACK:
            raise UsageError("a token is not sent without encryption", advice="use https")
        headers = {"Authorization": f"Bearer {token}"} if token else None
        client = DICOMwebClient(url, headers=headers, timeout=self.timeout)
        # Its own default tries five times and waits half a minute.
        client.set_http_retry_params(max_attempts=3, wait_exponential_multiplier=200)
        return client

    def _folder(self) -> Path:
        if self.folder is None:
            self.folder = os.environ.get("DICOMWEB_FOLDER") or _temporary_folder()
        return Path(self.folder)


def _service(source: str) -> tuple[str, dict[str, str]]:
    """Return the URL of a service, and what its query asks for."""
    parts = urlsplit(source)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError("the source of this loader is a URL, https://archive/dicom-web")
    if parts.username or parts.password:
        raise UsageError("a URL with a password ends up in logs", advice="set DICOMWEB_TOKEN")
    url = urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))
    return url, {"ModalitiesInStudy": "MR", **dict(parse_qsl(parts.query))}


def _search(client: DICOMwebClient, filters: dict[str, str]) -> Iterator[RemoteSeries]:
    studies = partial(client.search_for_studies, search_filters=filters)
    for study in _every(studies, STUDY):
        of_study = partial(client.search_for_series, study, search_filters={"Modality": "MR"})
        for series in _every(of_study, SERIES):
            yield RemoteSeries(study, series, client.retrieve_series_metadata(study, series))


def _every(search: Callable[..., list[dict[str, Any]]], tag: str) -> list[str]:
    """Return the UIDs of all pages of an answer.

    An archive may cut an answer short, and need not heed the offset either: a page that brings
    nothing new is the end, or the same page would come for ever.
    """
    found: dict[str, None] = {}
    offset = 0
    while page := search(offset=offset):
        offset += len(page)
        known = len(found)
        found |= dict.fromkeys(each[tag]["Value"][0] for each in page)
        if len(found) == known:
            break
    return list(found)


def _fetch(client: DICOMwebClient, series: RemoteSeries, folder: Path) -> None:
    """Make a folder hold the files of a series and nothing else; those it has stay."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    expected = {}
    for instance in series.instances:
        uid = instance[INSTANCE]["Value"][0]
        # No text from elsewhere becomes a path.
        expected[folder / f"{_hash(uid)}.dcm"] = uid
    for path in set(folder.iterdir()) - set(expected):
        path.unlink()
    for path, uid in expected.items():
        if path.exists():
            continue
        dataset = client.retrieve_instance(series.study, series.uid, uid)
        if (dataset.SeriesInstanceUID, dataset.SOPInstanceUID) != (series.uid, uid):
            raise LoadError("the archive sent another file", code="DICOMWEB_FAILED")
        unfinished = path.with_suffix(".part")
        dataset.save_as(unfinished, enforce_file_format=True)
        unfinished.replace(path)


@contextmanager
def _one_kind_of_failure(what: str) -> Iterator[None]:
    """Turn what the client raises, which may quote a query, into an error that quotes nothing."""
    try:
        yield
    except LoadError:
        raise
    except Exception as error:
        response = getattr(error, "response", None)
        status = f" {response.status_code}" if response is not None else ""
        raise LoadError(
            f"{what}: {type(error).__name__}{status}",
            where="the DICOMweb archive",
            advice="look at its address, your permission and its log",
            code="DICOMWEB_FAILED",
        ) from None


def _problem(series: RemoteSeries, code: str, reason: str, fate: Any) -> Problem:
    files = len(series.instances)
    return Problem(code=code, reason=reason, item=series.uid, fate=fate, files=files)


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _temporary_folder() -> str:
    folder = tempfile.mkdtemp(prefix="cervispine-dicomweb-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
