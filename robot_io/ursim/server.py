"""The simulated controller's process: one thread, its sockets, and a tick every 2 ms of controller time.

On a busy machine client and controller are late together, which no arm would be: so simulated time stands while a
client is about to be stopped by the watchdog it set, for at most `WAITS_S`, as long as its link is well.

Ports are UR's own (`ur_rtde` has them built in): 29999 dashboard, 30003 scripts, 30004 RTDE; and ours, 30010 for the
cell beside the controller and 30020 for faults. Several controllers run side by side on addresses 127.x.y.z.
"""

from __future__ import annotations

import ipaddress
import math
import selectors
import signal
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from episodes.errors import DeviceError, UsageError
from robot_io.ursim.cell import Cell
from robot_io.ursim.cell_port import CellPort
from robot_io.ursim.controller import DT_S, Controller
from robot_io.ursim.faults import FaultPort
from robot_io.ursim.link import Connection, LinkFault, Service
from robot_io.ursim.modes import POLYSCOPE
from robot_io.ursim.services import LineService, RtdeService, ScriptService, ServiceFault, dashboard_service

DASHBOARD, SCRIPT, RTDE, CELL, FAULTS = 29999, 30003, 30004, 30010, 30020
LATE_S = 4 * DT_S
"""further behind than this, the time that is lost is not made up for: ticks in a burst hear of no client meanwhile"""
WAITING = 16
WAITS_S = 1.0
"""for a client that is late, in wall time; a real controller waits for nobody"""


@dataclass(frozen=True, slots=True, kw_only=True)
class UrSimConfig:
    """How a simulated controller runs."""

    host: str = "127.0.0.2"
    """an address 127.x.y.z"""
    task: str = "tube_insertion"
    """the cell's task, by slug"""
    seed: int = 0
    """of the cell's first episode"""
    polyscope: str = "5.12"
    """version, one of `modes.POLYSCOPE`"""
    powered: bool = True
    """RUNNING at the start; else POWER_OFF"""
    speed: float = 1.0
    """controller seconds a wall second"""

    def __post_init__(self) -> None:
        if self.polyscope not in POLYSCOPE:
            raise UsageError(f"there is no PolyScope {self.polyscope!r} here; choose {' or '.join(POLYSCOPE)}")
        if not 0.0 < self.speed <= 100.0:
            raise UsageError(f"the speed is {self.speed}; give controller seconds a wall second, 1 for real time")
        if not _is_loopback(self.host):
            raise UsageError(f"the host is {self.host!r}; give an address of this machine alone, as 127.0.0.2")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.IPv4Address(host).is_loopback
    except ValueError:
        return False


