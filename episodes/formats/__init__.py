"""Datasets of other programs, in and out.

`importing` and `exporting` do the whole, `registry` lists the formats. A format, or a family of them, is a folder: its
readers give a `source.Source`, its `export` a `exporting.Writer`. What all share: `mapping` (what a person says of the
data), `meaning` (flags), `fields` (columns, units), `note` (what an export says of itself).
"""

from __future__ import annotations

from episodes.formats.importing import ImportReport, import_dataset

__all__ = ["ImportReport", "import_dataset"]
