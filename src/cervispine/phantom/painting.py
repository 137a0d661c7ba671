"""Paints the spine: bodies and discs, the canal with its cord, the arches behind it.

Every painter takes the brush of its region, what it must know of the patient and the tables of
the canal, and paints from the back of the pile to the front.
"""

from __future__ import annotations

import numpy as np

from cervispine.phantom.arrays import Array
from cervispine.phantom.canal import Band, Canal
from cervispine.phantom.canvas import Brush, bump
from cervispine.phantom.specification import VERTEBRAE, PatientSpecification
from cervispine.phantom.spine import index_of

__all__ = ["paint_arches", "paint_canal", "paint_column", "paint_pillars"]


def _off_midline(brush: Brush, canal: Canal) -> Array:
    """Return the distance of each pixel from the mid-sagittal plane, mm."""
    region = brush.region
    lateral: Array = canal.lateral[brush.plane.row][region.at]
    distance: Array = np.abs(lateral - np.float32(brush.rotation) * region.d)
    return distance


def paint_column(brush: Brush, patient: PatientSpecification, canal: Canal) -> None:
    """Paint the vertebral bodies, the dens, the discs, and the arch of C1 in front."""
    region, anatomy = brush.region, patient.anatomy
    s, d, inside = region.s, region.d, brush.inside
    off = _off_midline(brush, canal)
    grain, cloud, streak = (brush.texture(name) for name in ("grain", "cloud", "streak"))
    wall, arch = region.of_spine("wall"), region.of_spine("arch")
    # The front curves back towards the sides.
    curve = np.sqrt(np.clip(1 - (off / 13.5) ** 2, 0.02, 1))
    front = region.of_spine("front") + 8 * (1 - curve)
    across = np.clip((d - front) / np.maximum(wall - front, 1), 0, 1) * 2 - 1

    numbers = region.of_spine("disc")
    table = np.array(
        [[each.grade, each.tilt, each.darkness] for each in patient.discs], np.float32
    )[numbers]
    grade, tilt = table[:, 0], table[:, 1]
    offset = region.of_spine("disc_offset") + tilt * (d + 8)
    half = region.of_spine("disc_height") * (1.14 - 0.36 * across * across)
    to_endplate = np.abs(offset) - half

    below_tip = inside(s + 0.5)
    side = np.where(s < 14, 5.5 + 0.2 * np.maximum(s - 8, 0), 11.2 + 2.0 * (1 - arch))
    breadth = inside(side - off) * below_tip
    corners = 1.6 * bump(to_endplate - 0.5, 2.2) * across**8
    body = inside(d - front - corners) * inside(wall - d) * breadth
    has_disc = (s > anatomy.body_bottoms[0] - 6).astype(np.float32)
    disc = inside(-to_endplate) * has_disc

    mottling = 1 + anatomy.marrow_texture * (0.75 * cloud + 0.5 * grain + 0.3 * streak)
    mottling *= region.of_spine("marrow")
    mottling *= 1 + region.of_spine("endplate") * bump(np.maximum(to_endplate, 0), 4.0) * np.clip(
        0.8 + 0.5 * cloud, 0, 2
    )
    mottling *= 1 - 0.22 * bump(to_endplate, 2.4)
    brush.paint(body, "marrow", mottling)
    # Basivertebral vein: a wedge at the middle of the back wall, on the midline.
    vein = bump(arch - 1, 0.07) * bump(d - wall + 2.0, 3.6) * bump(off, 4.0) * (s > 36)
    brush.paint(0.5 * vein * body, "vein")
    scar = bump(s - np.float32(anatomy.body_bottoms[0] - 17), 0.8) * body
    brush.paint(0.4 * scar, "cortex")

    rim = np.clip((np.abs(across) - 0.42) / 0.34, 0, 1)
    cleft = 0.5 * grade * bump(offset / np.maximum(half, 0.5), 0.42)
    shade = (1 + 0.10 * grain - 0.10 * cloud) * (1 - cleft)
    brush.blend(
        body * disc,
        {"nucleus": (1 - rim) * (1 - grade), "dry nucleus": (1 - rim) * grade, "annulus": rim},
        shade,
    )
    endplate = (0.72 + 0.12 * cloud) * bump(to_endplate, 0.62) * has_disc
    brush.paint(np.clip(endplate, 0, 1) * body, "cortex")
    edges = 0.8 * bump(d - front, 0.75) + 0.85 * bump(d - wall, 0.6) * (1 - disc)
    edges = edges * breadth + 0.7 * bump(off - side - 0.4, 0.7) * (d > front) * (d < wall)
    brush.paint(np.clip(edges, 0, 1) * 0.9 * below_tip, "cortex")
    dens_tip = bump(s, 0.9) * inside(d - front) * inside(wall - d) * (off < 6)
    brush.paint(0.85 * dens_tip, "cortex")
    _paint_first_arch(brush, anatomy.scale, off, grain)


