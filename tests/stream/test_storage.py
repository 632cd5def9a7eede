"""SQLite and PostgreSQL with ejabberd's schema; a database that is away"""
import os
import sqlite3
import threading

import pytest

from harness import wait
from harness.stream import SaslFailure


def rows_sqlite(server, query, host="example.net"):
    path = f"{server.dir}/sqlite/{host}.sqlite"
    c = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return c.execute(query).fetchall()
    finally:
        c.close()


def rows_pgsql(server, query):
    c = server.cluster.connect(server.db_name)
    try:
        cursor = c.cursor()
        cursor.execute(query)
        return cursor.fetchall()
    finally:
        c.close()


def test_scram_keys_as_ejabberd_keeps_them_in_sqlite(make_server):
    """One row per kind: 2 SCRAM-SHA-1, 3 -256, 4 -512; never the password"""
    import base64
    server = make_server(workers=1)
    server.register("juliet", password="secret word")
    rows = rows_sqlite(server, "select type, password, serverkey, salt, iterationcount from users"
                               " where username = 'juliet' order by type")
    assert [r[0] for r in rows] == [2, 3, 4]
    for (_, stored, server_key, salt, rounds), size in zip(rows, (20, 32, 64)):
        assert len(base64.b64decode(stored)) == len(base64.b64decode(server_key)) == size
        assert len(base64.b64decode(salt)) >= 16
        assert rounds >= 4096
        assert "secret word" not in (stored, server_key, salt)


def test_scram_keys_in_postgresql(make_server):
    server = make_server(workers=1, database="pgsql")
    server.register("juliet")
    rows = rows_pgsql(server, "select type from users where username = 'juliet' order by type")
    assert [r[0] for r in rows] == [2, 3, 4]


def test_plain_passwords_as_ejabberd_keeps_them(make_server):
    """type 1, the password itself, nothing else"""
    server = make_server(workers=1, config={
        "auth_password_format": "plain", "auth_stored_password_types": []})
    server.register("juliet", password="secret word")
    assert rows_sqlite(server, "select type, password, serverkey, salt, iterationcount from users"
                       ) == [(1, "secret word", "", "", 0)]


def test_accounts_written_by_ejabberd_can_log_in(make_server):
    """An existing database in place: rows of type 0, plain and SCRAM, with and without prefix"""
    import base64
    import hashlib
    import hmac
    server = make_server(workers=1, database="pgsql", config={"auth_stored_password_types": []})
    server.register("first")  # answered when the schema is complete
    salt, rounds = b"0123456789abcdef", 4096

    def keys(name, password):
        salted = hashlib.pbkdf2_hmac(name, password, salt, rounds)
        client = hmac.new(salted, b"Client Key", name).digest()
        return [base64.b64encode(k).decode() for k in (
            hashlib.new(name, client).digest(), hmac.new(salted, b"Server Key", name).digest(), salt)]

    c = server.cluster.connect(server.db_name)
    insert = ("insert into users (username, type, password, serverkey, salt, iterationcount)"
              " values (%s, 0, %s, %s, %s, %s)")
    stored, sk, s = keys("sha1", b"pw")
    c.cursor().execute(insert, ("old-sha1", stored, sk, s, rounds))
    stored, sk, s = keys("sha256", b"pw")
    c.cursor().execute(insert, ("old-sha256", "sha256:" + stored, sk, s, rounds))
    c.cursor().execute(insert, ("old-plain", "pw", "", "", 0))
    c.close()
    from harness.server import Account
    for user, mechanisms in (("old-sha1", ["PLAIN", "SCRAM-SHA-1"]), ("old-sha256", ["PLAIN"]),
                             ("old-plain", ["PLAIN", "SCRAM-SHA-1"])):
        for m in mechanisms:
            server.stream(Account(user, "example.net", "pw")).login(mechanism=m).ping()


@pytest.mark.parametrize("database", ["sqlite", "pgsql"])
def test_one_database_for_several_hosts(make_server, database):
    """ejabberd's sql_schema_multihost: rows carry server_host"""
    config = {"sql_schema_multihost": True}
    if database == "sqlite":
        config.update({"default_db": "sql", "sql_type": "sqlite"})
    server = make_server(start=False, workers=1, hosts=("example.net", "example.org"),
                         database=database, config=config)
    if database == "sqlite":
        server.write_config(sql_database=f"{server.dir}/sqlite/all.sqlite")
        os.makedirs(f"{server.dir}/sqlite", exist_ok=True)
        os.chmod(f"{server.dir}/sqlite", 0o777)
    server.start()
    server.register("juliet", "example.net", "one")
    server.register("juliet", "example.org", "two")
    query = "select server_host, username from users where type = 2 order by 1"
    found = rows_pgsql(server, query) if database == "pgsql" else \
        rows_sqlite(server, query, "all")
    assert found == [("example.net", "juliet"), ("example.org", "juliet")]
    assert server.ctl_status("check_password", "juliet", "example.net", "two")[0] == 1
    assert server.ctl_status("check_password", "juliet", "example.org", "two")[0] == 0


