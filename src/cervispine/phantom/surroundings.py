"""Paints what surrounds the spine: the posterior fossa, the nape, and the throat with the face.

These shapes are simple. They fill the image around the spine, the same way in both classes.
"""

from __future__ import annotations

import numpy as np

from cervispine.phantom.arrays import Array
from cervispine.phantom.canal import Canal
from cervispine.phantom.canvas import Brush, bump
from cervispine.phantom.specification import PatientSpecification
from cervispine.phantom.spine import index_of

__all__ = ["paint_fossa", "paint_front", "paint_larynx", "paint_nape", "paint_throat"]


def _side(brush: Brush) -> float:
    """Return the distance of the plane from the mid-sagittal plane, mm."""
    return abs(brush.plane.off_midline)


def paint_nape(brush: Brush, patient: PatientSpecification, canal: Canal) -> None:
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
    # Suboccipital muscles, rounded, between the occiput and the process of C2.
    beside = float(np.clip(off / 5, 0.25, 1))
    for centre_s, centre_d, half_s, half_d in ((0, 36, 11, 6), (8, 47, 17, 7)):
        muscle = brush.ellipse(centre_s, centre_d, half_s, half_d, slope=-0.3)
        brush.paint(0.45 * beside * bump(muscle, 1.2), "fat")
        brush.paint(0.8 * beside * inside(muscle - 0.8), "muscle", 1 + 0.1 * grain)
    # On the midline: fat and ligament between the spinous processes, then the nuchal ligament.
    midline = float(np.exp(-((off / 3.5) ** 2)))
    if midline > 0.02:
        between = 0.9 * midline * np.clip((layer + 0.05) * 8, 0, 1)
        fatty = np.clip(0.40 + 0.07 * cloud + 0.07 * streak, 0, 1)
        brush.blend(between, {"fat": fatty, "muscle": 0.75 - fatty, "flavum": 0.25})
        brush.paint(0.6 * midline * bump(layer - 0.72 - 0.03 * cloud, 0.03), "ligament")
    under_skin = inside(d - fat)
    septa = 0.14 * np.clip(streak - 1.2, 0, 1)
    brush.paint(under_skin, "fat", 1 + 0.04 * grain - septa)
    brush.paint(inside(d - skin + 1.6), "skin")
    brush.paint(inside(d - skin), "air")


def _airway(brush: Brush) -> tuple[Array, Array, Array]:
    """Return the front of the column and the back and front of the airway, as depths."""
    region = brush.region
    column = np.minimum(region.of_spine("throat"), region.of_spine("front")) - 1.2
    back = column - region.of_spine("prevertebral") * (1.25 if _side(brush) > 5 else 1.0)
    return column, back, back - region.of_spine("airway")


