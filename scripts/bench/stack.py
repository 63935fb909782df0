"""A stack of the benchmark's own: own project, own ports, own secrets; nothing of it stays."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path
from types import TracebackType

from bench.engine import docker
from bench.figures import say

ROOT = Path(__file__).resolve().parent.parent.parent
COMPOSE_FILE = ROOT / "docker-compose.yml"
HEALTHY_WITHIN_S = 120
REMOVALS = 10
# A person's key may ask twice a second; what is measured here is how long an answer takes.
UNLIMITED = {"services": {"sutra-api": {"environment": {
    "SUTRA_API_RATE_PER_MINUTE": "1000000", "SUTRA_API_RATE_BURST": "1000000",
}}}}  # fmt: skip


def manifest() -> dict:
    """The services as `xtask/images.toml` declares them."""
    return tomllib.loads((ROOT / "xtask/images.toml").read_text())["service"]


class Stack:
    """The stack of eight, or some of it; a context manager that leaves no container, network or volume behind."""

    def __init__(self, tag: str, name: str) -> None:
        self.services = manifest()
        self.key = ""
        self._folder = tempfile.TemporaryDirectory(prefix="sutra-benchmark-")
        self._project = f"sutra-benchmark-{name}-{os.getpid()}"
        override = Path(self._folder.name) / "override.json"
        override.write_text(json.dumps(UNLIMITED))
        self._compose = [
            "compose", "--env-file", "/dev/null", "--project-name", self._project, "--project-directory", str(ROOT),
            "--file", str(COMPOSE_FILE), "--file", str(override),
        ]  # fmt: skip
        # Ports are the engine's choice; what a developer's shell or .env says of the real stack counts for nothing here.
        own = {name: value for name, value in os.environ.items() if not name.startswith("SUTRA_")}
        ports = re.findall(r"\$\{(SUTRA_\w+_PORT)", COMPOSE_FILE.read_text())
        self._env = own | dict.fromkeys(ports, "0") | {"SUTRA_VERSION": tag} | self._secrets(tag)

    def _secrets(self, tag: str) -> dict[str, str]:
        """Made as `deploy install` makes them: by the services' own commands, which print the plain secret and its entry."""
        entries = {}
        for service in self.services.values():
            if secret := service.get("secret"):
                image = f"{service['image']}:{tag}-optimized"
                lines = docker(
                    "run", "--rm", "--pull=never", "--network=none", "--read-only", "--cap-drop=ALL", image, *secret["command"]
                ).splitlines()
                plain, entry = [line.rpartition(": ")[2].strip() for line in lines if ": " in line][:2]
                entries[secret["variable"]] = entry
                if secret["plain"] == "SUTRA_API_KEY":
                    self.key = plain
        return entries

    def __enter__(self) -> "Stack":
        """Nothing runs before `up`."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Removes everything, whatever happened; a second Ctrl-C does not leave half of it."""
        before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
        for _ in range(REMOVALS):
            done = subprocess.run(
                ["docker", *self._compose, "down", "--volumes", "--timeout", "5"],
                capture_output=True, text=True, check=False, env=self._env,
            )  # fmt: skip
            # What was begun when `up` was stopped may come into being behind the first removal.
            if not (done.returncode or self._remains()):
                break
            time.sleep(1)
        else:
            say(f"of project {self._project} remains {self._remains()}: {done.stderr.strip()}")
        self._folder.cleanup()
        for number, handler in before.items():
            signal.signal(number, handler)

    def _remains(self) -> list[str]:
        """The ids of what the engine still has of this project."""
        mine = ("--quiet", "--filter", f"label=com.docker.compose.project={self._project}")
        kinds = (("ps", "--all"), ("network", "ls"), ("volume", "ls"))
        return [found for kind in kinds for found in docker(*kind, *mine).split()]

    def up(self, *names: str) -> float:
        """Starts services (all, if none is named), waits until each is healthy, and says how many seconds that took."""
        begun = time.monotonic()
        wait = ["up", "--detach", "--wait", "--wait-timeout", str(HEALTHY_WITHIN_S)]
        compose = subprocess.Popen(
            ["docker", *self._compose, *wait, *(self.services[name]["compose"] for name in names)],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=self._env,
        )  # fmt: skip
        try:
            _, said = compose.communicate()
        except BaseException:
            # It must have ended before anything can be removed.
            compose.terminate()
            compose.wait()
            raise
        if compose.returncode:
            sys.exit(f"the stack did not become healthy:\n{said[-3000:]}")
        return time.monotonic() - begun

    def container(self, name: str) -> str:
        """The id of a service's container."""
        return docker(*self._compose, "ps", "--quiet", self.services[name]["compose"], env=self._env)

    def port(self, name: str) -> int:
        """Where a service is published on loopback."""
        service = self.services[name]
        address = docker(*self._compose, "port", service["compose"], str(service["port"]), env=self._env)
        return int(address.rpartition(":")[2])
