"""What a person says about a field of the record: where it stands in the source, in which units, frame and coding.

In a mapping file (TOML), `[fields]` goes from a name of the record to a name of the source, a list of names, or a
table:

    [fields]
    reward = "reward"
    [fields.wrench]
    from = ["wrench.force.x.ret/10.0", "..."]
    scale = 10.0
    unit = "N"

What is said here wins over what a file says of itself.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import pydantic

Rotation = Literal["xyzw", "wxyz", "rotation_vector", "roll_pitch_yaw"]
"""how three or four columns of a pose are a rotation; roll, pitch, yaw turn about the fixed x, y, z in that order"""
Target = Literal[
    "time", "ee_pose", "proprio", "wrench", "executed_action", "policy_action", "human_action", "raw_action",
    "reward", "intervention", "success", "instruction",
]  # fmt: skip
Number = Annotated[float, pydantic.Field(allow_inf_nan=False)]


def _several(value: object) -> object:
    """One is a list of one."""
    return (value,) if isinstance(value, (str, int, float)) else value


class FieldMapping(pydantic.BaseModel):
    """One field of the record."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    source: Annotated[tuple[str, ...], pydantic.BeforeValidator(_several)] = pydantic.Field(alias="from", min_length=1)
    """names in the source, side by side in this order"""
    unit: Annotated[tuple[str, ...], pydantic.BeforeValidator(_several)] = ()
    """of the numbers after `scale`: one for all columns, or one each"""
    scale: Annotated[tuple[Number, ...], pydantic.BeforeValidator(_several)] = ()
    """the numbers of the source times this: one for all columns, or one each"""
    frame: str = ""
    """the coordinate frame of a pose, wrench or action"""
    rotation: Rotation | None = None
    """of a pose"""
    true: Literal["human", "policy"] = "human"
    """who acts where an intervention flag is true"""
    values: dict[str, Literal["success", "failure", "unknown"]] = {}
    """what the labels of an outcome mean; a label not named here is unknown"""

    @pydantic.model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"from": value} if isinstance(value, (str, list, tuple)) else value

    @pydantic.field_validator("scale")
    @classmethod
    def _not_zero(cls, scale: tuple[float, ...]) -> tuple[float, ...]:
        if any(factor == 0 or not math.isfinite(factor) for factor in scale):
            raise ValueError("is zero, which would wipe the numbers out")
        return scale


def line_of(field: str, sources: Sequence[str]) -> str:
    """The line of a mapping file (TOML) that says where a field stands, for a person to copy."""
    return f"fields.{field} = {json.dumps(sources[0] if len(sources) == 1 else list(sources), ensure_ascii=False)}"


class TableMapping(pydantic.BaseModel):
    """How a text table is written, and how it is cut into episodes."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    files: str | None = None
    """which files of the directory, such as `*.txt`; by default CSV, TSV and Parquet"""
    separator: Annotated[str, pydantic.Field(min_length=1, max_length=1)] | None = None
    """by default a comma, a tab in `.tsv`"""
    decimal: Literal[".", ","] = "."
    encoding: str = "utf-8"
    header: bool = True
    """False: the columns have no names and are "0", "1", ..."""
    skip: pydantic.NonNegativeInt = 0
    """lines before the header"""
    episode: str | None = None
    """the column whose value is another one in each episode; by default a file is an episode"""
    blocks: bool = False
    """empty lines part the episodes, and each has its label in a first line of its own"""

    @pydantic.field_validator("encoding")
    @classmethod
    def _has_lines(cls, encoding: str) -> str:
        try:
            if "\n".encode(encoding) != b"\n":
                raise ValueError(f"{encoding} cannot be read line by line; write the table again as utf-8")
        except LookupError as error:
            raise ValueError(f"there is no encoding {encoding!r}") from error
        return encoding