def paint_throat(brush: Brush) -> None:
    """Paint prevertebral tissue, gullet and airway, tongue, palate and jaw."""
    region, inside = brush.region, brush.inside
    s, d, off = region.s, region.d, _side(brush)
    grain, streak, cloud = (brush.texture(name) for name in ("grain", "streak", "cloud"))
    column, back, front = _airway(brush)

    brush.paint(1.0, "soft", 1 + 0.12 * cloud + 0.07 * grain)
    patches = np.clip((cloud + 0.4 * grain - 0.2) * 0.45, 0, 0.7)
    brush.paint(patches * np.clip((back - 16 - d) / 8, 0, 1), "fat")
    # Tongue, muscle mixed with fat, over the floor of the mouth; the jaw in front of it.
    tongue = brush.ellipse(24, -61, 25, 26, slope=0.1)
    brush.blend(
        inside(tongue + 0.6 * cloud),
        {"muscle": 0.72, "fat": 0.22 + 0.03 * streak},
        1 + 0.06 * grain,
    )
    brush.paint(inside(brush.ellipse(52, -70, 6, 22, slope=0.5)), "muscle", 1 + 0.1 * streak)
    jaw = brush.ellipse(47, -96, 10, 6.5, slope=-0.4)
    brush.paint(inside(jaw), "cortex")
    brush.paint(inside(jaw - 1.6), "marrow", 1.1 + 0.1 * cloud)
    nose = brush.ellipse(-24, -72, 13, 34)
    brush.blend(inside(nose), {"air": 0.45, "mucosa": 0.55}, np.clip(1 + 0.5 * cloud, 0, 2))
    palate = brush.ellipse(-7, -74, 2.6, 30)
    brush.paint(inside(palate), "cortex")
    brush.paint(inside(palate - 1.2), "marrow")

    brush.paint(0.5 * inside(back + 1.8 - d) * inside(d - back + 0.4), "fat")
    muscle = 1.0 if off > 3.5 else 0.55
    wall = inside(d - back) * inside(column - d)
    brush.blend(wall, {"muscle": muscle, "soft": 1 - muscle}, 1 + 0.1 * grain)
    gullet = inside(2.2 - np.abs(d - (column + back) / 2 + 1)) * inside(s - 84)
    brush.paint(0.6 * gullet * (off < 8), "soft", 1.3)
    narrowing = float(np.clip(1.5 - off / 7.5, 0, 1)) if off > 4 else 1.0
    hollow = brush.between(front, back) * inside(s + 38)
    brush.paint(hollow * bump(d - back, 1.0) * narrowing, "mucosa")
    brush.paint(brush.between(front + 0.9, back - 0.9) * inside(s + 38) * narrowing, "air")
    uvula = 3.2 - np.hypot(np.maximum(np.abs(s - 6) - 13, 0), d - front - 1 - 0.22 * (s - 6))
    brush.paint(inside(uvula) * narrowing, "soft", 1.1)


def paint_larynx(brush: Brush) -> None:
    """Paint epiglottis, hyoid, the cartilages and rings of the airway, and the thyroid."""
    region, inside = brush.region, brush.inside
    grain = brush.texture("grain")
    s, relative = region.s, region.d - _airway(brush)[2]
    near_midline = float(np.clip((12 - _side(brush)) / 4, 0, 1))
    epiglottis = 1.5 - np.hypot(np.maximum(np.abs(s - 55) - 9, 0), relative - 4 + 0.25 * (s - 55))
    brush.paint(inside(epiglottis) * near_midline, "mucosa", 0.8)
    for centre, depth, half_s, half_d, tissue in (
        (57.0, -12.0, 4.0, 2.6, "marrow"),
        (74.0, -9.0, 9.0, 2.0, "gland"),
        (91.0, -3.0, 4.5, 2.4, "gland"),
    ):
        leaning = relative - depth + 0.25 * (s - centre)
        distance = half_d * (1 - np.hypot((s - centre) / half_s, leaning / half_d))
        brush.paint(0.6 * inside(distance) * near_midline, "cortex")
        brush.paint(0.8 * inside(distance - 0.8) * near_midline, tissue, 1 + 0.1 * grain)
    wall = inside(1.4 - np.abs(relative + 1.2)) * inside(s - 98) * near_midline
    brush.paint(wall * (0.40 + 0.25 * np.sin(s * 1.35)), "cortex")
    thyroid = 3.5 * (1 - np.hypot((s - 108) / 12, (relative + 5.5) / 3.5))
    brush.paint(0.9 * inside(thyroid), "gland", 1.1 + 0.06 * grain)


def paint_front(brush: Brush) -> None:
    """Paint fat and skin in front, and the air before them."""
    inside, d, skin = brush.inside, brush.region.d, brush.region.of_spine("face")
    brush.paint(inside(skin + 4.5 - d), "fat", 0.95 + 0.05 * brush.texture("grain"))
    brush.paint(inside(skin + 1.5 - d), "skin")
    brush.paint(inside(skin - d), "air")