def test_hosts_have_databases_of_their_own(make_server):
    """SQLite: one file per host; host_config may send one host to PostgreSQL"""
    server = make_server(workers=1, hosts=("example.net", "example.org"))
    server.register("juliet", "example.net")
    server.register("romeo", "example.org")
    assert rows_sqlite(server, "select distinct username from users", "example.net") == [("juliet",)]
    assert rows_sqlite(server, "select distinct username from users", "example.org") == [("romeo",)]


def test_one_host_in_sqlite_and_one_in_postgresql(make_server, cluster):
    name = cluster.database()
    server = make_server(workers=1, hosts=("example.net", "example.org"), cluster=cluster,
                         config={"host_config": {"example.org": cluster.config(name)}})
    server.db_name = name
    server.register("juliet", "example.net")
    romeo = server.register("romeo", "example.org")
    assert rows_pgsql(server, "select distinct username from users") == [("romeo",)]
    server.stream(romeo).login().ping()


def test_names_are_data(any_server):
    """No name is SQL"""
    for user in ("o'reilly", "x;drop-table-users", "back\\slash", "per%cent", "under_score"):
        name = f"{user}{any_server.n_test}"
        if "'" in name:
            assert any_server.ctl_status("register", name, "example.net", "pw")[0] == 1
            continue
        account = any_server.register(name)
        any_server.stream(account).login().ping()
    assert any_server.ctl_lines("registered_users", "example.net")


def test_postgresql_goes_away_and_comes_back(make_server, top):
    """Connected clients go on; logins fail for the moment; then all is well again"""
    from harness import pgsql
    own = pgsql.Cluster(os.path.join(top, "pgsql-restart"))
    own.create()
    try:
        server = make_server(workers=2, database="sqlite", config={})
        server.stop()
        server.cluster, server.database = own, "pgsql"
        server.db_name = own.database()
        server.write_config(**own.config(server.db_name))
        server.start()
        juliet, romeo = server.pair(until="online")
        account = server.account("mercutio")
        own.stop()
        juliet.send(f"<message to='{romeo.full}' id='away'/>")
        romeo.expect("<message id='away'/>")
        s = server.stream(account).login(until="tls")
        with pytest.raises(SaslFailure) as e:
            s.authenticate()
        assert e.value.condition == "temporary-auth-failure"
        s.close()
        own.start()

        def works():
            try:
                server.stream(account).login().ping()
                return True
            except SaslFailure:
                return False

        wait.until(works, "logins to work again", 2 * wait.PATIENCE, pause=0.2)
        juliet.ping()
    finally:
        own.stop()


def test_start_before_the_database(make_server, top):
    """The service waits for it, says so, and serves when it is there"""
    from harness import pgsql
    own = pgsql.Cluster(os.path.join(top, "pgsql-late"))
    own.create()
    try:
        name = own.database()
        own.stop()
        server = make_server(start=False, workers=1, config=own.config(name))
        server.start(ready=False)
        server.wait_log(r"(?i)(database|postgres|sql).*")
        assert server.process.poll() is None
        own.start()
        server.wait_ready()
        wait.until(lambda: server.ctl_status("register", "juliet", "example.net", "pw")[0] == 0,
                   "an account", 2 * wait.PATIENCE, pause=0.2)
    finally:
        own.stop()


def test_many_registrations_at_once(any_server):
    """Group commit: every one is there in the end, none twice"""
    names = [f"crowd{any_server.n_test}-{i}" for i in range(20)]
    errors = []

    def register(name):
        try:
            any_server.ctl("register", name, "example.net", "pw")
        except AssertionError as e:
            errors.append(e)

    threads = [threading.Thread(target=register, args=(n,)) for n in names]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors
    found = any_server.ctl_lines("registered_users", "example.net")
    assert sorted(n for n in found if n in names) == sorted(names)


def test_the_schema_is_made_once(make_server):
    """A second start applies nothing"""
    server = make_server(workers=1, database="pgsql")
    server.register("juliet")  # answered when the schema is complete
    before = rows_pgsql(server, "select count(*) from information_schema.tables"
                                " where table_schema = 'public'")
    server.stop()
    server.start()
    assert rows_pgsql(server, "select count(*) from information_schema.tables"
                              " where table_schema = 'public'") == before
    assert before[0][0] >= 1


def test_sqlite_is_in_wal_mode(make_server):
    server = make_server(workers=1)
    server.register("juliet")
    assert rows_sqlite(server, "pragma journal_mode") == [("wal",)]


def test_the_database_file_is_private(make_server):
    server = make_server(workers=1)
    mode = os.stat(f"{server.dir}/sqlite/example.net.sqlite").st_mode
    assert not mode & 0o007, oct(mode)