@dataclass(slots=True)
class Network:
    """Listening sockets and connections of one controller."""

    host: str
    services: Mapping[int, Callable[[], Service]]
    faults: Mapping[int, LinkFault]
    now: Callable[[], float]
    """by which faults of a link come and go, s"""
    connections: list[Connection] = field(default_factory=list)
    _listeners: dict[int, socket.socket] = field(default_factory=dict)
    _selector: selectors.SelectSelector = field(default_factory=selectors.SelectSelector)
    """select(2) waits in microseconds, epoll in milliseconds"""

    def listen(self) -> None:
        """Open every port that is not. `DeviceError` where one is taken."""
        for port in self.services.keys() - self._listeners.keys():
            listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((self.host, port))
            except OSError as error:
                listener.close()
                self.close()
                raise DeviceError(
                    f"port {port} of {self.host} cannot be opened ({error.strerror}); "
                    "is another controller running there? give another --host 127.x.y.z"
                ) from error
            listener.listen(WAITING)
            listener.setblocking(False)
            self._listeners[port] = listener
            self._selector.register(listener, selectors.EVENT_READ, port)

    def wait(self, timeout_s: float) -> None:
        """Serve what arrives within the timeout."""
        for key, _ in self._selector.select(timeout_s):
            if isinstance(key.data, Connection):
                key.data.read()
            else:
                self._accept(key.data)
        self._sweep()

    def tick(self) -> None:
        """Send what is due on every connection."""
        for connection in self.connections:
            connection.tick()
        self._sweep()

    def drop(self, ports: tuple[int, ...], *, reset: bool) -> None:
        """End all connections to these ports."""
        for connection in self.connections:
            if connection.open and connection.socket.getsockname()[1] in ports:
                connection.close(reset=reset)
        self._sweep()

    def close_ports(self, ports: tuple[int, ...]) -> None:
        """Listen on these ports no more."""
        for port in ports:
            if port in self._listeners:
                self._selector.unregister(self._listeners[port])
                self._listeners.pop(port).close()

    def close(self) -> None:
        """Close everything."""
        self.drop(tuple(self.services), reset=False)
        self.close_ports(tuple(self.services))

    def _accept(self, port: int) -> None:
        try:
            accepted, _ = self._listeners[port].accept()
        except OSError:
            return
        accepted.setblocking(False)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(accepted, self.services[port](), self.faults[port], self.now)
        self.connections.append(connection)
        self._selector.register(accepted, selectors.EVENT_READ, connection)
        connection.begin()

    def _sweep(self) -> None:
        """Let go of connections that ended; only here, so that no number of a socket is used twice meanwhile."""
        for connection in self.connections:
            if not connection.open:
                self._selector.unregister(connection.socket)
                connection.socket.close()
        self.connections = [connection for connection in self.connections if connection.open]


class UrSim:
    """One simulated controller with its cell and its ports."""

    def __init__(self, config: UrSimConfig) -> None:
        self.config = config
        self.cell = Cell(config.task, config.seed)
        self.robot = Controller(self.cell, version=POLYSCOPE[config.polyscope], powered=config.powered)
        service, links = ServiceFault(), {port: LinkFault() for port in (DASHBOARD, SCRIPT, RTDE, CELL, FAULTS)}
        cell_port = CellPort(self.robot, self.cell)
        self.faults = FaultPort(self.robot, self.cell, service, links, cell_port.camera)
        services: dict[int, Callable[[], Service]] = {
            DASHBOARD: lambda: dashboard_service(self.robot, service),
            SCRIPT: lambda: ScriptService(self.robot, service),
            RTDE: lambda: RtdeService(self.robot, service),
            CELL: lambda: LineService(cell_port.answer),
            FAULTS: lambda: LineService(self.faults.answer),
        }
        self.network = Network(config.host, services, links, lambda: self.robot.time_s)
        self._rtde_link = links[RTDE]
        self._stopped, self._stands_since_s = False, math.inf

    def run(self) -> None:
        """Serve until a signal ends it; `READY` on stdout says when clients may come."""
        self.network.listen()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        print(f"READY {self.config.host} {self.robot.version} {self.config.task}", flush=True)
        try:
            self._loop()
        finally:
            self.network.close()
            self.cell.close()

    def _stop(self, *_: object) -> None:
        self._stopped = True

    def _loop(self) -> None:
        period_s = DT_S / self.config.speed
        due_s = time.monotonic()
        while not self._stopped:
            self.network.wait(max(0.0, due_s - time.monotonic()))
            now_s = time.monotonic()
            if now_s < due_s:
                continue
            if self._stands(now_s):
                due_s = now_s + DT_S
            else:
                self.robot.tick()
                self.network.tick()
                due_s = due_s + period_s if now_s - due_s < LATE_S else now_s
            self.faults.tick(self.network)

    def _stands(self, now_s: float) -> bool:
        """Whether time waits for a late client, whose silence is the machine's and not an injected one."""
        if not self.robot.awaits_client or self._rtde_link.is_bad(self.robot.time_s):
            self._stands_since_s = math.inf
            return False
        self._stands_since_s = min(self._stands_since_s, now_s)
        return now_s - self._stands_since_s < WAITS_S


def serve(config: UrSimConfig) -> None:
    """Run one simulated controller in this process until a signal ends it."""
    UrSim(config).run()
