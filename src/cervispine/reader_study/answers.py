"""What a reader says of a case, and when it is complete."""

from __future__ import annotations

from typing import Annotated, Literal
from unicodedata import category

from pydantic import BaseModel, ConfigDict, Field, field_validator

from cervispine.records.labels import OPLLType

__all__ = ["LEVELS", "QUALITIES", "Answer", "gaps"]

#: The vertebrae behind which the ligament can be seen on a cervical MRI.
LEVELS = ("C1", "C2", "C3", "C4", "C5", "C6", "C7", "T1", "T2", "T3")
QUALITIES = ("good", "limited", "unusable")

#: Of characters in a comment, what is seen by nobody: controls, halves of characters, marks that
#: turn the direction of a text. The page sends none of it, whatever was pasted.
_UNSEEN = ("Cc", "Cf", "Co", "Cs", "Zl", "Zp")
#: But lines, and what joins the parts of one sign.
_LAID_OUT = "\n\t\u200c\u200d"

Level = Literal["C1", "C2", "C3", "C4", "C5", "C6", "C7", "T1", "T2", "T3"]
Quality = Literal["good", "limited", "unusable"]


class Answer(BaseModel):
    """What a reader said of a case so far.

    Parameters
    ----------
    call
        1 for OPLL, 0 for none.
    rating
        How sure of OPLL, on the study's scale.
    type, levels
        Of the OPLL, where there is one.
    quality
        Of the images.
    comment
        Anything else; not needed.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    call: Annotated[int, Field(ge=0, le=1)] | None = None
    rating: Annotated[int, Field(ge=0, le=100)] | None = None
    type: OPLLType | None = None
    levels: Annotated[list[Level], Field(max_length=len(LEVELS))] = Field(default_factory=list)
    quality: Quality | None = None
    comment: Annotated[str, Field(max_length=2000)] = ""

    @field_validator("levels")
    @classmethod
    def _in_order(cls, levels: list[Level]) -> list[Level]:
        if len(set(levels)) < len(levels):
            raise ValueError("a level stands there twice")
        return sorted(levels, key=LEVELS.index)

    @field_validator("comment")
    @classmethod
    def _visible(cls, comment: str) -> str:
        if any(category(each) in _UNSEEN and each not in _LAID_OUT for each in comment):
            raise ValueError("a comment is text")
        return comment


def gaps(answer: Answer, scale: tuple[int, int]) -> list[str]:
    """Return the questions that are still open, or whose answers contradict each other.

    Parameters
    ----------
    answer
        What was said.
    scale
        The lowest and the highest rating of the study.
    """
    low, high = scale
    opll, said = answer.call == 1, answer.call is not None
    asked = {
        "call": not said,
        "rating": answer.rating is None or not low <= answer.rating <= high,
        # Of OPLL alone, and of all OPLL.
        "type": said and (answer.type is not None) != opll,
        "levels": said and bool(answer.levels) != opll,
        "quality": answer.quality is None,
    }
    return [question for question, is_open in asked.items() if is_open]
