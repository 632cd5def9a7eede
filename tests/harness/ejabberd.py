"""ejabberd.py -- Debian's ejabberd in a folder of the tests' own

It has its own configuration, spool, log and ports on loopback. It is no distributed node:
without a node name Erlang starts no epmd and listens nowhere, so commands go through
mod_http_api, and one virtual machine serves for all of them.
"""
import glob
import json
import os
import pwd
import re
import shlex
import shutil
import signal
import subprocess
import urllib.error
import urllib.request

import yaml

from . import certs, ports, wait
from .server import Account, die_with_parent
from .stream import Stream

SCRIPT = "/usr/sbin/ejabberdctl"
SCHEMAS = "/usr/share/ejabberd/sql"
STOPPED = "is stopped in the node"  # said when all its processes have ended


def missing():
    """Why there is no ejabberd here; "" if there is one."""
    for path in (SCRIPT, f"{SCHEMAS}/pg.sql"):
        if not os.path.exists(path):
            return f"no {path}: Debian's package ejabberd is not installed"
    if not glob.glob("/usr/lib/erlang/lib/p1_pgsql-*"):
        return "Debian's package erlang-p1-pgsql is not installed"
    return ""


def libraries():
    with open(SCRIPT) as f:
        return shlex.split(re.search(r"^ERL_LIBS=(.*)$", f.read(), re.M)[1])[0]


class CommandError(AssertionError):
    pass


