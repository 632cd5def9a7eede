"""prosody.py -- Debian's Prosody in a folder of the tests' own, as another domain

Accounts are made by prosodyctl and kept in files; c2s and s2s listen on loopback. Names are
asked of one name server only (dns.py).
"""
import os
import pwd
import shutil
import signal
import subprocess

from . import certs, ports, wait
from .server import Account, die_with_parent
from .stream import Stream

MODULES = ("disco", "roster", "saslauth", "tls", "dialback", "presence", "message", "iq", "ping",
           "s2s", "s2s_auth_certs", "c2s", "posix", "offline", "pep", "vcard_legacy", "private")


def missing():
    """Why there is no Prosody here; "" if there is one."""
    if not shutil.which("prosodyctl"):
        return "Debian's package prosody is not installed"
    return ""


class Prosody:
    """dns: the port of a name server; cafile: whom to trust beside oneself; options: Lua lines"""

    def __init__(self, directory, hosts=("example.org",), dns=None, cafiles=(), options=""):
        self.base = directory
        self.hosts = list(hosts)
        self.port, self.port_tls = ports.free(), ports.free()
        self.port_s2s, self.port_s2s_tls = ports.free(), ports.free()
        self.cafile = os.path.join(directory, "ca.crt")
        self.trusted = os.path.join(directory, "trusted.crt")
        self.conf_file = os.path.join(directory, "prosody.cfg.lua")
        self.process = None
        self.streams = []
        self.dns, self.options = dns, options
        os.makedirs(directory, exist_ok=True)
        self.as_user = {}
        if os.getuid() == 0:
            self.as_user = {"user": "prosody", "group": pwd.getpwnam("prosody").pw_gid,
                            "extra_groups": []}
        with open(self.cafile, "w") as ca:
            for host in self.hosts:
                ca.write(certs.make(f"{directory}/{host}.pem", [host.encode("idna").decode()]))
        with open(self.trusted, "w") as out:
            for path in (self.cafile, *cafiles):
                with open(path) as f:
                    out.write(f.read())
        with open(self.conf_file, "w") as f:
            f.write(self.config())
        for top, _, files in os.walk(directory):
            for path in [top] + [os.path.join(top, f) for f in files]:
                if self.as_user:
                    shutil.chown(path, "prosody", "prosody")

    def config(self):
        text = f"""
            data_path = "{self.base}/data"
            pidfile = "{self.base}/prosody.pid"
            certificates = "{self.base}"
            plugin_paths = {{}}
            daemonize = false
            log = {{ debug = "{self.base}/prosody.log" }}
            interfaces = {{ "127.0.0.1" }}
            local_interfaces = {{ "127.0.0.1" }}
            c2s_ports = {{ {self.port} }}
            c2s_direct_tls_ports = {{ {self.port_tls} }}
            s2s_ports = {{ {self.port_s2s} }}
            s2s_direct_tls_ports = {{ {self.port_s2s_tls} }}
            modules_enabled = {{ {", ".join(f'"{m}"' for m in MODULES)} }}
            modules_disabled = {{ "admin_shell", "admin_socket", "http", "bosh", "s2s_bidi" }}
            authentication = "internal_hashed"
            storage = "internal"
            use_ipv6 = false
            ssl = {{ cafile = "{self.trusted}" }}
            unbound = {{ resolvconf = false, hoststxt = false,
                         forward = {{ "127.0.0.1@{self.dns or 1}" }},
                         options = {{ ["do-not-query-localhost:"] = "no" }} }}
            {self.options}
        """
        for host in self.hosts:
            text += f"""
            VirtualHost "{host}"
                ssl = {{ key = "{self.base}/{host}.pem", certificate = "{self.base}/{host}.pem",
                         cafile = "{self.trusted}" }}
            """
        return "\n".join(line[12:] for line in text.split("\n"))

    def start(self):
        with open(f"{self.base}/stderr", "ab") as out:
            self.process = subprocess.Popen(
                ["prosody", "-F", "--config", self.conf_file], stdin=subprocess.DEVNULL,
                stdout=out, stderr=out, cwd=self.base, env=self.environment(),
                start_new_session=True, preexec_fn=die_with_parent, **self.as_user)
        try:
            wait.until(self.is_ready, "Prosody", 2 * wait.PATIENCE)
        except AssertionError as e:
            self.kill()
            raise AssertionError(f"{e}\n{self.log_tail()}") from None
        return self

    def environment(self):
        return {"PATH": "/usr/sbin:/usr/bin:/bin", "HOME": self.base, "LC_ALL": "C.UTF-8"}

    def is_ready(self):
        assert self.process.poll() is None, f"Prosody ended with {self.process.returncode}"
        log = self.log()
        return all(f"[127.0.0.1]:{p}" in log for p in (
            self.port, self.port_tls, self.port_s2s, self.port_s2s_tls))

    def stop(self):
        if self.process is None:
            return
        for s in self.streams:
            s.close()
        self.streams = []
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(2 * wait.PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"Prosody did not stop\n{self.log_tail()}") from None
        self.process = None
        assert status == 0, f"Prosody exited with {status}\n{self.log_tail()}"

    def kill(self):
        if self.process is None:
            return
        self.process.kill()
        self.process.wait()
        self.process = None

    def log(self):
        text = ""
        for name in ("stderr", "prosody.log"):
            if os.path.exists(f"{self.base}/{name}"):
                with open(f"{self.base}/{name}", errors="replace") as f:
                    text += f.read()
        return text

    def log_tail(self, lines=60):
        return "\n".join(self.log().splitlines()[-lines:])

    def register(self, user, host=None, password="secret"):
        host = host or self.hosts[0]
        p = subprocess.run(["prosodyctl", "--config", self.conf_file,
                            "register", user, host, password], text=True, capture_output=True, cwd=self.base, env=self.environment(),
                           timeout=2 * wait.PATIENCE, **self.as_user)
        assert p.returncode == 0, f"prosodyctl register: {p.returncode}\n{p.stdout}{p.stderr}"
        return Account(user, host, password)

    def stream(self, account, **options):
        s = Stream(self, account, **options)
        self.streams.append(s)
        return s
