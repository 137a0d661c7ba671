"""Tables and leakage against independent oracles: wrong joins, leaked groups, look-alikes.

    python benchmarks/tables_campaign.py [--tables 20000] [--cohorts 5000] [--phantoms 200]

C5 writes tables in the dialects of spreadsheets with the faults that people make, and compares what
`Cohort.with_labels` and `read_scores` make of them with an oracle that never sees the file.
C6 links studies by the four identities and compares `split` and `leakage` with union-find.
The last part measures how alike changed copies of phantoms are, and phantoms of two patients.
The tests run a few hundred cases of C5 and C6 by hypothesis.
"""

from __future__ import annotations

import argparse
import codecs
import random
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from cervispine import Cohort, Loader, Phantom, Series, Study
from cervispine.evaluation import read_scores
from cervispine.exceptions import CervispineError, LabelError, UsageError
from cervispine.records import Geometry
from cervispine.records.identity import ALIKE, appearance_of

LABELS = ("OPLL", "DSS")
DELIMITERS = (",", ";", "\t")
NEWLINES = ("\n", "\r\n", "\r")
TEXTS = ("", "A", "東京", "two\nlines", 'a "b"', "x;y,z", "tab\there", "é", "0,5", "=1+1")
ENCODINGS: dict[str, Callable[[str], bytes]] = {
    "utf-8": lambda text: text.encode(),
    "utf-8-sig": lambda text: text.encode("utf-8-sig"),
    "utf-16-le": lambda text: codecs.BOM_UTF16_LE + text.encode("utf-16-le"),
    "utf-16-be": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
}
#: Ways to spoil a whole file; what remains of the last two may be readable, and is checked.
SPOILED: dict[str, Callable[[str, random.Random], bytes]] = {
    "utf-16 unmarked": lambda text, _: text.encode("utf-16-le"),
    "utf-32": lambda text, _: text.encode("utf-32"),
    "shift-jis": lambda text, _: (text + "漢字").encode("cp932", "replace"),
    "workbook": lambda text, _: b"PK\x03\x04" + text.encode(),
    "pipes": lambda text, _: ("sep=|\n" + text).encode(),
    "no header": lambda text, _: text.replace("patient", "5", 1).encode(),
    "capitals": lambda text, _: text.replace("patient", "Patient", 1).encode(),
    "nul": lambda text, rng: _inserted(text, "\0", rng).encode(),
    "open quote": lambda text, rng: _inserted(text, '"', rng).encode(),
    "cut off": lambda text, rng: text.encode()[: rng.randrange(len(text))],
}
DOUBTFUL = ("open quote", "cut off")

Row = tuple[str, str, tuple[str, ...]]


@attrs.define
class Case:
    """Studies, the rows that a table is to hold, and the bytes that were written of it."""

    patients: list[str]
    columns: tuple[str, ...]
    rows: list[Row]
    content: bytes
    #: What a spreadsheet made of an identifier, and the identifier.
    damaged: dict[str, str]
    spoiled: str
    allow_missing: bool


def oracle(case: Case) -> dict[str, tuple[str, tuple[str, ...]]] | None:
    """Return what each patient must get, or None where the table must be refused."""
    said: dict[str, tuple[str, tuple[str, ...]]] = {}
    for patient, label, values in case.rows:
        if not "".join((patient, label, *values)).strip():
            continue
        if patient in said or not patient or label not in LABELS or not patient.isprintable():
            return None
        said[patient] = label, values
    both = set(said) & set(case.patients)
    if case.spoiled in set(SPOILED) - set(DOUBTFUL):
        return None
    if not both or any(
        now in said and before in case.patients and before not in said
        for now, before in case.damaged.items()
    ):
        return None
    if not case.allow_missing and set(said) != set(case.patients):
        return None
    return {patient: said[patient] for patient in both}


