"""The simulated cell as MJCF text: arm, gripper, cameras, table, and whatever a task puts on it.

Everything is a primitive: no mesh, no download. Link lengths are UR's public DH parameters of the UR5e (the
UR7e shares them), masses, centres of mass and inertias those of UR's `physical_parameters.yaml` for the
UR7e. Units: metres, kilograms, radians, newtons.

The arm is driven by six `general` actuators between the tool point and a world-fixed *tool-down* site: gear
axis i selects one of x y z rx ry rz of the relative pose, so that

    force_i = KP * (target_i - pose_i) - KV * velocity_i

is a Cartesian impedance law computed inside the physics step, without inverse kinematics and without Python.

Software rendering pays for vertices, shadow maps and anti-aliasing, not for pixels: the `quality` line below
makes a 64-pixel frame some sixty times cheaper than MuJoCo's defaults.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

PHYSICS_DT_S = 0.002
STIFFNESS_N_PER_M = 3000.0
DAMPING_N_S_PER_M = 420.0
STIFFNESS_NM_PER_RAD = 200.0
DAMPING_NM_S_PER_RAD = 22.0
FORCE_LIMIT_N = 80.0
TORQUE_LIMIT_NM = 12.0
OPENING_MAX_M = 0.0425
"""travel of one finger; the jaw opens twice as wide"""
GRIP_FORCE_N = 160.0


@dataclass(frozen=True, slots=True)
class Link:
    """One moving link: its frame in the parent, its joint's armature, its inertia and its shape."""

    name: str
    pos: str
    euler: str
    mass_kg: float
    com: str
    inertia: str
    armature: float
    shape: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Physics:
    """How the cell is integrated, and the table that suits it."""

    dt_s: float = PHYSICS_DT_S
    solver: str = 'integrator="implicitfast"'
    memory: str = "20M"
    """for contacts and constraints"""
    table: str = 'type="box" size=".5 .6 .02" pos=".5 0 -.02" conaffinity="5"'


RIGID = Physics()
CLOTH = Physics(
    dt_s=0.005,
    solver='integrator="discrete" iterations="30" tolerance="1e-6"',
    memory="60M",
    table='type="plane" size=".5 .6 .02" pos=".5 0 0" conaffinity="13"',
)
"""flex cloth: implicit in its own stiffness, so that longer steps stand; on a plane it has a fifth of the contacts"""

LINKS = (
    Link(
        "shoulder", "0 0 .1625", "0 0 0", 3.761, "0 -.00193 -.02561", ".0070 .0065 .0066", 0.15,
        'type="capsule" fromto="0 0 -.06 0 0 0" size=".06"',
    ),
    Link(
        "upper_arm", "0 0 0", f"{pi / 2} 0 0", 8.058, "-.2125 0 .11336", ".01506 .3339 .3325", 0.15,
        'type="capsule" fromto="0 0 .13 -.425 0 .13" size=".055"',
    ),
    Link(
        "forearm", "-.425 0 0", "0 0 0", 2.846, "-.2422 0 .0265", ".0041 .0788 .0784", 0.15,
        'type="capsule" fromto="0 0 .02 -.3922 0 .02" size=".042"',
    ),
    Link(
        "wrist_1", "-.3922 0 .1333", "0 0 0", 1.37, "0 -.01634 -.0018", ".00165 .00136 .00126", 0.08,
        'type="capsule" fromto="0 0 -.05 0 0 .03" size=".04"',
    ),
    Link(
        "wrist_2", "0 -.0997 0", f"{pi / 2} 0 0", 1.3, "0 .01634 -.0018", ".00136 .00128 .00097", 0.08,
        'type="capsule" fromto="0 0 -.05 0 0 .03" size=".04"',
    ),
    Link(
        "wrist_3", "0 .0996 0", f"{-pi / 2} 0 0", 0.365, "0 0 -.00116", ".00019 .00019 .00026", 0.08,
        'type="cylinder" fromto="0 0 -.03 0 0 0" size=".035"',
    ),
)  # fmt: skip


