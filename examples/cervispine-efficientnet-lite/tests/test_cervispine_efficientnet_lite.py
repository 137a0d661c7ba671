import torch
from cervispine_efficientnet_lite import backbone

from cervispine.testing import check_backbone


def test_the_contract() -> None:
    check_backbone(backbone.build, sizes=[(64, 64)])


def test_the_weights_are_those_of_the_package() -> None:
    ramp = torch.linspace(-1, 1, 64)[None, :] * torch.linspace(1, -1, 64)[:, None]
    network = backbone.build(in_channels=1, num_classes=2, pretrained=True).eval()
    with torch.inference_mode():
        features = network.forward_head(
            network.forward_features(ramp.expand(1, 1, 64, 64)), pre_logits=True
        )
    # What efficientnet-lite-pytorch 0.1.0, for which the weights were made, gives for this image.
    expected = torch.tensor([0.0, 0.0, 2.4119, 1.1387, 2.7843])
    torch.testing.assert_close(features[0, :5], expected, atol=1e-4, rtol=0)


def test_a_grey_image_does_not_depend_on_how_often_it_is_repeated() -> None:
    image = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    features = []
    for channels in (1, 3, 5):
        network = backbone.build(in_channels=channels, num_classes=2, pretrained=True).eval()
        with torch.inference_mode():
            features.append(network.forward_features(image.expand(-1, channels, -1, -1)))
    torch.testing.assert_close(features[0], features[1], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(features[0], features[2], atol=1e-4, rtol=1e-4)


def test_the_map_layer_exists() -> None:
    network = backbone.build(in_channels=1, num_classes=2)
    assert network.get_submodule(backbone.map_layer) is not None