def make_case(rng: random.Random) -> Case:
    """Make studies and a table about them, with a fault or two in half of the cases."""
    patients = sorted({_identifier(rng) for _ in range(rng.randint(2, 8))})
    columns = tuple(rng.sample(("site", "note", "Größe"), rng.randint(0, 3)))
    rows = [
        (patient, rng.choice(LABELS), tuple(rng.choice(TEXTS) for _ in columns))
        for patient in patients
    ]
    rng.shuffle(rows)
    damaged: dict[str, str] = {}
    for _ in range(rng.choice((0, 0, 1, 1, 2))):
        damaged |= _with_fault(rows, patients, rng)
    spoiled = rng.choice(list(SPOILED)) if rng.random() < 0.2 else ""
    text = _text(("patient", "label", *columns), [(p, c, *v) for p, c, v in rows], rng)
    if spoiled:
        content = SPOILED[spoiled](text, rng)
    else:
        content = ENCODINGS[rng.choice(list(ENCODINGS))](text)
    return Case(patients, columns, rows, content, damaged, spoiled, rng.random() < 0.3)


def judge(case: Case, path: Path) -> str:
    """Return "" where the library does as the oracle says, or what it did instead."""
    path.write_bytes(case.content)
    cohort = Cohort(Study(patient=p, uid=f"1.{n}", series=()) for n, p in enumerate(case.patients))
    expected = oracle(case)
    try:
        joined = cohort.with_labels(path, allow_missing=case.allow_missing)
    except LabelError as error:
        shown = [p for p in case.patients if len(p) > 4 and p in str(error).replace(str(path), "")]
        if shown:
            return "an error shows an identifier"
        # Suspicion of damage is the library's own; the oracle knows only what was damaged.
        suspects = case.allow_missing and "ID_" in str(error)
        refused_well = expected is None or case.spoiled in DOUBTFUL or suspects
        return "" if refused_well else f"refused without reason: {error.code}"
    if case.spoiled in DOUBTFUL:
        # What was cut off may be the fault; but whoever is joined has the label of a row.
        rows = {(patient, label) for patient, label, _ in case.rows}
        lost = set(case.patients) - set(joined.patients)
        if lost and not case.allow_missing:
            return "a lost patient"
        wrong = [s for s in joined if (s.patient, ("DSS", "OPLL")[s.label or 0]) not in rows]
        return "a wrong label" if wrong else ""
    if expected is None:
        return "accepted what must be refused"
    if set(joined.patients) != set(expected):
        return "other patients"
    for study in joined:
        label, values = expected[study.patient]
        if study.label != ("DSS", "OPLL").index(label):
            return "a wrong label"
        wanted = {name: v.strip() for name, v in zip(case.columns, values, strict=True)}
        if dict(study.attributes) != wanted:
            return "a wrong attribute"
    return ""


def judge_scores(rng: random.Random, path: Path) -> str:
    """Write scores with points or commas, and compare the numbers that are read."""
    patients = [f"{number:04d}" for number in range(rng.randint(1, 6))]
    values = {patient: round(rng.uniform(-3, 3), rng.randint(1, 6)) for patient in patients}
    delimiter, comma, mixed = rng.choice(DELIMITERS), rng.random() < 0.5, rng.random() < 0.1
    texts = [repr(value).replace(".", ",") if comma else repr(value) for value in values.values()]
    if mixed:
        texts[0] = texts[0].replace(",", ".") if comma else texts[0].replace(".", ",")
    rows = [(p, "m", text) for p, text in zip(patients, texts, strict=True)]
    text = _text(("patient", "model", "score"), rows, rng, delimiter=delimiter)
    path.write_bytes(ENCODINGS[rng.choice(list(ENCODINGS))](text))
    commas = [text for text in texts if "," in text and "e" not in text]
    try:
        scores, _ = read_scores(path)
    except LabelError:
        points = any("." in text for text in texts)
        # 1,234 alone may be thousands.
        thousands = commas and all(
            len(t.split(",")[1]) == 3 and t.lstrip("-")[0] != "0" for t in commas
        )
        fair = any("," in text for text in texts) and (delimiter == "," or points or thousands)
        return "" if fair else "scores refused without reason"
    return "" if scores == {"m": values} else "a wrong score"