def cell_xml(
    objects: str,
    *,
    equality: str = "",
    tool: str = "",
    vertical_n_per_m: float = STIFFNESS_N_PER_M,
    third_view_deg: float = 30.0,
    physics: Physics = RIGID,
) -> str:
    """The whole cell; `objects` goes into the world body, `equality` beside the gripper's own constraint.

    `tool` is fixed to the hand; `vertical_n_per_m` is the stiffness along z.
    """
    return f"""<mujoco model="regrasp">
<compiler angle="radian" eulerseq="XYZ" autolimits="true"/>
<option timestep="{physics.dt_s}" {physics.solver} cone="elliptic" impratio="10"/>
<size memory="{physics.memory}"/>
<visual>
  <global offwidth="640" offheight="480"/><map znear=".01"/>
  <quality shadowsize="0" offsamples="0" numslices="12" numstacks="8" numquads="2"/>
</visual>
<default>
  <geom solref=".004 1" solimp=".95 .99 .001"/>
  <default class="arm"><geom contype="2" conaffinity="4" rgba=".75 .78 .8 1" mass="0"/></default>
  <default class="pad"><geom type="box" contype="1" conaffinity="1" friction="1.2 .02 .002" condim="6" mass="0"
    rgba=".1 .1 .1 1" priority="1"/></default>
</default>
<asset>
  <texture name="table" type="2d" builtin="checker" width="128" height="128" rgb1=".55 .5 .45" rgb2=".5 .46 .42"/>
  <material name="table" texture="table" texrepeat="6 6"/>
</asset>
<worldbody>
  <light pos=".3 0 2" dir="0 0 -1" diffuse=".8 .8 .8"/>
  <light pos="1.5 -1 1.5" dir="-1 .7 -1" diffuse=".3 .3 .3"/>
  <geom name="table" {physics.table} material="table"/>
  <camera name="third" pos="1.0 0 .38" xyaxes="0 1 0 -.475 0 .881" fovy="{third_view_deg}"/>
  <site name="tool_down" euler="{pi} 0 0" size=".001"/>
  {_arm(tool)}
  {objects}
</worldbody>
<equality><joint joint1="finger_left" joint2="finger_right" solref=".004 1"/>{equality}</equality>
<contact><exclude body1="finger_left" body2="finger_right"/></contact>
<actuator>{_impedance(vertical_n_per_m)}
  <position name="gripper" joint="finger_left" kp="8000" kv="80" forcerange="-{GRIP_FORCE_N} {GRIP_FORCE_N}"
    ctrlrange="0 {OPENING_MAX_M}"/>
</actuator>
<sensor><force name="force" site="flange"/><torque name="torque" site="flange"/></sensor>
</mujoco>"""


def _arm(tool: str) -> str:
    tree = _gripper(tool)
    for link in reversed(LINKS):
        tree = (
            f'<body name="{link.name}" pos="{link.pos}" euler="{link.euler}" gravcomp="1">'
            f'<inertial mass="{link.mass_kg}" pos="{link.com}" diaginertia="{link.inertia}"/>'
            f'<joint name="{link.name}" axis="0 0 1" armature="{link.armature}"/>'
            f'<geom class="arm" {link.shape}/>\n{tree}</body>'
        )
    foot = '<geom class="arm" type="cylinder" size=".075 .05" pos="0 0 .05"/>'
    return f'<body name="base" euler="0 0 {pi}">{foot}{tree}</body>'


def _gripper(tool: str) -> str:
    fingers = "".join(_finger(name, side) for name, side in (("finger_left", 1), ("finger_right", -1)))
    return f"""<body name="hand" gravcomp="1">
  <inertial mass=".8" pos="0 0 .06" diaginertia=".0015 .0015 .0006"/>
  <site name="flange" size=".001"/><site name="tool" pos="0 0 .165" size=".004"/>
  <geom class="arm" type="box" size=".06 .035 .045" pos="0 0 .05" rgba=".2 .2 .2 1"/>
  <camera name="wrist" pos="0 -.09 .02" euler="{pi - 0.35} 0 0" fovy="75"/>
  {fingers}{tool}</body>"""


def _finger(name: str, side: int) -> str:
    return f"""<body name="{name}" pos="0 0 .095" gravcomp="1">
    <inertial mass=".06" pos="0 0 .03" diaginertia="5e-5 5e-5 1e-5"/>
    <joint name="{name}" type="slide" axis="{side} 0 0" range="0 {OPENING_MAX_M}" damping="8" armature=".05"/>
    <geom class="pad" size=".006 .012 .022" pos="{side * 0.006} 0 .058"/>
    <geom class="arm" type="box" size=".006 .012 .018" pos="{side * 0.006} 0 .018" rgba=".2 .2 .2 1"/></body>"""


def _impedance(vertical_n_per_m: float) -> str:
    """Six actuators, x y z rx ry rz of the tool in the tool-down frame."""
    translation = (STIFFNESS_N_PER_M, DAMPING_N_S_PER_M, FORCE_LIMIT_N)
    rotation = (STIFFNESS_NM_PER_RAD, DAMPING_NM_S_PER_RAD, TORQUE_LIMIT_NM)
    lines = []
    for axis in range(6):
        stiffness, damping, limit = translation if axis < 3 else rotation
        stiffness = vertical_n_per_m if axis == 2 else stiffness
        gear = " ".join("1" if i == axis else "0" for i in range(6))
        lines.append(
            f'<general site="tool" refsite="tool_down" gear="{gear}" gaintype="fixed" gainprm="{stiffness}" '
            f'biastype="affine" biasprm="0 -{stiffness} -{damping}" forcerange="-{limit} {limit}"/>'
        )
    return "\n  ".join(lines)
