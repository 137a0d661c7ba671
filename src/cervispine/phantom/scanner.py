"""The scanner: protocols, and what the acquisition does to a picture of tissues."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from cervispine.phantom.arrays import Array
from cervispine.phantom.randomness import Stream, generator
from cervispine.phantom.settings import ProtocolRanges
from cervispine.phantom.specification import Contrast, Protocol, Sequence

__all__ = ["SCANNERS", "Scanner", "sample_protocol"]

#: Sites by field strength; the models exist nowhere else.
SCANNERS: dict[str, tuple[float, str]] = {
    "north": (1.5, "Phantom Aurora 1.5T"),
    "south": (1.5, "Phantom Boreas 1.5T"),
    "east": (1.5, "Phantom Aurora 1.5T"),
    "west": (3.0, "Phantom Corona 3T"),
    "centre": (3.0, "Phantom Delta 3T"),
}


def sample_protocol(seed: int, ranges: ProtocolRanges) -> Protocol:
    """Return one patient's protocol."""
    random = generator(seed, Stream.PROTOCOL)

    def between(limits: tuple[float, float]) -> float:
        return float(random.uniform(*limits))

    field = float(random.choice(ranges.field_strengths))
    sites = [name for name, (strength, _) in SCANNERS.items() if (strength > 2) == (field > 2)]
    matrix = int(random.choice(ranges.matrices))
    moving, saturated = random.random() < 0.5, random.random() < 0.7
    motion, saturation = between(ranges.motion), between((0.3, 0.75))
    straight = random.random() < 0.4
    yaw, roll = random.normal(0, 0.03, 2)
    return Protocol(
        site=str(random.choice(sites)),
        field_strength=field,
        slices=int(random.choice(ranges.slices)),
        thickness=3.0,
        gap=float(random.choice([0.3, 0.3, 0.6])),
        field_of_view=float(random.choice(ranges.fields_of_view)),
        matrix=matrix,
        read_lines=int(matrix * random.uniform(0.8, 1.0)) // 2 * 2,
        phase_lines=int(matrix * random.uniform(0.6, 0.85)) // 2 * 2,
        phase_direction="rows" if random.random() < 0.7 else "columns",
        signal_to_noise=between(ranges.signal_to_noise) * (1.2 if field > 2 else 1.0),
        apodisation=between(ranges.apodisation),
        shading=between(ranges.shading),
        motion=motion if moving else 0.0,
        flow_void=between(ranges.flow_void),
        saturation=saturation if saturated else 0.0,
        gain=float(np.exp(random.normal(np.log(260), 0.35))),
        yaw=0.0 if straight else float(yaw),
        roll=0.0 if straight else float(roll),
        instance_order=random.choice(["ascending", "descending", "interleaved"], p=[0.4, 0.4, 0.2]),
        t2=Contrast(
            repetition_time=round(between(ranges.t2_repetition)),
            echo_time=round(between(ranges.t2_echo)),
            echo_train=int(random.integers(12, 24)),
        ),
        t1=Contrast(
            repetition_time=round(between(ranges.t1_repetition)),
            echo_time=round(between(ranges.t1_echo), 1),
            echo_train=int(random.integers(2, 5)),
        ),
    )