def _paint_first_arch(brush: Brush, scale: float, off: Array, grain: Array) -> None:
    """Paint the anterior arch of C1, an oval before the dens, and the ligament between."""
    present = np.clip((14 - off) / 3, 0, 1)
    distance = brush.ellipse(4, -16.8 * scale, 5.4, 3.3)
    gap = brush.ellipse(5, -12.2 * scale, 8, 2.2)
    brush.paint(0.7 * brush.inside(gap) * present, "ligament")
    brush.paint(brush.inside(distance) * present, "cortex")
    brush.paint(brush.inside(distance - 1.0) * present, "marrow", 0.95 * (1 + 0.06 * grain))


def paint_pillars(brush: Brush, canal: Canal) -> None:
    """Paint the articular pillars, the foramina with their roots, and the vertebral artery."""
    region, inside = brush.region, brush.inside
    off = _off_midline(brush, canal)
    lateral = np.clip((off - 12.3) / 1.2, 0, 1)
    if not lateral.any():
        return
    d, offset = region.d, region.of_spine("disc_offset")
    grain = brush.texture("grain")
    pillar = inside(d + 3) * inside(13.5 - d) * lateral
    brush.paint(pillar, "marrow", 0.85 * (1 + 0.1 * grain))
    joint = offset + 0.9 * (d - 7)
    brush.paint(bump(joint, 1.3) * pillar, "cortex")
    brush.paint(0.5 * bump(joint, 0.45) * pillar, "soft")
    brush.paint(0.8 * bump(d - 13.2, 1.0) * lateral, "cortex")
    brush.paint(0.8 * bump(d + 2.6, 1.0) * lateral, "cortex")
    foramen = 4.0 * (1 - np.sqrt(((offset - 0.5) / 5.2) ** 2 + ((d - 0.5) / 4.0) ** 2))
    brush.paint(inside(foramen) * lateral, "fat", 0.8)
    root = 2.0 - np.sqrt((offset - 1) ** 2 + (d - 1.2) ** 2)
    brush.paint(inside(root) * lateral, "cord", 0.9)
    artery = inside(2.2 - np.abs(d + 5.5)) * np.clip(1 - np.abs(off - 16) / 3.5, 0, 1)
    brush.paint(artery, "flow")


