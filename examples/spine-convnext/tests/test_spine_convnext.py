from spine_convnext import build

from cervispine.testing import check_backbone


def test_the_contract() -> None:
    check_backbone(build, sizes=[(64, 64)])
