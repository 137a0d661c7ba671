"""A Volume to the Tensor that a network is given, each step recorded in the volume's history.

orientation     axes in one order and direction, by the affine
spine           the spinal canal and the mid-sagittal slice, from the images themselves
window          which part of the patient is cut, and the cutting
resampling      in-plane interpolation by a matrix for each axis
normalisation   intensities to a common scale
loaders         by whom images are read, as caches, models and their records know it
augmentation    what training changes at random
preprocessor    Preprocessor: the object that does all this
"""

from cervispine.preprocessing.preprocessor import Preprocessor

__all__ = ["Preprocessor"]
