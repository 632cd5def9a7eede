"""conftest.py -- the fixtures of the scenario tests

`server` is one server for all tests that do not disturb each other: every test gets
accounts of its own under the names it uses. Who stops, breaks or reconfigures a server makes
one with `make_server`.
"""
import os
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness import pgsql, wait  # noqa: E402
from harness.server import Server  # noqa: E402

ALIVE = []

_kill = os.kill


def kill(pid, sig):
    """As os.kill. 0, of a process that is just being replaced, would be all of us."""
    assert pid > 0, "this process is just being replaced"
    _kill(pid, sig)


os.kill = kill


@pytest.fixture(scope="session")
def top():
    """A folder that every user can reach, unlike pytest's own."""
    directory = tempfile.mkdtemp(prefix="stanzad-test-")
    os.chmod(directory, 0o755)
    yield directory
    if os.environ.get("STANZAD_KEEP"):
        print("kept:", directory)
    else:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def cluster(top):
    c = pgsql.Cluster(os.path.join(top, "pgsql"))
    c.create()
    yield c
    c.stop()


class Maker:
    def __init__(self, top, request):
        self.top, self.request, self.servers = top, request, []

    def __call__(self, start=True, **options):
        if options.get("database") == "pgsql":
            options["cluster"] = self.request.getfixturevalue("cluster")
        directory = tempfile.mkdtemp(prefix="s", dir=self.top)
        os.chmod(directory, 0o755)
        s = Server(directory, **options)
        self.servers.append(s)
        ALIVE.append(s)
        return s.start() if start else s

    def finish(self):
        try:
            for s in self.servers:
                s.new_test()
                s.stop()
        finally:
            for s in self.servers:
                s.kill()
                ALIVE.remove(s)


@pytest.fixture
def make_server(top, request):
    maker = Maker(top, request)
    yield maker
    maker.finish()


@pytest.fixture(scope="session")
def whole_run_maker(top, request):
    maker = Maker(top, request)
    yield maker
    maker.finish()


@pytest.fixture(scope="module")
def session_maker(top, request):
    """For servers that the tests of one file share; they end with it, or memory would."""
    maker = Maker(top, request)
    yield maker
    maker.finish()


@pytest.fixture(scope="session")
def shared_server(whole_run_maker):
    return whole_run_maker()


@pytest.fixture(scope="module")
def shared(shared_server):
    """Behind `server`: a file whose tests need other options has a fixture of this name."""
    return shared_server


@pytest.fixture
def server(shared):
    shared.new_test()
    yield shared
    shared.new_test()


@pytest.fixture(scope="session")
def shared_pgsql(whole_run_maker):
    return whole_run_maker(database="pgsql")


@pytest.fixture(params=["sqlite", "pgsql"])
def any_server(request):
    """The shared server, once with each database."""
    s = request.getfixturevalue("shared" if request.param == "sqlite" else "shared_pgsql")
    s.new_test()
    yield s
    s.new_test()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for s in ALIVE:
            if s is item.funcargs.get("server") or s is item.funcargs.get("any_server") \
                    or s in getattr(item.funcargs.get("make_server"), "servers", []):
                report.sections.append((f"log of {s.base}", s.log_tail(40)))
        for s in getattr(item.funcargs.get("chain"), "servers", []):
            report.sections.append((f"log of {s.base}", s.log_tail(40)))


def pytest_report_header(config):
    return f"patience: {wait.PATIENCE:.0f} s"