def paint_arches(brush: Brush, patient: PatientSpecification, canal: Canal) -> None:
    """Paint laminae and spinous processes, and the posterior arch of C1."""
    anatomy, region = patient.anatomy, brush.region
    middles = [
        (top + bottom) / 2
        for top, bottom in zip(anatomy.body_tops, anatomy.body_bottoms, strict=True)
    ]
    middles[0] = anatomy.body_bottoms[0] - 11
    heights = (5.6, 3.4, 3.3, 3.5, 4.2, 5.0, 5.0, 5.0, 5.0, 5.0)
    grain, cloud = brush.texture("grain"), brush.texture("cloud")
    for number in range(-1, len(VERTEBRAE)):
        if number < 0:
            start, length, drop, height, reach = 7.0, 6.0, 0.5, 3.4, 16.0
        else:
            start = middles[number] + 2.0
            length, drop = anatomy.spinous_lengths[number], anatomy.spinous_drops[number]
            height, reach = heights[number] * anatomy.scale, 4.5
        at = int(index_of(np.array(start, np.float32)))
        off = abs(float(canal.lateral[brush.plane.row, at]))
        if off > 15:
            continue
        if number >= 0 and off > reach:
            # Beside the midline only the lamina is cut: a leaning oval.
            length, drop, height = 5.0, 6.0, 4.6
        lamina = float(canal.lamina[brush.plane.row, at])
        near = np.flatnonzero(
            (region.s > start - 10) & (region.s < start + drop + 12)
            & (region.d < lamina + length + 9)
        )  # fmt: skip
        if not near.size:
            continue
        s, d = region.s[near] - np.float32(start), region.d[near] - np.float32(lamina + 0.8)
        long = float(np.hypot(length, drop))
        along = (d * length + s * drop) / long
        across = (s * length - d * drop) / long
        # A drumstick: narrow behind the lamina, bent downwards, with a round and uneven end.
        part = np.clip(along / long, 0, 1)
        across = np.abs(across - 0.35 * height * np.sin(np.pi * part))
        half = height * (0.88 - 0.16 * np.sin(np.pi * part) + 0.42 * part**3)
        half = half + 0.12 * height * cloud[near]
        corner = np.float32(0.92) * half
        beside = across - half + corner
        beyond = np.maximum(along - long, -along) + corner
        outside = np.hypot(np.maximum(beside, 0), np.maximum(beyond, 0))
        depth = corner - outside - np.minimum(np.maximum(beside, beyond), 0)
        fade = float(np.clip((15 - off) / 2, 0, 1))
        small = Brush(
            region.part_of(near), brush.plane, brush.palette, brush.pixel, brush.signal[:, near]
        )
        rim = np.clip(0.62 + 0.2 * grain[near], 0.3, 0.9)
        small.paint(rim * fade * small.inside(depth), "cortex")
        mottled = 0.9 * (1 + 0.10 * grain[near] + 0.12 * cloud[near])
        small.paint(fade * small.inside(depth - 0.8), "marrow", mottled)
        brush.signal[:, near] = small.signal


def paint_canal(brush: Brush, patient: PatientSpecification, canal: Canal) -> tuple[Array, Array]:
    """Paint the dural sac, the cord, and everything that narrows the canal.

    Returns
    -------
    plaque, cord : ndarray of float32, shape (pixels,)
        Share of each pixel that plaque, and cord, fill.
    """
    region, inside, row = brush.region, brush.inside, brush.plane.row
    s, d = region.s, region.d

    def table(values: Array) -> Array:
        here: Array = values[row][region.at]
        return here

    off = _off_midline(brush, canal)
    grain, cloud, streak = (brush.texture(name) for name in ("grain", "cloud", "streak"))
    wall, lamina = region.of_spine("wall"), table(canal.lamina)
    ventral, dorsal = table(canal.ventral), table(canal.dorsal)

    # Epidural fat lies behind the sac, between the laminae; veins and fat in front.
    fat_behind = inside(d - dorsal) * inside(lamina + 0.5 - d) * (s > 8) * inside(12.5 - off)
    brush.paint(0.9 * fat_behind, "fat", 0.75)
    sac = brush.between(ventral, dorsal) * inside(10.8 - off)
    flow = 1 - patient.protocol.flow_void * np.clip(0.4 * streak + 0.25 * cloud + 0.15, -0.2, 1)
    brush.paint(sac, "csf", np.clip(flow, 0.3, 1.15))
    cord = _paint_cord(brush, patient, table(canal.cord_front), table(canal.cord_back), off)
    plaque = _paint_ventral(brush, patient, canal, off, ventral, wall)

    # Dura, then the ligamentum flavum, thick at the discs.
    thick = np.clip((table(canal.flavum) - 0.3) * 1.1, 0, 1)
    behind = brush.between(dorsal, lamina + 0.8) * (s > 14) * inside(12 - off)
    brush.paint(behind * thick, "flavum", 0.9 + 0.15 * grain)
    brush.paint(0.75 * bump(d - dorsal - 0.4, 0.6) * (s > 2) * inside(12 - off), "ligament")
    return plaque, cord


