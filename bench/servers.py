"""servers.py -- the servers that are compared, each in a folder of its own on loopback

All of them: 2 workers or as many threads as there are cores, no limits of speed, SCRAM-SHA-1
with 4,096 rounds or what the server stores, the same certificate, log level warning, no
message archive, rosters on disk in the server's own embedded database; and as far as a server
has them: offline messages, last activity, carbons, client state, private storage, vCards,
privacy or block lists, stream management. No pubsub, no chat rooms, no other servers.

fill() makes accounts bench0 ... with the password "bench", and contacts in rings: account i
has i±1 ... i±k/2 as mutual contacts, all in one group. It asks the server for one account and
copies that in the server's storage, which is thousands of times faster than as many commands.
"""
import glob
import os
import pwd
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

import yaml

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests"))

from harness import ejabberd as ejabberd_files, ports  # noqa: E402
from harness.server import die_with_parent  # noqa: E402

BUILD = os.environ.get("STANZAD_BUILD", "build")
HOST, PASSWORD = "localhost", "bench"


def ring(i, n_accounts, n_contacts):
    for d in range(1, n_contacts // 2 + 1):
        yield (i + d) % n_accounts
        yield (i - d) % n_accounts


class Failed(Exception):
    pass


class Server:
    """start() after fill(); pid is the root of the process tree; port, port_tls."""

    user = None  # whom its files belong to when we are root

    def __init__(self, directory, workers=2):
        self.dir = os.path.join(directory, self.name)
        self.workers = workers
        self.port, self.port_tls = ports.free(), ports.free()
        self.process = None
        os.makedirs(self.dir)
        os.chmod(self.dir, 0o755)
        self.cert = os.path.join(self.dir, f"{HOST}.pem")
        shutil.copy(os.path.join(directory, "cert.pem"), self.cert)
        os.chmod(self.cert, 0o644)
        self.log = os.path.join(self.dir, "log")

    @property
    def pid(self):
        return self.process.pid

    def as_user(self):
        if self.user is None or os.getuid() != 0:
            return {}
        return {"user": self.user, "group": pwd.getpwnam(self.user).pw_gid, "extra_groups": []}

    def give(self):
        for top, _, files in os.walk(self.dir):
            for path in [top] + [os.path.join(top, f) for f in files]:
                if self.as_user():
                    shutil.chown(path, self.user)

    def run(self, *args, env=None):
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(
                args, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env, cwd=self.dir,
                start_new_session=True, preexec_fn=die_with_parent, **self.as_user())

    def wait(self, ready):
        end = time.monotonic() + 120
        while not ready():
            if self.process.poll() is not None or time.monotonic() > end:
                with open(self.log, errors="replace") as f:
                    raise Failed(f"{self.name} does not start:\n{f.read()[-3000:]}")
            time.sleep(0.05)

    def listens(self):
        """Whether somebody listens on our ports (the tables of the kernel; nobody is disturbed)."""
        with open("/proc/net/tcp") as f:
            there = {line.split()[1].split(":")[1] for line in f if line.split()[3] == "0A"}
        return all(f"{p:04X}" in there for p in (self.port, self.port_tls))

    def stop(self):
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)  # what its helpers left
        except ProcessLookupError:
            pass
        self.process.wait()
        self.process = None


class Floor(Server):
    name = "floor"
    options = ()

    def fill(self, n_accounts, n_contacts):
        self.options = ("-a", str(n_accounts), "-R", str(n_contacts), "-k", str(n_contacts))

    def start(self):
        self.run(os.path.abspath(f"{BUILD}/bench/floor"), "-c", self.cert, "-t",
                 str(self.workers), "-p", str(self.port), "-P", str(self.port_tls), *self.options)
        self.wait(self.listens)

    @staticmethod
    def version():
        return "bench/floor.c"

    @staticmethod
    def missing():
        return ""