class Ejabberd:
    """
    db: a database of the cluster, None for a new one, where create_schema() makes the tables
    as an administrator would. config replaces options; modules adds some or, with None for
    options, leaves some out. dns: the port of a name server (dns.py); cafiles: whom to trust.
    """

    def __init__(self, directory, cluster, db=None, multihost=False, hosts=("example.net",),
                 config=None, modules=None, admins=("admin",), dns=None, cafiles=()):
        self.base = directory
        self.cluster, self.multihost, self.hosts = cluster, multihost, list(hosts)
        self.port, self.port_tls, self.port_s2s, self.port_http = (ports.free() for _ in range(4))
        self.cafile = os.path.join(directory, "ca.crt")
        self.conf_file = os.path.join(directory, "ejabberd.yml")
        self.log_file = os.path.join(directory, "ejabberd.log")
        self.process = None
        self.streams = []
        os.makedirs(directory, exist_ok=True)
        self.as_user = {}
        if os.getuid() == 0:
            self.as_user = {"user": "ejabberd", "group": pwd.getpwnam("ejabberd").pw_gid,
                            "extra_groups": []}
        with open(self.cafile, "w") as ca:
            for host in self.hosts:
                ca.write(certs.make(f"{directory}/{host}.pem", [host.encode("idna").decode()]))
        self.trusted = os.path.join(directory, "trusted.crt")
        with open(self.trusted, "w") as out:
            for path in (self.cafile, *cafiles):
                with open(path) as f:
                    out.write(f.read())
        if db is None:
            self.db_name = cluster.database()
            self.create_schema()
        else:
            self.db_name = db
        self.config = self.default_config(admins)
        for name, options in (modules or {}).items():
            if options is None:
                self.config["modules"].pop(name, None)
            else:
                self.config["modules"][name] = options
        self.config.update(config or {})
        self.write_config()
        self.write_resolver(dns)
        for top, _, files in os.walk(directory):
            for path in [top] + [os.path.join(top, f) for f in files]:
                if self.as_user:
                    shutil.chown(path, "ejabberd", "ejabberd")

    # Files

    def create_schema(self):
        name = "pg.new.sql" if self.multihost else "pg.sql"
        with open(f"{SCHEMAS}/{name}") as f:
            text = f.read()
        c = self.cluster.connect(self.db_name)
        try:
            c.cursor().execute(text)
        finally:
            c.close()

    def default_config(self, admins):
        def listener(port, module, **more):
            return {"port": port, "ip": "127.0.0.1", "module": module, **more}

        return {
            "hosts": self.hosts,
            "loglevel": "info",
            "acme": {"auto": False},
            "certfiles": [f"{self.base}/{h}.pem" for h in self.hosts],
            "ca_file": self.trusted,
            "listen": [
                listener(self.port, "ejabberd_c2s", starttls=True),
                listener(self.port_tls, "ejabberd_c2s", tls=True),
                listener(self.port_s2s, "ejabberd_s2s_in"),
                listener(self.port_http, "ejabberd_http",
                         request_handlers={"/api": "mod_http_api"})],
            "acl": {"admin": {"user": [f"{a}@{h}" for a in admins for h in self.hosts]},
                    "loopback": {"ip": "127.0.0.0/8"}},
            "access_rules": {"announce": {"allow": "admin"}},
            "api_permissions": {"tests": {"who": {"acl": "loopback"}, "what": "*"}},
            "auth_password_format": "scram",
            "disable_sasl_mechanisms": ["digest-md5", "X-OAUTH2"],
            "s2s_use_starttls": "optional",
            "outgoing_s2s_families": ["ipv4"],
            **({"new_sql_schema": True} if self.multihost else {}),
            # Each statement costs a tenth of a second to prepare, on each connection.
            **self.cluster.config(self.db_name), "sql_pool_size": 1,
            "sql_prepared_statements": False,
            "modules": {
                "mod_adhoc": {}, "mod_admin_extra": {}, "mod_announce": {"access": "announce"},
                "mod_blocking": {}, "mod_caps": {}, "mod_disco": {}, "mod_http_api": {},
                "mod_last": {}, "mod_mam": {}, "mod_offline": {}, "mod_ping": {},
                "mod_privacy": {}, "mod_private": {},
                "mod_roster": {"versioning": True, "store_current_id": True},
                "mod_s2s_dialback": {}, "mod_shared_roster": {},
                "mod_vcard": {"search": True}},
        }

    def write_config(self, **changes):
        self.config.update(changes)
        with open(self.conf_file, "w") as f:
            yaml.safe_dump(self.config, f, sort_keys=False)

    def write_resolver(self, dns):
        """Nobody is asked but that name server; without one there are no other names."""
        with open(f"{self.base}/inetrc", "w") as f:
            f.write('{resolv_conf, ""}.\n{hosts_file, ""}.\n{lookup, ["file", "dns"]}.\n'
                    '{host, {127,0,0,1}, ["localhost"]}.\n'
                    f"{{nameserver, {{127,0,0,1}}, {dns or 1}}}.\n"
                    "{timeout, 500}.\n{retry, 1}.\n")

    # Its life

    def start(self):
        env = {"PATH": "/usr/bin:/bin", "HOME": self.base, "LC_ALL": "C.UTF-8",
               "ERL_LIBS": libraries(), "ERL_INETRC": f"{self.base}/inetrc",
               # Schedulers without work would spin.
               "ERL_FLAGS": "+sbwt none +sbwtdcpu none +sbwtdio none",
               "ERL_CRASH_DUMP_BYTES": "0", "EJABBERD_CONFIG_PATH": self.conf_file,
               "EJABBERD_LOG_PATH": self.log_file}
        with open(f"{self.base}/stderr", "ab") as out:
            if self.as_user:
                shutil.chown(f"{self.base}/stderr", "ejabberd", "ejabberd")
            self.process = subprocess.Popen(
                ["erl", "-noinput", "-mnesia", "dir", f'"{self.base}/spool"', "-s", "ejabberd"],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env, cwd=self.base,
                start_new_session=True, preexec_fn=die_with_parent, **self.as_user)
        try:
            wait.until(self.is_ready, "ejabberd", 3 * wait.PATIENCE, pause=0.05)
        except AssertionError as e:
            self.kill()
            raise AssertionError(f"{e}\n{self.log_tail()}") from None
        return self

    def is_ready(self):
        assert self.process.poll() is None, \
            f"ejabberd ended with {self.process.returncode}"
        try:
            return "is started" in self.call("status")
        except (OSError, CommandError):
            return False

    def stop(self):
        """In order. What the virtual machine does afterwards takes a second and is nothing."""
        if self.process is None:
            return
        for s in self.streams:
            s.close()
        self.streams = []
        n = self.log().count(STOPPED)
        self.process.send_signal(signal.SIGTERM)
        try:
            wait.until(lambda: self.log().count(STOPPED) > n, "ejabberd to stop", 2 * wait.PATIENCE)
        except AssertionError as e:
            raise AssertionError(f"{e}\n{self.log_tail()}") from None
        finally:
            self.kill()

    def kill(self):
        """Also its helpers: they are in the session that start() made."""
        if self.process is None:
            return
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.process = None

    def log(self):
        text = ""
        for path in (f"{self.base}/stderr", self.log_file):
            if os.path.exists(path):
                with open(path, errors="replace") as f:
                    text += f.read()
        return text

    def log_tail(self, lines=60):
        return "\n".join(self.log().splitlines()[-lines:])

    def wait_log(self, pattern):
        return wait.until(lambda: re.search(pattern, self.log()), f"{pattern!r} in ejabberd's log")

    def reconfigure(self, **changes):
        """Other options, at once."""
        self.write_config(**changes)
        self.ctl("reload_config")

    # Commands

    def call(self, command, **arguments):
        """A command of ejabberdctl with named arguments; its answer as JSON has it."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port_http}/api/{command}", json.dumps(arguments).encode(),
            {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=wait.PATIENCE) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as e:
            raise CommandError(f"{command}: {e.code} {e.read().decode()}") from None

    def ctl(self, command, **arguments):
        """A command that answers ok or not, and must succeed."""
        answer = self.call(command, **arguments)
        assert answer in (0, "") or isinstance(answer, str), f"{command}: {answer}"
        return answer

    # Accounts and streams

    def register(self, user, host=None, password="secret"):
        host = host or self.hosts[0]
        self.ctl("register", user=user, host=host, password=password)
        return Account(user, host, password)

    def stream(self, account, **options):
        s = Stream(self, account, **options)
        self.streams.append(s)
        return s
