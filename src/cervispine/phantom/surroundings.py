"""Paints what surrounds the spine: the posterior fossa, the nape, and the throat with the face."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cervispine.phantom.canal import Canal
from cervispine.phantom.canvas import Brush, bump
from cervispine.phantom.specification import PatientSpecification
from cervispine.phantom.spine import Spine

__all__ = ["paint_fossa", "paint_nape", "paint_throat"]

Array = NDArray[np.float32]


def _side(brush: Brush) -> float:
    """Return the distance of the plane from the mid-sagittal plane, mm."""
    return abs(brush.plane.off_midline)


def paint_nape(brush: Brush, patient: PatientSpecification, spine: Spine, canal: Canal) -> None:
    """Paint the muscles behind the spine, the fat between and over them, and the skin."""
    region, inside = brush.region, brush.inside
    s, d, off = region.s, region.d, _side(brush)
    grain, streak, cloud = (brush.texture(name) for name in ("grain", "streak", "cloud"))
    skin = region.of_spine("skin")
    fat = skin - region.of_spine("fat") * (1 + 0.08 * cloud)
    lamina = canal.lamina[brush.plane.row][region.at] + 4
    layer = (d - lamina) / np.maximum(fat - lamina, 5)
    infiltration = patient.anatomy.muscle_fat

    brush.paint(1.0, "muscle", 1 + 0.09 * grain + 0.06 * cloud)
    marbling = np.clip((streak + 0.5 * cloud - 1.5 + 1.2 * infiltration) * 0.55, 0, 0.6)
    brush.paint(marbling, "fat")
    # Fat planes between multifidus, semispinalis, splenius and trapezius.
    wave = 0.035 * cloud + 0.03 * np.sin(s / 24 + off / 6)
    strength = 0.55 * np.clip(0.6 + 0.45 * streak, 0, 1)
    for place in (0.30, 0.55, 0.80):
        brush.paint(strength * bump(layer - place - wave, 0.03), "fat")
    # On the midline: fat and ligament between the spinous processes, then the nuchal ligament.
    midline = float(np.exp(-((off / 3.5) ** 2)))
    if midline > 0.02:
        between = midline * np.clip((layer + 0.05) * 8, 0, 1)
        brush.blend(
            between,
            {
                "fat": np.clip(0.38 + 0.16 * cloud + 0.08 * streak, 0, 1),
                "muscle": 0.45,
                "flavum": 0.15,
            },
        )
        brush.paint(0.75 * midline * bump(layer - 0.70 - 0.03 * cloud, 0.035), "ligament")
    # Suboccipital muscles, rounded, between the occiput and the process of C2.
    for centre_s, centre_d, half_s, half_d in ((-2, 34, 10, 7), (6, 46, 16, 8)):
        muscle = brush.ellipse(centre_s, centre_d, half_s, half_d, slope=-0.3)
        brush.paint(0.8 * bump(muscle, 1.0), "fat")
        brush.paint(inside(muscle - 0.6), "muscle", 1 + 0.1 * grain)
    under_skin = inside(d - fat)
    septa = 0.14 * np.clip(streak - 1.2, 0, 1)
    brush.paint(under_skin, "fat", 1 + 0.04 * grain - septa)
    brush.paint(inside(d - skin + 1.6), "skin")
    brush.paint(inside(d - skin), "air")


def paint_throat(brush: Brush, patient: PatientSpecification, spine: Spine, canal: Canal) -> None:
    """Paint prevertebral tissue, airway, tongue, jaw, larynx, thyroid and the skin in front."""
    region, inside = brush.region, brush.inside
    s, d, off = region.s, region.d, _side(brush)
    grain, streak, cloud = (brush.texture(name) for name in ("grain", "streak", "cloud"))
    front = np.minimum(region.of_spine("throat"), region.of_spine("front")) - 1.2
    pharynx = front - region.of_spine("prevertebral") * (1.25 if off > 5 else 1.0)
    air_front = pharynx - region.of_spine("airway")
    skin = region.of_spine("face")

    brush.paint(1.0, "soft", 1 + 0.14 * cloud + 0.07 * grain)
    patches = np.clip((cloud + 0.4 * grain - 0.35) * 0.5, 0, 0.75)
    brush.paint(patches * np.clip((pharynx - 16 - d) / 8, 0, 1), "fat")
    # Tongue, a fan of muscle and fat, over the floor of the mouth; the jaw in front of it.
    tongue = brush.ellipse(24, -62, 25, 27, slope=0.1)
    fan = np.sin(np.arctan2(s - 52, d + 78) * 34 + cloud)
    brush.blend(inside(tongue), {"muscle": 0.70, "fat": 0.24 + 0.06 * fan}, 1.05 + 0.08 * streak)
    brush.paint(0.6 * bump(tongue, 0.9), "mucosa")
    brush.paint(inside(brush.ellipse(51, -72, 7, 22, slope=0.5)), "muscle", 1 + 0.1 * streak)
    jaw = brush.ellipse(47, -97, 10, 6.5, slope=-0.4)
    brush.paint(inside(jaw), "cortex")
    brush.paint(inside(jaw - 2.0), "marrow", 1.1 + 0.1 * cloud)
    # Mouth, palate and the cavity of the nose above.
    palate = brush.ellipse(-7, -72, 2.6, 30, slope=0.0)
    nose = brush.ellipse(-24, -72, 13, 34)
    brush.blend(inside(nose), {"air": 0.45, "mucosa": 0.55}, np.clip(1 + 0.5 * cloud, 0, 2))
    brush.paint(inside(palate), "cortex")
    brush.paint(inside(palate - 1.2), "marrow")

    brush.paint(0.5 * inside(pharynx + 1.8 - d) * inside(d - pharynx + 0.4), "fat")
    muscle = 1.0 if off > 3.5 else 0.55
    brush.blend(
        inside(d - pharynx) * inside(front - d),
        {"muscle": muscle, "soft": 1 - muscle},
        1 + 0.1 * grain,
    )
    gullet = inside(2.2 - np.abs(d - (front + pharynx) / 2 + 1)) * inside(s - 84)
    brush.paint(0.6 * gullet * (off < 8), "soft", 1.3)
    narrowing = float(np.clip(1.5 - off / 7.5, 0, 1)) if off > 4 else 1.0
    hollow = inside(pharynx - d) * inside(d - air_front) * inside(s + 38)
    brush.paint(hollow * bump(d - pharynx, 1.0) * narrowing, "mucosa")
    brush.paint(
        inside(pharynx - 0.9 - d) * inside(d - air_front - 0.9) * narrowing * (s > -38), "air"
    )

    relative = d - air_front
    uvula = 3.2 - np.hypot(np.maximum(np.abs(s - 6) - 13, 0), relative - 1 - 0.22 * (s - 6))
    brush.paint(inside(uvula) * narrowing, "soft", 1.1)
    near_midline = float(np.clip((12 - off) / 4, 0, 1))
    epiglottis = 1.5 - np.hypot(np.maximum(np.abs(s - 55) - 9, 0), relative - 4 + 0.25 * (s - 55))
    brush.paint(inside(epiglottis) * near_midline, "mucosa", 0.8)
    _paint_larynx(brush, relative, near_midline, grain)
    over = inside(skin + 4.5 - d)
    brush.paint(over, "fat", 0.95 + 0.05 * grain)
    brush.paint(inside(skin + 1.5 - d), "skin")
    brush.paint(inside(skin - d), "air")


def _paint_larynx(brush: Brush, relative: Array, near_midline: float, grain: Array) -> None:
    """Paint hyoid, thyroid and cricoid cartilage, the rings of the trachea, and the thyroid."""
    s, inside = brush.region.s, brush.inside
    parts = (
        (57.0, -12.0, 4.0, 3.0, "marrow"), (72.0, -9.0, 8.5, 2.4, "gland"),
        (91.0, -4.0, 4.5, 3.0, "gland"), (88.0, 15.0, 7.0, 2.6, "gland"),
    )  # fmt: skip
    for centre, depth, half_s, half_d, tissue in parts:
        radius = np.hypot((s - centre) / half_s, (relative - depth + 0.25 * (s - centre)) / half_d)
        distance = half_d * (1 - radius)
        brush.paint(0.8 * inside(distance) * near_midline, "cortex")
        brush.paint(0.9 * inside(distance - 0.9) * near_midline, tissue, 1 + 0.1 * grain)
    rings = inside(np.abs(relative + 1.2) * -1 + 1.4) * inside(s - 98) * near_midline
    brush.paint(rings * (0.55 + 0.35 * np.sin(s * 1.35)), "cortex")
    thyroid = np.hypot((s - 108) / 12, (relative + 5.5) / 3.5)
    brush.paint(0.9 * inside(3.5 * (1 - thyroid)), "gland", 1.1 + 0.06 * grain)


def paint_fossa(brush: Brush, patient: PatientSpecification, spine: Spine, canal: Canal) -> None:
    """Paint clivus and occiput, brainstem and cerebellum, above the tip of the dens."""
    region, inside = brush.region, brush.inside
    if not region.s.size:
        return
    s, d, off = region.s, region.d, _side(brush)
    grain, cloud = brush.texture("grain"), brush.texture("cloud")
    clivus = -1.5 + 0.42 * (s + 7)
    # The back of the skull: a curve that leaves the foramen magnum 34 mm behind the dens.
    above = np.clip(-s - 1, 0, 60)
    occiput = 31 + 3.1 * np.sqrt(above * 9.0) * np.clip(above / 12, 0.4, 1)
    bone_behind = inside(-1 - s) * inside(d - occiput) * inside(occiput + 7.5 - d)
    brush.paint(bone_behind, "cortex")
    diploe = bump(d - occiput - 3.6, 3.2) * bone_behind * inside(-4 - s)
    brush.paint(0.75 * diploe, "marrow", 0.85 + 0.1 * cloud)

    fluid = inside(-1.5 - s) * inside(d - clivus) * inside(occiput - 0.6 - d)
    brush.paint(fluid, "csf", 0.85 + 0.08 * cloud)
    _paint_brain(brush, off, grain, cloud, fluid)

    thickness = 6.5 + 0.10 * np.clip(-s - 9, 0, 40)
    present = np.clip((14 - off) / 3, 0, 1)
    bone = inside(clivus - d) * inside(d - clivus + thickness) * inside(-7 - s) * present
    brush.paint(bone, "cortex")
    inner = inside(clivus - 1.0 - d) * inside(d - clivus + thickness - 1.0) * inside(-8 - s)
    brush.paint(inner * present, "marrow", 1.0 + 0.08 * cloud)


def _paint_brain(brush: Brush, off: float, grain: Array, cloud: Array, fluid: Array) -> None:
    """Paint vermis or hemisphere with its folia, then medulla and pons."""
    s, d = brush.region.s, brush.region.d
    inside, ellipse = brush.inside, brush.ellipse
    away, deep = s + 36, d - 24
    angle, radius = np.arctan2(away, deep), np.hypot(away, deep)
    cerebellum = np.maximum(ellipse(-38, 45, 26, 27, slope=-0.15), ellipse(-20, 32, 13, 9))
    # Leaves fan out from the fourth ventricle; furrows of fluid cut in from the surface.
    folia = np.sin(22 * angle + 0.9 * cloud + 0.25 * radius)
    branches = np.sin(9 * angle + 0.8 * cloud)
    furrow = np.clip(folia - 0.55, 0, 1) * np.clip(1.1 - np.abs(cerebellum) / 9, 0, 1)
    white = np.clip(branches - 0.3, 0, 1) * np.clip(radius / 20, 0, 1)
    covered = inside(cerebellum) * fluid
    brush.blend(
        covered,
        {"brain": 1 - 0.5 * furrow, "csf": 0.5 * furrow},
        1.05 + 0.03 * grain - 0.12 * white,
    )
    if off > 14:
        return
    width = float(np.clip(14 - off, 0, 1))
    # Knots from the cord upwards: medulla, the sulcus, the belly of the pons.
    knots = [-70.0, -52.0, -44.0, -34.0, -27.0, -24.0, -14.0, -4.0, 4.0]
    front = np.interp(s, knots, [-17, -17.5, -15, -8.5, -2.0, 0.8, 2.0, 3.2, 4.0])
    back = np.interp(s, knots, [4.0, 7.0, 9.5, 12.5, 13.0, 13.2, 12.6, 12.4, 12.6])
    stem = brush.between(front.astype(np.float32), back.astype(np.float32)) * inside(2 - s)
    clivus = -1.5 + 0.42 * (s + 7)
    stem *= inside(d - clivus - 1.8)
    brush.paint(stem * width, "brain", 0.97 + 0.04 * grain + 0.03 * cloud)
