"""server.py -- one stanzad of the tests: its folder, its life, its last word

A server that has been stopped must have exited with 0, left no process, and have no report
of a sanitizer, nor of a process that crashed, in its log. stop() asserts all three, so that
every test asserts them.
"""
import ctypes
import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys

import yaml

from . import certs, ports, wait
from .stream import Stream

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("STANZAD_BUILD", "build"))
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
REPORT = re.compile(r"ERROR: \w+Sanitizer|runtime error:|WARNING: \w+Sanitizer|"
                    r"SUMMARY: \w+Sanitizer|\w+Sanitizer: .*fatal|Sanitizer:DEADLYSIGNAL|"
                    r"was ended by signal (?!9 |15 )")


class Account:
    def __init__(self, user, host, password):
        self.user, self.host, self.password = user, host, password
        self.bare = f"{user}@{host}"


class CtlError(AssertionError):
    def __init__(self, args, status, out, err):
        self.status, self.out, self.err = status, out, err
        super().__init__(f"stanzactl {' '.join(args)}: exit {status}\n{out}{err}")


class Server:
    """
    config: options that replace the default ones; listen: options for every listener.
    ports: dict of listeners beside the usual two is config={"listen": [...]}.
    """

    def __init__(self, directory, config=None, listen=None, workers=2, hosts=("example.net",),
                 database="sqlite", cluster=None, user=None, cert_kind="ec",
                 asan="", program=None):
        self.dir = os.path.join(directory, "d")
        self.base = directory
        self.program = program or os.path.join(BUILD, "stanzad")
        self.as_user = user
        self.hosts = list(hosts)
        self.port, self.port_tls = ports.free(), ports.free()
        self.conf_file = os.path.join(directory, "stanzad.yml")
        self.cafile = os.path.join(directory, "ca.crt")
        self.stderr_file = os.path.join(directory, "stderr")
        self.process = None
        self.sessions = []
        self.streams = []
        self.accounts = {}
        self.n_test = 0
        self.cluster, self.database = cluster, database
        self.workers = workers
        self.reports_from = 0
        self.asan = asan
        os.makedirs(self.dir)
        for path in (directory, self.dir):
            os.chmod(path, 0o755)
        self.make_certificates(cert_kind)
        self.config = self.default_config(workers)
        if database == "pgsql":
            self.db_name = cluster.database()
            self.config.update(cluster.config(self.db_name))
        for ln in self.config["listen"]:
            ln.update(listen or {})
        self.config.update(config or {})
        self.write_config()
        if user:
            for top, dirs, files in os.walk(directory):
                for path in [top] + [os.path.join(top, f) for f in files]:
                    shutil.chown(path, user)

    # Files

    def cert_file(self, host):
        return os.path.join(self.base, f"{host}.pem")

    def make_certificates(self, kind="ec"):
        with open(self.cafile, "w") as ca:
            for host in self.hosts:
                name = host.encode("idna").decode()
                ca.write(certs.make(self.cert_file(host), [name], kind))

    def default_config(self, workers):
        def listener(port, ip, **more):
            return {"port": port, "ip": ip, "module": "ejabberd_c2s", "access": "all", **more}

        ips = ["127.0.0.1"] + (["::1"] if ports.HAS_IPV6 else [])
        return {
            "hosts": self.hosts,
            "loglevel": "debug",
            "workers": workers,
            "certfiles": [self.cert_file(h) for h in self.hosts],
            "listen": [listener(self.port, ip, starttls=True) for ip in ips]
            + [listener(self.port_tls, ip, tls=True) for ip in ips],
            "auth_password_format": "scram",
            "auth_stored_password_types": ["scram_sha1", "scram_sha256", "scram_sha512"],
            "modules": {"mod_ping": {}},
        }

    def write_config(self, **changes):
        self.config.update(changes)
        with open(self.conf_file, "w") as f:
            yaml.safe_dump(self.config, f, sort_keys=False)

    # Its life

    def environment(self, **more):
        env = {k: v for k, v in os.environ.items() if not k.endswith("SAN_OPTIONS")}
        # No symbolizer: a sandboxed process cannot start one. We do it afterwards.
        env["ASAN_OPTIONS"] = ("detect_leaks=1:symbolize=0:strict_string_checks=1:"
                               "detect_stack_use_after_return=1:abort_on_error=0:" + self.asan)
        env["UBSAN_OPTIONS"] = "print_stacktrace=1:halt_on_error=1:symbolize=0"
        # No suppressions: a file could not be read from within the sandbox, which hides leaks.
        return {**env, **more}

    def spawn(self, *args, env=None):
        as_user = {"user": self.as_user, "group": pwd.getpwnam(self.as_user).pw_gid, "extra_groups": []} \
            if self.as_user else {}
        with open(self.stderr_file, "ab") as err:
            return subprocess.Popen(
                [self.program, *args], stdin=subprocess.DEVNULL, stdout=err, stderr=err,
                env=self.environment(**(env or {})), cwd=self.base, start_new_session=True,
                preexec_fn=die_with_parent, **as_user)

    def start(self, ready=True, env=None):
        self.process = self.spawn("-f", "-c", self.conf_file, "-d", self.dir, env=env)
        self.sessions.append(self.process.pid)
        if ready:
            self.wait_ready()
        return self

    def kill_master(self):
        """Kills nobody else: the others go on, and start() brings another master."""
        self.process.kill()
        self.wait_master()

    def wait_master(self):
        """Its end, by whatever, but not in order."""
        assert self.process.wait(wait.PATIENCE) == -signal.SIGKILL
        self.process = None

    def can_kill_at_points(self):
        """Was the program built with them (base/killpoint.h)?"""
        with open(f"{BUILD}/stanzad", "rb") as f:
            return b"STANZAD_KILLPOINT\0" in f.read()

    def is_ready(self):
        assert self.process.poll() is None, \
            f"stanzad ended with {self.process.returncode}:\n{self.log_tail()}"
        return self.ctl_status("status")[0] == 0

    def wait_ready(self):
        wait.until(self.is_ready, "the service to be ready", 2 * wait.PATIENCE)
        return self

    def stop(self, sig=signal.SIGTERM):
        """Ordered shutdown; asserts that it was one."""
        if self.process is None:
            left = self.pids_left()
            names = self.kill_left(left)
            assert not left, f"processes without a master: {names}"
            return
        pids = self.pids_left()
        process, self.process = self.process, None
        if process.poll() is None:
            process.send_signal(sig)
        try:
            status = process.wait(2 * wait.PATIENCE)
        except subprocess.TimeoutExpired:
            names = self.kill_left(pids)
            process.kill()
            raise AssertionError(f"the shutdown hung; alive: {names}\n{self.log_tail()}") from None
        left = [p for p in pids if alive(p)]
        if left:
            names = self.kill_left(left)
            raise AssertionError(f"processes outlived the master: {names}")
        assert status == 0, f"stanzad exited with {status}:\n{self.log_tail()}"
        self.check_reports()

    def kill(self):
        """For a server that a test has broken on purpose: no questions asked."""
        pids = self.pids_left()
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
        self.kill_left(pids)
        wait.until(lambda: not [p for p in pids if alive(p)], "every process to be gone")

    def pids_left(self):
        """Our processes: those in the sessions that start() made."""
        found = []
        for name in os.listdir("/proc"):
            if name.isdigit():
                try:
                    with open(f"/proc/{name}/stat") as f:
                        fields = f.read().rpartition(")")[2].split()
                except OSError:
                    continue
                if int(fields[3]) in self.sessions and fields[0] != "Z":
                    found.append(int(name))
        return found

    def kill_left(self, pids):
        names = []
        for pid in pids:
            try:
                with open(f"/proc/{pid}/cmdline") as f:
                    names.append(f"{pid} {f.read()}")
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        return names

    def check_reports(self):
        text = self.log()[self.reports_from:]
        if REPORT.search(text):
            start = REPORT.search(text).start()
            report = text[max(0, start - 500):start + 6000]
            raise AssertionError(f"a process crashed, or a sanitizer complained:\n{symbolize(report)}")

    def forget_reports(self):
        """After a crash that the test itself caused."""
        self.reports_from = len(self.log())

    # What it says

    def stderr(self):
        with open(self.stderr_file, errors="replace") as f:
            return f.read()

    def log(self):
        """All log lines so far: standard error, and the file of log_target: file."""
        text = self.stderr()
        path = os.path.join(self.dir, "stanzad.log")
        if os.path.exists(path):
            with open(path, errors="replace") as f:
                text += f.read()
        return text

    def log_tail(self, lines=60):
        return "\n".join(self.log().splitlines()[-lines:])

    def wait_log(self, pattern):
        return wait.until(lambda: re.search(pattern, self.log()), f"{pattern!r} in the log")

    # stanzactl

    def ctl_status(self, *args):
        """(exit code, standard output, standard error)"""
        as_user = {"user": self.as_user, "group": pwd.getpwnam(self.as_user).pw_gid, "extra_groups": []} \
            if self.as_user else {}
        p = subprocess.run([f"{BUILD}/stanzactl", "-d", self.dir, *args], text=True,
                           stdin=subprocess.DEVNULL, capture_output=True,
                           timeout=2 * wait.PATIENCE, env=self.environment(), **as_user)
        assert not REPORT.search(p.stderr), p.stderr
        return p.returncode, p.stdout, p.stderr

    def spawn_ctl(self, *args):
        """A command that runs while the test goes on; a Popen."""
        return subprocess.Popen([f"{BUILD}/stanzactl", "-d", self.dir, "--timeout", "60", *args],
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL, env=self.environment())

    def ctl(self, *args):
        """Standard output of a command that must succeed."""
        status, out, err = self.ctl_status(*args)
        if status != 0:
            raise CtlError(args, status, out, err)
        return out.rstrip("\n")

    def ctl_lines(self, *args):
        return [line for line in self.ctl(*args).split("\n") if line]

    def processes(self, role=None):
        found = json.loads(self.ctl("processes", "--json"))
        return [p for p in found if role in (None, p["role"])]

    def kill_workers(self, slots=None):
        """kill -9 for these workers, or all; back when others in their places serve."""
        old = {p["slot"]: p["pid"] for p in self.processes("worker")
               if slots is None or p["slot"] in slots}
        for pid in old.values():
            if pid:  # 0: it has just died by itself
                os.kill(pid, signal.SIGKILL)
        wait.until(lambda: all(p["pid"] not in (0, old.get(p["slot"]))
                               for p in self.processes("worker")), "other workers")
        self.wait_ready()

    def worker_connections(self):
        return {p["slot"]: p["connections"] for p in self.processes("worker")}

    def counter(self, name):
        """One of proc/counter.def, summed over all processes."""
        found = [c["value"] for c in json.loads(self.ctl("counters", "--json"))
                 if c["counter"] == name]
        assert found, f"no counter {name}"
        return sum(found)

    # Accounts and streams

    def new_test(self):
        """Other accounts for the same names, and no stream left."""
        for s in self.streams:
            s.close()
        self.streams = []
        self.accounts = {}
        self.n_test += 1

    def account(self, name, host=None, password=None):
        host = host or self.hosts[0]
        if (name, host) not in self.accounts:
            user = f"{name}-{self.n_test}" if self.n_test else name
            self.accounts[name, host] = self.register(user, host, password or f"pw of {name}")
        return self.accounts[name, host]

    def register(self, user, host=None, password="secret"):
        host = host or self.hosts[0]
        self.ctl("register", user, host, password)
        return Account(user, host, password)

    def stream(self, name="juliet", host=None, **options):
        account = name if isinstance(name, Account) else self.account(name, host)
        s = Stream(self, account, **options)
        self.streams.append(s)
        return s

    def n_open(self):
        return sum(1 for s in self.streams if s.sock is not None and not s.closed)

    def connect_to_worker(self, slot, address):
        """
        A TCP connection that the worker of this slot has accepted. The kernel chooses by a
        hash: try until it is the right one, seeing by their counts who took it.
        """
        rejected = []
        try:
            for _ in range(100):
                held = self.n_open() + len(rejected)
                before = wait.until(
                    lambda: (lambda c: sum(c.values()) == held and c)(self.worker_connections()),
                    f"the workers to count {held} connections")
                sock = socket.create_connection(address, wait.PATIENCE)
                after = wait.until(
                    lambda: (lambda c: sum(c.values()) == held + 1 and c)(
                        self.worker_connections()), "the connection to be accepted")
                if after[slot] == before[slot] + 1:
                    return sock
                rejected.append(sock)
            raise AssertionError(f"no connection came to worker {slot}")
        finally:
            for s in rejected:
                s.close()

    def pair(self, a="juliet", b="romeo", until="bound", **options):
        """Two streams in two different workers."""
        slots = sorted(self.worker_connections())
        return (self.stream(a, worker=slots[0], **options).login(until),
                self.stream(b, worker=slots[1], **options).login(until))


def alive(pid):
    """Zombies are dead: where nobody is init, those whose parent died stay."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def die_with_parent():
    """A test run that is killed leaves no server behind."""
    if LIBC:
        LIBC.prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def symbolize(report):
    """Adds function and line to the frames of a report made without a symbolizer."""
    def line(match):
        where = subprocess.run(["addr2line", "-f", "-e", match[1], match[2]], text=True,
                               capture_output=True).stdout.split()
        return f"{' '.join(where)} {match[0]}"
    return re.sub(r"\((/[^+)]+)\+(0x[0-9a-f]+)\)", line, report)
