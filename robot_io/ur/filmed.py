"""A cell some of whose cameras are devices of this machine, as the site file says. The rest is the cell's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from episodes.record import Array
from robot_io.cameras.rig import CameraRig
from robot_io.ur.cell import Cell, Sensed
from robot_io.ur.limits import Filmed


@dataclass(frozen=True, slots=True)
class FilmedCell:
    """Implements `Cell`."""

    cell: Cell
    rig: CameraRig

    def reset(self, seed: int) -> None:
        self.cell.reset(seed)

    def grip(self, command: float) -> None:
        self.cell.grip(command)

    def sense(self) -> Sensed:
        return self.cell.sense()

    def frame(self, camera: str, image_px: int) -> Array:
        source = self.rig if camera in self.rig.cameras else self.cell
        return source.frame(camera, image_px)

    def close(self) -> None:
        self.rig.close()
        self.cell.close()


def filmed(cell: Cell, cameras: Sequence[Filmed], wanted: Sequence[str]) -> Cell:
    """The cell with the cameras that have a device, as far as they are wanted.

    `DeviceError` where a device does not open, `UsageError` for an address of no kind; the cell is then let go.
    """
    addresses = {camera.name: camera.address for camera in cameras if camera.name in wanted}
    if not addresses:
        return cell
    try:
        return FilmedCell(cell, CameraRig(addresses))
    except BaseException:
        cell.close()
        raise
