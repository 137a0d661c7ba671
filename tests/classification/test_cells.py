from __future__ import annotations

import pytest
import torch
from torch import nn

from cervispine.backbones import build_backbone
from cervispine.classification.cells import cells_of
from cervispine.exceptions import BackboneContractError


@pytest.mark.parametrize(
    ("layers", "start", "step"),
    [
        ([nn.AvgPool2d(4)], 1.5, 4),
        ([nn.Conv2d(3, 8, 3, stride=2), nn.Conv2d(8, 8, 3, stride=2)], 3, 4),
        ([nn.Conv2d(3, 8, 7, stride=2, padding=3), nn.MaxPool2d(3, 2, 1)], 0, 4),
    ],
)
def test_cells_are_placed_where_they_look(
    layers: list[nn.Module], start: float, step: float
) -> None:
    network = nn.Sequential(*layers)
    for cells in cells_of(network, layers[-1], channels=3):
        assert cells.step == step
        assert cells.start == pytest.approx(start, abs=0.15 * step)


def test_the_first_cell_of_a_resnet_lies_on_the_first_pixel() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build_backbone("resnet34", in_channels=3, num_classes=2)
    for cells in cells_of(network.eval(), network.get_submodule("layer3"), channels=3):
        assert cells.step == 16
        assert abs(cells.start) < 1.5  # and not 7.5, as stretching the map would have it


def test_a_layer_without_maps_is_refused() -> None:
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))
    for layer in network:
        with pytest.raises(BackboneContractError, match="no maps"):
            cells_of(network, layer, channels=3)


def test_a_network_blind_to_faint_images_is_asked_with_stronger_ones() -> None:
    class Blind(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cells = nn.AvgPool2d(2)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            cells: torch.Tensor = self.cells(torch.relu(images.abs() - 20))
            return cells

    network = Blind()
    (down, across) = cells_of(network, network.cells, channels=1)
    assert (down.step, across.step) == (2, 2)
    assert down.start == pytest.approx(0.5, abs=0.3)


def test_a_layer_without_gradient_is_refused() -> None:
    layer = nn.Hardtanh(-1e-9, 1e-9)
    with pytest.raises(BackboneContractError, match="no gradient"):
        cells_of(nn.Sequential(nn.AvgPool2d(2), layer), layer, channels=1)