def make_cohort(rng: random.Random) -> Cohort:
    """Make studies that share identities here and there."""
    many = rng.randint(8, 40)
    crowd = rng.choice((many, 3 * many, 10 * many))

    def shared(prefix: str) -> str:
        return f"{prefix}.{rng.randrange(crowd)}" if rng.random() < 0.7 else ""

    return Cohort(
        Study(
            patient=f"p{rng.randrange(crowd)}",
            uid=f"1.{rng.randrange(crowd)}",
            label=rng.randrange(2),
            series=tuple(_series(shared("9"), shared("f")) for _ in range(rng.randint(1, 2))),
        )
        for _ in range(many)
    )


def identities(study: Study) -> set[tuple[str, str]]:
    """Return what a study is known by; what is empty says nothing."""
    known = {("PATIENT", study.patient), ("STUDY_UID", study.uid)}
    known |= {("FRAME_OF_REFERENCE", series.frame_of_reference_uid) for series in study.series}
    known |= {("PIXEL_HASH", series.pixel_hash) for series in study.series}
    return {(kind, value) for kind, value in known if value}


def groups(cohort: Cohort) -> list[int]:
    """Return the group of each study, by union-find."""
    parent = list(range(len(cohort)))

    def root(place: int) -> int:
        while parent[place] != place:
            place = parent[place]
        return place

    first: dict[tuple[str, str], int] = {}
    for place, study in enumerate(cohort):
        for identity in identities(study):
            parent[root(place)] = root(first.setdefault(identity, place))
    return [root(place) for place in range(len(cohort))]


def judge_split(rng: random.Random) -> str:
    """Return "" where no group is divided and every leak is told, or what happened instead."""
    cohort = make_cohort(rng)
    test = rng.choice((rng.uniform(0.1, 0.6), rng.randint(2, len(set(cohort.patients)))))
    place = {id(study): number for number, study in enumerate(cohort)}
    group = groups(cohort)
    outcome = ""
    try:
        parts = cohort.split(test, seed=rng.randrange(1000))
    except UsageError:
        outcome = "impossible"
    else:
        sides = [{group[place[id(study)]] for study in part} for part in parts]
        if sides[0] & sides[1] or parts[0].leakage(parts[1]):
            return "a divided group"
        if len(parts[0]) + len(parts[1]) != len(cohort):
            return "a lost study"
        if not isinstance(test, float) and len(set(parts[1].patients)) != test:
            return "another number of patients"
    sides = [rng.random() < 0.5 for _ in cohort]
    mine, theirs = (
        Cohort(study for study, side in zip(cohort, sides, strict=True) if side == part)
        for part in (False, True)
    )
    shared = set[tuple[str, str]]().union(*map(identities, mine)) & set[tuple[str, str]]().union(
        *map(identities, theirs)
    )
    told = Counter(problem.code for problem in mine.leakage(theirs))
    if told != Counter(f"LEAKAGE_{kind}" for kind, _ in shared):
        return "a leak that was not told, or one that is none"
    return outcome and ""


def _series(frame: str, pixels: str) -> Series:
    geometry = Geometry(
        origin=(0.0, 0.0, 0.0),
        row_cosine=(0.0, 1.0, 0.0),
        column_cosine=(0.0, 0.0, -1.0),
        slice_step=(-3.0, 0.0, 0.0),
        pixel_spacing=(1.0, 1.0),
    )
    return Series(
        uid="1", plane="sagittal", sequence="T2", files=(Path("a"),), shape=(1, 2, 2),
        geometry=geometry, transfer_syntaxes=("1.2",), frame_of_reference_uid=frame,
        pixel_hash=pixels,
    )  # fmt: skip


