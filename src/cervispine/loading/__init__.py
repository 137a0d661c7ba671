"""A folder of images to a Cohort, a Study to a Volume; what is doubtful is refused, never guessed.

limits      how much a file, a series or an archive may ask for
intake      folder -> every file in it, whatever else lies there
archives    zip -> files: the one place that unpacks
dicomdir    DICOMDIR -> the files it lists
sources     any of these, or a list of them -> files
quiet       what pydicom says is kept in: it quotes values
elements    an element of a data set -> text, number, UID
kinds       what kind of image a file holds, and whether it can be a slice
frames      the frames of a multi-frame image, each as an image of its own
checks      what a header says of the pixels, before any is decoded
headers     file -> Headers, one a slice: the few values that decide, checked one by one
privacy     what a header says of who the patient is: counted, never kept
store       a file that keeps values under keys, whole after every interruption
saved       what reading each file gave, so that only what is new is read again
weighting   protocol numbers -> T1, T2, PD, STIR, GRE or unknown, with the reason
geometry    positions and orientations -> order along the normal, plane, Geometry
stacks      Headers of one series -> stacks: split, check, order
studies     stacks -> studies: copies counted once, one series a sequence
assembly    the Headers of all files -> studies, and what became of the rest
hashing     Cohort -> Manifest: which bytes it is made of, and whether they still are the same
decoders    encoded pixels -> stored values, by one named package a transfer syntax
codestreams the head of a compressed image against what the file says
isolation   a decoder that may die, in a process of its own
pixels      file -> float32 pixels, whatever the transfer syntax
selection   what is wanted: which plane and sequences, which series, which of its slices
loader      Loader: the object that does all this for DICOM
bids        what the name of a NIfTI file and its sidecar say
nifti_file  one NIfTI file: its header, where it lies in the patient, its pixels
nifti_studies  NIfTI images to studies
nifti       NiftiLoader: the object that does all this for NIfTI
registry    which loaders are installed, and making one by name
stamps      what a study is known by without reading it
"""

from cervispine.loading.hashing import make_manifest, refuse_changed, seal, verify
from cervispine.loading.limits import Limits
from cervispine.loading.loader import Loader
from cervispine.loading.nifti import NiftiLoader
from cervispine.loading.registry import (
    ImageLoader,
    MakeLoader,
    build_loader,
    find_loader,
    index_with,
    list_loaders,
    load_loader,
)

__all__ = [
    "ImageLoader",
    "Limits",
    "Loader",
    "MakeLoader",
    "NiftiLoader",
    "build_loader",
    "find_loader",
    "index_with",
    "list_loaders",
    "load_loader",
    "make_manifest",
    "refuse_changed",
    "seal",
    "verify",
]
