"""No process outlives its run, however the engine ends."""

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import uuid
from pathlib import Path

import pytest

from stretto.runtime.backends.watchdog import kill_leftovers
from tests.backend_driver import alive, marked, wait_until

ENGINE = """
import asyncio, sys, time
from pathlib import Path
from stretto.platform import Node, Platform, Slot
from stretto.runtime.backend import Call, Program, Request, Started
from stretto.runtime.backends.embedded import Embedded

DAEMON = '''
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(1000)
    os._exit(0)
time.sleep(1000)
'''

def call(last):
    import subprocess
    if last:
        subprocess.run(["sleep", "1000"])

async def main(run_id, folder):
    backend = Embedded(Platform("here", (Node("here", 64, 0, 1),)), run_id=run_id)
    started = set()
    await backend.start(lambda r: started.add(r.task) if type(r) is Started else None)
    place = lambda: (Slot(0, 1, 0, 0, 0, 1),)
    program = lambda *words: Program(words, (), folder, folder / "out", folder / "err")
    works = [
        program("/bin/sh", "-c", "trap '' TERM HUP INT; sleep 1000 & sleep 1000"),
        program(sys.executable, "-S", "-c", DAEMON),
        Call(call, ((False,), {}), {}),
        Call(call, ((True,), {}), {}),
    ]
    backend.launch([Request(i, 1, place(), work, 1) for i, work in enumerate(works)])
    while len(started) < 4:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)
    print("up", flush=True)
    await asyncio.sleep(1000)

asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
"""


@pytest.fixture
def run_id():
    name = f"test-{uuid.uuid4().hex}"
    yield name
    kill_leftovers(name)


@contextlib.contextmanager
def sleeper(**environment):
    process = subprocess.Popen(["sleep", "1000"], env={**os.environ, **environment})
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def named(run_id):
    """Processes with the run's identifier among their arguments, as the watchdog has."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if run_id.encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
    return found


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_an_engine_that_is_killed_leaves_nothing(tmp_path, run_id, end):
    script = tmp_path / "engine.py"
    script.write_text(textwrap.dedent(ENGINE))
    words = [sys.executable, script, run_id, tmp_path]
    with (
        sleeper(STRETTO_RUN=f"{run_id}-other") as bystander,
        subprocess.Popen(words, stdout=subprocess.PIPE, start_new_session=True) as engine,
    ):
        assert engine.stdout.readline() == b"up\n"
        pids = marked(run_id)
        assert len(pids) >= 6
        # The whole group, as a terminal or a batch system may do it.
        os.killpg(engine.pid, end)
        wait_until(lambda: not any(alive(pid) for pid in pids))
        wait_until(lambda: not marked(run_id))
        engine.wait()
        wait_until(lambda: not any(alive(pid) for pid in named(run_id)))
        assert bystander.poll() is None


def test_leftovers_are_those_with_exactly_this_mark(run_id):
    with (
        sleeper(STRETTO_RUN=run_id) as ours,
        sleeper(STRETTO_RUN=f"{run_id}0") as longer,
        sleeper(OTHER=f"STRETTO_RUN={run_id}") as quoted,
    ):
        assert kill_leftovers(run_id) == 1
        assert ours.wait() == -signal.SIGKILL
        assert longer.poll() is None
        assert quoted.poll() is None
        assert kill_leftovers(run_id) == 0


def test_processes_that_keep_starting_others_are_caught(run_id):
    chain = "import os, time\nwhile os.fork() == 0: time.sleep(0.001)\n"
    environment = {**os.environ, "STRETTO_RUN": run_id}
    with subprocess.Popen([sys.executable, "-S", "-c", chain], env=environment) as first:
        first.wait()
        kill_leftovers(run_id, empty_rounds=4)
        assert not [pid for pid in marked(run_id) if alive(pid)]


def test_a_caller_with_the_mark_itself_is_spared(run_id):
    program = (
        "from stretto.runtime.backends.watchdog import kill_leftovers\n"
        f"print(kill_leftovers({run_id!r}))"
    )
    environment = {**os.environ, "STRETTO_RUN": run_id}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True)
    assert done.stdout == b"0\n"