def _identifier(rng: random.Random) -> str:
    number = rng.randrange(1, 60)
    return rng.choice(
        (
            f"{number:05d}", str(number), f"P-{number}", f"A {number}", f"患{number}", f"é{number}",
            f"={number}", f"-{number}", f"'q{number}", f'a"{number}', f"a,{number}", f"b;{number}",
            f"{number}E5", f"3-{number}", f"{10**15 + number}", f"'={number}", f"p-{number}",
        )
    )  # fmt: skip


def _with_fault(rows: list[Row], patients: list[str], rng: random.Random) -> dict[str, str]:
    """Change the rows; return what an identifier was made into, and what it was."""
    if not rows:
        return {}
    place = rng.randrange(len(rows))
    patient, label, values = rows[place]
    other = LABELS[label == LABELS[0]]
    kind = rng.choice(
        ("zeros", "number", "date", "again", "conflict", "slip", "unknown", "gone", "stranger",
         "blank", "invisible", "wide")
    )  # fmt: skip
    damage = {
        "zeros": patient.lstrip("0"),
        "number": "1.23E+11",
        "date": "3-Apr",
        "invisible": patient + rng.choice("\u00a0\u200b\u202e"),
        "wide": "".join(chr(ord(c) + 0xFEE0) if c.isdigit() else c for c in patient),
    }
    if kind in damage:
        changed = damage[kind]
        if changed in (*patients, *(row[0] for row in rows)):
            return {}
        rows[place] = changed, label, values
        return {changed: patient}
    if kind == "gone":
        del rows[place]
    elif kind in ("again", "conflict"):
        rows.append((patient, other if kind == "conflict" else label, values))
    elif kind == "stranger":
        rows.append(("stranger", label, values))
    else:
        words = {"slip": (label.lower(), label + " ", f"\u200b{label}"), "unknown": ("1", "", "?")}
        name, word = ("", label) if kind == "blank" else (patient, rng.choice(words[kind]))
        rows[place] = name, word, values
    return {}


def _text(
    header: tuple[str, ...], rows: list[Any], rng: random.Random, *, delimiter: str = ""
) -> str:
    """Write a table by hand: another way than the csv module of Python."""
    delimiter = delimiter or rng.choice(DELIMITERS)
    newline, quote_all = rng.choice(NEWLINES), rng.random() < 0.3
    blanks = rng.choice((0, 0, 2))
    order = rng.sample(range(len(header)), len(header))

    def cell(text: str) -> str:
        if text.startswith(("'=", "'-")) or (text[:1] in "=-" and text and rng.random() < 0.5):
            text = "'" + text
        if quote_all or any(mark in text for mark in (delimiter, '"', "\n", "\r")):
            return '"' + text.replace('"', '""') + '"'
        return text

    lines = []
    for row in [header, *rows]:
        cells = [cell(row[place]) for place in order] + [""] * blanks
        # Excel leaves out empty cells at the end of rows; those of the first three it needs.
        last = max(order.index(place) for place in range(min(len(header), 3)))
        while row is not header and len(cells) > last + 1 and cells[-1] in ("", '""') and blanks:
            cells.pop()
        lines.append(delimiter.join(cells))
        if rng.random() < 0.1:
            lines.append(delimiter * rng.choice((0, len(header) - 1)))
    if lines[0] == "" or rng.random() < 0.2:
        lines.insert(0, rng.choice(("sep=", '"sep=')) + delimiter)
        lines[0] += '"' if lines[0].startswith('"') else ""
    return newline.join(lines) + rng.choice((newline, newline * 3, ""))


def _inserted(text: str, mark: str, rng: random.Random) -> str:
    place = rng.randrange(len(text))
    return text[:place] + mark + text[place:]