class Stanzad(Server):
    name = "stanzad"
    modules = ("adhoc", "announce", "blocking", "caps", "carboncopy", "client_state", "disco",
               "last", "offline", "ping", "privacy", "private", "roster", "shared_roster",
               "stream_mgmt", "time", "vcard", "vcard_xupdate", "version")

    def config(self):
        modules = {f"mod_{m}": {} for m in self.modules}
        modules["mod_roster"] = {"versioning": True}
        modules["mod_ping"] = {"send_pings": True, "ping_interval": "5 minutes"}
        listener = {"ip": "127.0.0.1", "module": "ejabberd_c2s", "access": "all"}
        return {"hosts": [HOST], "loglevel": "warning", "workers": self.workers,
                "certfiles": [self.cert], "modules": modules,
                "listen": [{**listener, "port": self.port, "starttls": True},
                           {**listener, "port": self.port_tls, "tls": True}],
                "shaper_rules": {"max_user_sessions": "infinity"}}

    def start(self):
        with open(f"{self.dir}/stanzad.yml", "w") as f:
            yaml.safe_dump(self.config(), f, sort_keys=False)
        self.run(os.path.abspath(f"{BUILD}/stanzad"), "-f", "-c", f"{self.dir}/stanzad.yml",
                 "-d", f"{self.dir}/d")
        self.wait(self.listens)
        self.ctl("started")

    def ctl(self, *args):
        subprocess.run([f"{BUILD}/stanzactl", "-d", f"{self.dir}/d", *args], check=True,
                       stdout=subprocess.DEVNULL)

    def fill(self, n_accounts, n_contacts):
        os.mkdir(f"{self.dir}/d")
        self.start()
        self.ctl("register", "bench0", HOST, PASSWORD)
        self.stop()
        with sqlite3.connect(f"{self.dir}/d/sqlite/{HOST}.sqlite") as db:
            for row in db.execute("SELECT * FROM users").fetchall():
                db.executemany("INSERT INTO users VALUES (?, ?, ?, ?, ?, ?, ?)",
                               ((f"bench{i}", *row[1:]) for i in range(1, n_accounts)))
            pairs = [(f"bench{i}", f"bench{k}@{HOST}") for i in range(n_accounts)
                     for k in ring(i, n_accounts, n_contacts)]
            db.executemany(
                "INSERT INTO rosterusers (username, jid, nick, subscription, approved, ask,"
                " askmessage, server, subscribe, type)"
                " VALUES (?, ?, '', 'B', 0, 'N', '', 'N', '', 'item')", pairs)
            db.executemany("INSERT INTO rostergroups VALUES (?, ?, 'bench')", pairs)
        db.close()

    @staticmethod
    def version():
        out = subprocess.run([f"{BUILD}/stanzad", "-v"], capture_output=True, text=True)
        commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True,
                                text=True)
        return f"{out.stdout.strip()} ({commit.stdout.strip()})"

    @staticmethod
    def missing():
        return ""


FILL = """
U = <<"bench0">>, H = <<"localhost">>,
ejabberd_auth:try_register(U, H, <<"bench">>),
[P] = mnesia:dirty_read(passwd, {U, H}),
{N, K} = {%d, %d},
Name = fun(I) -> iolist_to_binary(["bench", integer_to_list(I)]) end,
[mnesia:dirty_write(setelement(2, P, {Name(I), H})) || I <- lists:seq(1, N - 1)],
[mnesia:dirty_write({roster, {Name(I), H, {Name(C), H, <<>>}}, {Name(I), H},
    {Name(C), H, <<>>}, <<>>, both, none, [<<"bench">>], <<>>, []})
    || I <- lists:seq(0, N - 1), D <- lists:seq(1, K div 2),
       C <- [(I + D) rem N, (I - D + N) rem N]],
file:write_file("filled", <<"yes">>).
"""


class Ejabberd(Server):
    name = "ejabberd"
    user = "ejabberd"
    modules = ("adhoc", "announce", "blocking", "caps", "carboncopy", "client_state", "disco",
               "last", "offline", "ping", "privacy", "private", "roster", "shared_roster",
               "stream_mgmt", "time", "vcard", "vcard_xupdate", "version")
    filling = ""

    def config(self):
        modules = {f"mod_{m}": {} for m in self.modules}
        modules["mod_roster"] = {"versioning": True}
        modules["mod_ping"] = {"send_pings": True, "ping_interval": "5 minutes"}
        listener = {"ip": "127.0.0.1", "module": "ejabberd_c2s", "access": "all",
                    "shaper": "none", "backlog": 4096}
        return {"hosts": [HOST], "loglevel": "warning", "acme": {"auto": False},
                "certfiles": [self.cert], "auth_password_format": "scram", "modules": modules,
                "listen": [{**listener, "port": self.port, "starttls": True},
                           {**listener, "port": self.port_tls, "tls": True}],
                "shaper_rules": {"max_user_sessions": "infinity"},
                # The default of 1,000 is for smaller servers; it says so in the log.
                "cache_size": 50000}

    def fill(self, n_accounts, n_contacts):
        self.filling = FILL % (n_accounts, n_contacts)

    def start(self):
        conf = f"{self.dir}/ejabberd.yml"
        with open(conf, "w") as f:
            yaml.safe_dump(self.config(), f, sort_keys=False)
        with open(f"{self.dir}/fill", "w") as f:
            f.write(self.filling)
        self.give()
        env = {"PATH": "/usr/bin:/bin", "HOME": self.dir, "LC_ALL": "C.UTF-8",
               "ERL_LIBS": ejabberd_files.libraries(),
               # As ejabberdctl has it, but schedulers without work do not spin: that would be
               # counted as its CPU time.
               "ERL_FLAGS": "+K true +P 250000 +sbwt none +sbwtdcpu none +sbwtdio none",
               "ERL_CRASH_DUMP_BYTES": "0", "EJABBERD_CONFIG_PATH": conf,
               "EJABBERD_LOG_PATH": f"{self.dir}/ejabberd.log"}
        self.run("erl", "-noinput", "-mnesia", "dir", f'"{self.dir}/spool"', "-s", "ejabberd",
                 "-eval", f'ok = file:eval("{self.dir}/fill").', env=env)
        self.wait(lambda: self.listens() and os.path.exists(f"{self.dir}/filled"))

    @staticmethod
    def version():
        return package("ejabberd") + ", Erlang " + package("erlang-base").split()[-1]

    @staticmethod
    def missing():
        if not glob.glob(ejabberd_files.SCRIPT):
            return "Debian's package ejabberd is not installed"
        return ""