def paint_fossa(brush: Brush, canal: Canal) -> None:
    """Paint clivus and occiput, brainstem and cerebellum, above the tip of the dens."""
    region, inside = brush.region, brush.inside
    if not region.s.size:
        return
    s, d, off = region.s, region.d, _side(brush)
    cloud = brush.texture("cloud")
    clivus = -1.5 + 0.42 * (s + 7)
    # The back of the skull: a curve that leaves the foramen magnum 34 mm behind the dens.
    above = np.clip(-s - 1, 0, 60)
    occiput = 30 + 6.2 * np.sqrt(above)
    bone = inside(-1 - s) * brush.between(occiput, occiput + 7.5)
    brush.paint(bone, "cortex")
    diploe = bump(d - occiput - 3.6, 3.2) * bone * inside(-4 - s)
    brush.paint(0.75 * diploe, "marrow", 0.85 + 0.1 * cloud)
    # The cistern narrows like a funnel towards the canal.
    fluid = inside(1 - s) * brush.between(clivus, np.minimum(occiput - 0.6, 17.5 + 4 * above))
    brush.paint(fluid, "csf", 0.85 + 0.06 * cloud)
    _paint_cerebellum(brush, fluid, occiput)
    if off < 14:
        _paint_brainstem(brush, canal, clivus, float(np.clip(14 - off, 0, 1)))

    thickness = 6.5 + 0.10 * np.clip(-s - 9, 0, 40)
    present = np.clip((14 - off) / 3, 0, 1)
    outer = brush.between(clivus - thickness, clivus) * inside(-7 - s) * present
    brush.paint(outer, "cortex")
    inner = brush.between(clivus - thickness + 1.0, clivus - 1.0) * inside(-8 - s) * present
    brush.paint(inner, "marrow", 1.0 + 0.08 * cloud)


def _paint_cerebellum(brush: Brush, fluid: Array, occiput: Array) -> None:
    """Paint the cerebellum: leaves that fan out from the fourth ventricle, furrows of fluid."""
    s, d, inside = brush.region.s, brush.region.d, brush.inside
    grain, cloud = brush.texture("grain"), brush.texture("cloud")
    away, deep = s + 37, d - 19
    angle, radius = np.arctan2(away, deep), np.hypot(away, deep)
    body = brush.ellipse(-47, 46, 40, 33, slope=-0.1) + 0.5 * cloud
    tonsil = brush.ellipse(-17, 29, 12, 7.5, slope=-0.35)
    depth = np.minimum(np.maximum(body, tonsil), occiput - 2.2 - d)
    folia = np.sin(30 * angle + 2.2 * cloud + 0.15 * radius)
    uneven = np.clip(0.5 + 0.5 * brush.texture("streak"), 0, 1)
    furrow = np.clip(folia - 0.45, 0, 1) * np.clip(1.1 - depth / 16, 0, 1) * uneven
    branches = np.sin(9 * angle + 1.2 * cloud)
    white = np.clip(branches - 0.2, 0, 1) * bump(radius - 16, 12.0)
    mixture = {"brain": 1 - 0.6 * furrow, "csf": 0.6 * furrow}
    brush.blend(inside(depth) * fluid, mixture, 1.04 + 0.03 * grain - 0.14 * white)


def _paint_brainstem(brush: Brush, canal: Canal, clivus: Array, width: float) -> None:
    """Paint medulla and pons as the continuation of the cord."""
    s, d = brush.region.s, brush.region.d
    below = int(index_of(np.array(1.0)))
    front_below = canal.cord_front[brush.plane.row, below]
    back_below = canal.cord_back[brush.plane.row, below]
    # From the belly of the pons over the sulcus and the medulla down to the cord.
    knots = [-70.0, -52.0, -44.0, -34.0, -27.0, -24.0, -16.0, -8.0, 1.0]
    front = np.interp(s, knots, [-17, -17.5, -15, -8.5, -2.0, 0.4, 1.6, 2.6, front_below])
    back = np.interp(s, knots, [4.0, 7.0, 9.5, 12.5, 13.2, 13.6, 14.0, 13.6, back_below])
    stem = brush.between(front, back) * brush.inside(1 - s) * brush.inside(d - clivus - 1.8)
    shade = 0.97 + 0.04 * brush.texture("grain") + 0.03 * brush.texture("cloud")
    brush.paint(stem * width, "brain", shade)
