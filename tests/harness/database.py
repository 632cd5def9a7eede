"""database.py -- what the server has written to its database, and what others write there

    database.rows(server, "select peer from archive where username = ?", juliet.user)

in either engine; ? stands for a parameter.
"""
import contextlib
import sqlite3


@contextlib.contextmanager
def cursor(server, host=None):
    if server.database == "pgsql":
        c = server.cluster.connect(server.db_name)
    else:
        path = f"{server.dir}/sqlite/{host or server.hosts[0]}.sqlite"
        c = sqlite3.connect(path, timeout=20, isolation_level=None)
    try:
        yield c.cursor()
    finally:
        c.close()


def _text(server, statement):
    return statement.replace("?", "%s") if server.database == "pgsql" else statement


def sql(server, statement, *parameters, host=None):
    """Rows of a query; of a change, none."""
    with cursor(server, host) as c:
        c.execute(_text(server, statement), parameters)
        return c.fetchall() if c.description else []


def rows(server, statement, *parameters, host=None):
    return sql(server, statement, *parameters, host=host)


def change(server, statement, *parameters, host=None):
    sql(server, statement, *parameters, host=host)


def change_many(server, statement, many, host=None):
    """One transaction."""
    with cursor(server, host) as c:
        c.execute("begin")
        c.executemany(_text(server, statement), many)
        c.execute("commit")