class Prosody(Server):
    name = "prosody"
    user = "prosody"
    modules = ("adhoc", "blocklist", "carbons", "csi_simple", "disco", "roster", "saslauth",
               "tls", "presence", "message", "iq", "ping", "offline", "lastactivity", "private",
               "vcard", "smacks", "time", "uptime", "version", "posix", "c2s")

    def config(self):
        modules = ", ".join(f'"{m}"' for m in self.modules)
        return f"""
            data_path = "{self.dir}/data"
            pidfile = "{self.dir}/prosody.pid"
            certificates = "{self.dir}"
            plugin_paths = {{}}
            daemonize = false
            log = {{ warn = "{self.dir}/prosody.log" }}
            interfaces = {{ "127.0.0.1" }}
            c2s_ports = {{ {self.port} }}
            c2s_direct_tls_ports = {{ {self.port_tls} }}
            c2s_require_encryption = false
            network_settings = {{ tcp_backlog = 4096 }}
            modules_enabled = {{ {modules} }}
            modules_disabled = {{ "admin_shell", "admin_socket", "http", "bosh", "s2s" }}
            authentication = "internal_hashed"
            default_iteration_count = 4096
            storage = "internal"
            use_ipv6 = false
            gc = {{ mode = "generational" }}
            VirtualHost "{HOST}"
                ssl = {{ key = "{self.cert}", certificate = "{self.cert}" }}
            """

    environment = {"PATH": "/usr/sbin:/usr/bin:/bin", "LC_ALL": "C.UTF-8"}

    def write_config(self):
        with open(f"{self.dir}/prosody.cfg.lua", "w") as f:
            f.write(self.config())
        self.give()

    def fill(self, n_accounts, n_contacts):
        self.write_config()
        subprocess.run(["prosodyctl", "--config", f"{self.dir}/prosody.cfg.lua", "register",
                        "bench0", HOST, PASSWORD], check=True, stdout=subprocess.DEVNULL,
                       cwd=self.dir, env=self.environment, **self.as_user())
        data = f"{self.dir}/data/{HOST}"
        os.makedirs(f"{data}/roster", exist_ok=True)
        for i in range(n_accounts):
            if i:
                shutil.copy(f"{data}/accounts/bench0.dat", f"{data}/accounts/bench{i}.dat")
            with open(f"{data}/roster/bench{i}.dat", "w") as f:
                f.write("return {\n\t[false] = { version = 1 };\n")
                for k in ring(i, n_accounts, n_contacts):
                    f.write(f'\t["bench{k}@{HOST}"] = {{ subscription = "both"; groups = '
                            '{ ["bench"] = true } };\n')
                f.write("};\n")

    def start(self):
        self.write_config()
        self.run("prosody", "-F", "--config", f"{self.dir}/prosody.cfg.lua",
                 env={**self.environment, "HOME": self.dir})
        self.wait(self.listens)

    @staticmethod
    def version():
        return package("prosody") + ", Lua " + package("lua5.4").split()[-1]

    @staticmethod
    def missing():
        return "" if shutil.which("prosodyctl") else "Debian's package prosody is not installed"


def package(name):
    out = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Version}", name],
                         capture_output=True, text=True)
    return out.stdout or name


ALL = {s.name: s for s in (Floor, Stanzad, Ejabberd, Prosody)}