class Scanner:
    """Coil, k-space and noise of one series.

    Parameters
    ----------
    seed : int
    protocol : Protocol
    sequence : {"T2", "T1"}
    depth : ndarray of float32, shape (rows, columns)
        Depth behind the vertebral wall; the saturation band lies in front.
    """

    def __init__(self, seed: int, protocol: Protocol, sequence: Sequence, depth: Array) -> None:
        self._seed = seed
        self._protocol = protocol
        self._sequence = ("T2", "T1").index(sequence)
        self._coil = _coil(seed, protocol, depth)
        self._window = _window(protocol)
        random = generator(seed, Stream.NOISE, self._sequence)
        self._ghost = _ghost(random, protocol)

    def acquire(self, picture: Array, number: int) -> NDArray[np.uint16]:
        """Return the stored image of a slice.

        Parameters
        ----------
        picture : ndarray of float32, shape (rows, columns)
            Signal, mean cord 1.
        number : int
            Which slice; it decides the noise.
        """
        protocol, matrix = self._protocol, self._protocol.matrix
        random = generator(self._seed, Stream.NOISE, self._sequence, number)
        rows, columns = (np.flatnonzero(window) for window in self._window)
        filtering = np.outer(*(window[window > 0] for window in self._window))
        acquired = fft.fft2(picture * self._coil)[np.ix_(rows, columns)]
        noise = random.standard_normal((*acquired.shape, 2), dtype=np.float32)
        noise *= matrix / protocol.signal_to_noise
        acquired += noise.view(np.complex64)[..., 0]
        acquired *= filtering
        if protocol.motion > 0:
            # A moving anatomy shifts: each phase line is acquired at another place.
            if protocol.phase_direction == "rows":
                acquired *= self._ghost[rows, None]
            else:
                acquired *= self._ghost[None, columns]
        # Zero-filling, one axis after the other: empty columns need no transform.
        padded = np.zeros((matrix, columns.size), np.complex64)
        padded[rows] = acquired
        half = fft.ifft(padded, axis=0, overwrite_x=True)
        padded = np.zeros((matrix, matrix), np.complex64)
        padded[:, columns] = half
        image = np.abs(fft.ifft(padded, axis=1, overwrite_x=True))
        return np.clip(np.rint(image * protocol.gain), 0, 4095).astype(np.uint16)


def _coil(seed: int, protocol: Protocol, depth: Array) -> Array:
    """Return the sensitivity of a neck coil: higher at the nape, uneven, 1 in the middle."""
    random = generator(seed, Stream.COIL)
    matrix, strength = protocol.matrix, protocol.shading
    axis = np.linspace(-1, 1, matrix, dtype=np.float32)
    y, z = axis[None, :], -axis[:, None]
    coil: Array = np.exp(-0.55 * strength * (1 - y)) * np.exp(-0.35 * strength * z**2)
    coil = coil * (1 + 0.12 * strength * random.normal() * z)
    for _ in range(3):
        centre_y, centre_z, height = random.uniform(-1, 1), random.uniform(-1, 1), random.normal()
        coil = coil * (
            1
            + 0.12 * strength * height
            * np.exp(-((y - centre_y) ** 2) / 0.5) * np.exp(-((z - centre_z) ** 2) / 0.5)
        )  # fmt: skip
    edge = -random.uniform(26, 38)
    band = 1 - protocol.saturation / (1 + np.exp((depth - edge) / 4.0))
    coil *= band / coil[matrix // 2, matrix // 2]
    return coil.astype(np.float32)


def _window(protocol: Protocol) -> tuple[Array, Array]:
    """Return the weights of the acquired lines along rows and columns, in FFT order."""
    frequency = np.abs(fft.fftfreq(protocol.matrix, 1 / protocol.matrix))

    def window(lines: int) -> Array:
        inside = frequency < lines / 2
        hann = 0.5 * (1 - np.cos(np.clip(2 * frequency / lines, 0, 1) * np.pi))
        return (inside * (1 - protocol.apodisation * hann)).astype(np.float32)

    read, phase = window(protocol.read_lines), window(protocol.phase_lines)
    return (phase, read) if protocol.phase_direction == "rows" else (read, phase)


def _ghost(random: np.random.Generator, protocol: Protocol) -> NDArray[np.complex64]:
    """Return the phase of each phase-encoding line under periodic motion, in FFT order."""
    matrix = protocol.matrix
    frequency, start = random.uniform(0.12, 0.45), random.uniform(0, 2 * np.pi)
    line = fft.fftfreq(matrix, 1 / matrix)
    amplitude = 0.5 * protocol.motion / protocol.pixel_spacing
    shift = amplitude * np.sin(2 * np.pi * frequency * line + start)
    phase: NDArray[np.complex64] = np.exp(-2j * np.pi * shift * line / matrix).astype(np.complex64)
    return phase
