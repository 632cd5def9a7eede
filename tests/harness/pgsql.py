"""pgsql.py -- a private PostgreSQL cluster for one test run, one database per server"""
import glob
import os
import shutil
import subprocess

from . import ports, wait


class Cluster:
    """Runs as the user postgres when the tests are root's: the database refuses root."""

    user, password = "stanzad", "pg-secret"

    def __init__(self, directory):
        self.dir = directory
        self.port = ports.free()
        self.n = 0
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda p: int(p.split("/")[4]))
        found += [os.path.dirname(p) for p in [shutil.which("initdb")] if p]
        assert found, "no PostgreSQL: run make deps"
        self.bin = found[-1]
        self.as_user = {"user": "postgres", "group": "postgres", "extra_groups": []} \
            if os.getuid() == 0 else {}
        os.makedirs(directory)
        if self.as_user:
            shutil.chown(directory, "postgres", "postgres")
        self.process = None

    def _run(self, *args, **kwargs):
        subprocess.run(args, check=True, cwd=self.dir, stdout=subprocess.DEVNULL,
                       env={"PATH": self.bin + ":/usr/bin:/bin", "LC_ALL": "C",
                            "PGPASSWORD": self.password}, **self.as_user, **kwargs)

    def create(self):
        secret = os.path.join(self.dir, "secret")
        with open(secret, "w") as f:
            f.write(self.password)
        os.chmod(secret, 0o644)
        self._run(f"{self.bin}/initdb", "-D", f"{self.dir}/data", "-U", self.user, "-A",
                  "scram-sha-256", f"--pwfile={secret}", "-E", "UTF8", "--locale=C", "--no-sync")
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [f"{self.bin}/postgres", "-D", f"{self.dir}/data", "-k", self.dir, "-p", str(self.port),
             "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "max_connections=200"],
            stdout=subprocess.DEVNULL, stderr=open(f"{self.dir}/log", "ab"), cwd=self.dir,
            **self.as_user)
        wait.until(self.is_up, "PostgreSQL")

    def is_up(self):
        assert self.process.poll() is None, open(f"{self.dir}/log").read()[-2000:]
        try:
            self.connect("postgres").close()
            return True
        except Exception:
            return False

    def stop(self, signal=2):
        """2: disconnects everybody, then ends; 9 would be a crash."""
        if self.process:
            self.process.send_signal(signal)
            self.process.wait(wait.PATIENCE)
            self.process = None

    def connect(self, database):
        import psycopg2
        c = psycopg2.connect(host="127.0.0.1", port=self.port, user=self.user,
                             password=self.password, dbname=database, connect_timeout=5)
        c.autocommit = True
        return c

    def database(self):
        """A new, empty one; returns its name."""
        self.n += 1
        name = f"stanzad_{self.n}"
        c = self.connect("postgres")
        c.cursor().execute(f"create database {name}")
        c.close()
        return name

    def config(self, database):
        return {"default_db": "sql", "auth_method": "sql", "sql_type": "pgsql",
                "sql_server": "127.0.0.1", "sql_port": self.port, "sql_database": database,
                "sql_username": self.user, "sql_password": self.password, "sql_pool_size": 2,
                "sql_start_interval": 1}
