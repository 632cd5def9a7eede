"""dump.py -- every row of every table of a PostgreSQL database, and what became of them"""


def take(cluster, database):
    """{table: (columns, rows as text, in the order of their text)}"""
    connection = cluster.connect(database)
    try:
        cursor = connection.cursor()
        cursor.execute("select table_name from information_schema.tables"
                       " where table_schema = 'public' and table_type = 'BASE TABLE'")
        found = {}
        for (table,) in cursor.fetchall():
            cursor.execute("select column_name from information_schema.columns where"
                           " table_schema = 'public' and table_name = %s order by 1", (table,))
            columns = [c for (c,) in cursor.fetchall()]
            names = ", ".join(f'"{c}"::text' for c in columns)
            cursor.execute(f'select {names} from "{table}"')
            found[table] = (columns, sorted(cursor.fetchall(), key=repr))
        return found
    finally:
        connection.close()


def differences(before, after, ours=()):
    """
    What is not as it was: tables and columns that are gone, rows that are gone, other or new.
    New columns and tables are no difference, unless these have rows and are not `ours`.
    """
    found = []
    for table in sorted(before.keys() | after.keys()):
        if table not in after:
            found.append(f"{table} is gone")
        elif table not in before:
            if after[table][1] and table not in ours:
                found.append(f"{table} is new and has rows")
        else:
            found += _rows(table, before[table], after[table])
    return found


def _rows(table, before, after):
    columns = before[0]
    gone = [c for c in columns if c not in after[0]]
    if gone:
        return [f"{table} has lost {', '.join(gone)}"]
    at = [after[0].index(c) for c in columns]
    now = sorted((tuple(row[i] for i in at) for row in after[1]), key=repr)
    lost, new = list(before[1]), []
    for row in now:
        if row in lost:
            lost.remove(row)
        else:
            new.append(row)
    return [f"{table} has lost {dict(zip(columns, r))}" for r in lost] + \
        [f"{table} has got {dict(zip(columns, r))}" for r in new]
