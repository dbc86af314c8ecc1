"""Look at cameras for a few seconds: `python -m robot_io.cameras third=v4l2:/dev/video0 wrist=realsense:`."""

from __future__ import annotations

import sys
import time

from episodes.errors import DeviceError, RegraspError, UsageError
from robot_io.cameras.rig import CameraRig

LOOK_S = 3.0


def main(arguments: list[str]) -> int:
    """A line for each camera; exit code 6 where one is not to be believed."""
    try:
        named = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
        if not named or len(named) != len(arguments):
            raise UsageError("give each camera as NAME=ADDRESS, such as third=v4l2:/dev/video0")
        with CameraRig(named) as rig:
            time.sleep(LOOK_S)
            lines = rig.told()
            troubled = any(camera.health().trouble for camera in rig.cameras.values())
    except RegraspError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(*lines, sep="\n")
    return DeviceError.exit_code if troubled else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