def _paint_cord(
    brush: Brush, patient: PatientSpecification, front: Array, back: Array, off: Array
) -> Array:
    region = brush.region
    cord = brush.between(front, back) * (back - front > 0.3)
    middle = (front + back) / 2
    across = (region.d - middle) / np.maximum(back - front, 1) * 2
    grey = bump(across - 0.05, 0.5) * bump(off, 4.0)
    shade = 1 + 0.08 * grey + 0.04 * brush.texture("grain") + 0.04 * brush.texture("cloud")
    brush.paint(cord, "cord", shade)
    lesion = patient.lesion
    if lesion is not None:
        along = (region.s - np.float32(lesion.position)) / np.float32(lesion.length)
        here = np.exp(-(along**4)) * bump(across, 0.9) * bump(off, 5.0)
        brush.paint(lesion.strength * here * cord, "lesion")
    return cord


def _paint_ventral(
    brush: Brush,
    patient: PatientSpecification,
    canal: Canal,
    off: Array,
    ventral: Array,
    wall: Array,
) -> Array:
    """Paint what lies between the bodies and the sac; return the share of plaque."""
    region, inside, row = brush.region, brush.inside, brush.plane.row
    s, d = region.s, region.d
    grain, cloud = brush.texture("grain"), brush.texture("cloud")
    bulge, osteophyte = canal.bulge[row][region.at], canal.osteophyte[row][region.at]
    half, offset = region.of_spine("disc_height"), np.abs(region.of_spine("disc_offset"))
    place = brush.between(wall, ventral) * inside(10.5 - off) * (s > 3)

    brush.paint(place, "ligament")
    concave = (d < -0.1) & (region.of_spine("arch") > 0.25)
    brush.paint(place * concave, "vein", 0.6)
    changes = np.array([[each.grade, each.darkness] for each in patient.discs], np.float32)
    grade, darkness = changes[region.of_spine("disc")].T
    brush.blend(
        place * inside(bulge - d),
        {"annulus": 0.35 + 0.65 * darkness, "dry nucleus": 0.65 * (1 - darkness)},
        (1 - 0.35 * darkness * grade) * (1 + 0.12 * grain),
    )
    spur = place * inside(osteophyte - d) * inside(offset - half)
    brush.blend(spur, {"marrow": 0.35, "cortex": 0.65})

    for number, mimic in enumerate(patient.mimics):
        here = place * _coverage(brush, canal.mimics, number)
        substance = "thick ligament" if mimic.substance == "ligament" else "dry nucleus"
        brush.blend(
            here,
            {substance: 1 - mimic.darkness, "ossified": mimic.darkness},
            np.clip(0.95 + 0.18 * cloud + 0.08 * grain, 0.4, 1.5),
        )
    plaque = np.zeros_like(d)
    for number, each in enumerate(patient.plaques):
        here = place * _coverage(brush, canal.plaques, number)
        fibrous = np.clip(each.fibrous * np.clip(0.8 + 0.5 * cloud, 0, 1.6), 0, 1)
        brush.blend(here, {"ossified": 1 - fibrous, "thick ligament": fibrous})
        if each.marrow:
            front = canal.plaques.front[row][region.at]
            thickness = np.maximum(canal.plaques.back[row][region.at] - front, 0.5)
            core = bump((d - front) / thickness - 0.5, 0.3) * np.clip(0.7 + 0.5 * cloud, 0, 1.1)
            brush.paint(here * each.marrow * core, "marrow", 0.95)
        plaque += here
    # Ligament and dura bound the sac in front, whatever lies there.
    rim = 0.8 * bump(d - ventral + 0.35, 0.65) * (s > 3) * inside(10.5 - off)
    brush.paint(rim, "ligament", 0.6)
    return plaque


def _coverage(brush: Brush, band: Band, number: int) -> Array:
    row, at = brush.plane.row, brush.region.at
    coverage: Array = brush.between(band.front[row][at], band.back[row][at])
    coverage *= band.which[row][at] == number
    return coverage
