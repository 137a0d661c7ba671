"""What the author of a plug-in runs.

backbones   check_backbone: the whole contract of a network
loaders     check_loader: the whole contract of a loader

Each check raises at the first breach, so that a plug-in's own test is one line::

    def test_contract():
        cervispine.testing.check_backbone("convnext_tiny")
"""

from cervispine.testing.backbones import check_backbone
from cervispine.testing.loaders import FolderLoader, check_loader

__all__ = ["FolderLoader", "check_backbone", "check_loader"]