def _report(name: str, wrong: Counter[str], cases: int, started: float) -> bool:
    seconds = time.monotonic() - started
    print(f"{name}: {cases} cases, {sum(wrong.values())} wrong, {seconds:.0f} s")
    for what, count in wrong.most_common():
        print(f"    {count} x {what}")
    return not wrong


def _campaign(name: str, cases: int, judge_one: Callable[[random.Random], str]) -> bool:
    started, wrong = time.monotonic(), Counter[str]()
    for seed in range(cases):
        try:
            what = judge_one(random.Random(f"{name} {seed}"))
        except CervispineError as error:
            what = f"another error: {error.code}"
        except Exception as error:
            what = f"uncaught {type(error).__name__}"
        if what:
            wrong[what] += 1
            if wrong[what] == 1:
                print(f"    first at seed {seed}: {what}", file=sys.stderr)
    return _report(name, wrong, cases, started)


def _look_alikes(phantoms: int) -> bool:
    """Print how far changed copies of a picture lie from it, and other patients' pictures."""
    from scipy.ndimage import zoom

    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        made = Phantom(n_opll=phantoms // 2, n_dss=phantoms - phantoms // 2, seed=5).write(folder)
        cohort, loader = Loader().index(made.dicom), Loader()
        images = [
            loader.read(s, slices=[s.series[0].shape[0] // 2]).pixels[0].astype(float)
            for s in cohort
        ]
        alarms = len(cohort.near_duplicates())

    def bits(image: Any) -> Any:
        return np.unpackbits(np.frombuffer(bytes.fromhex(appearance_of(image)), np.uint8))

    looks = np.array([bits(image) for image in images], dtype=np.float32)
    apart = np.abs(looks[:, None] - looks[None]).mean(-1)[np.triu_indices(len(images), 1)]
    pairs = list(zip(images, looks, strict=True))
    copies: dict[str, Callable[[Any], Any]] = {
        "brighter": lambda image: 1.3 * image + 20,
        "gamma 0.8": lambda image: (image - image.min()) ** 0.8,
        "half the size": lambda image: zoom(image, 0.5, order=1),
        "half as large again": lambda image: zoom(image, 1.5, order=3),
        "windowed 2-98 %": lambda image: np.clip(image, *np.percentile(image, [2, 98])),
        "cropped by 1 %": lambda image: _cropped(image, 0.01),
        "cropped by 2 %": lambda image: _cropped(image, 0.02),
        "cropped by 4 %": lambda image: _cropped(image, 0.04),
    }
    print(f"look-alikes: {len(images)} phantoms, threshold {ALIKE}")
    print(f"    other patients         nearest {apart.min():.3f}, median {np.median(apart):.3f}")
    for name, change in copies.items():
        far = [np.abs(bits(change(image)) - look).mean() for image, look in pairs]
        print(f"    {name:22} farthest {max(far):.3f}, found {np.mean(np.array(far) <= ALIKE):.1%}")
    print(f"    {alarms} false alarms in {len(apart)} pairs, {time.monotonic() - started:.0f} s")
    return alarms == 0


def _cropped(image: Any, share: float) -> Any:
    rows, columns = (round(share * size) for size in image.shape)
    return image[rows : image.shape[0] - rows, columns : image.shape[1] - columns]


def main() -> None:
    """Run the three parts and end with 1 when any was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", type=int, default=20_000)
    parser.add_argument("--cohorts", type=int, default=5_000)
    parser.add_argument("--phantoms", type=int, default=200)
    asked = parser.parse_args()
    warnings.simplefilter("error")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"

        def table(rng: random.Random) -> str:
            return judge_scores(rng, path) if rng.random() < 0.2 else judge(make_case(rng), path)

        good = _campaign("C5 tables", asked.tables, table)
    good &= _campaign("C6 splits", asked.cohorts, judge_split)
    if asked.phantoms:
        good &= _look_alikes(asked.phantoms)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
