"""A folder of DICOM to a Cohort, a Study to a Volume; what is doubtful is refused, never guessed.

limits      how much a file or a series may ask for before it is decoded
elements    an element of a data set -> text, number, UID
kinds       what kind of image a file holds, and whether it can be a slice
frames      the frames of a multi-frame image, each as an image of its own
intake      path -> every file in it, and the account of what became of each
headers     file -> Headers, one a slice: the few values that decide, checked one by one
weighting   protocol numbers -> T1, T2, PD, STIR, GRE or unknown, with the reason
geometry    positions and orientations -> order along the normal, plane, Geometry
series      Headers -> Series: group, split, check, choose one a sequence and study
decoders    encoded pixels -> stored values, by one named package a transfer syntax
pixels      file -> float32 pixels, whatever the transfer syntax
loader      Loader: the object that does all this
"""

from cervispine.loading.limits import Limits
from cervispine.loading.loader import Loader

__all__ = ["Limits", "Loader"]
