/*
 * sql_schema.c -- tables as we make them, and as ejabberd may have left them
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/unit/rig/sql_place.h"

/* Columns of a table, in order, as "name name ...". */
static const char *
columns(struct base *b, const char *table)
{
    char text[300];

    if (b->settings.type == SQL_ENGINE_PGSQL)
        snprintf(text, sizeof text,
                "SELECT string_agg(column_name, ' ' ORDER BY ordinal_position)"
                " FROM information_schema.columns WHERE table_name = '%s'",
                table);
    else
        snprintf(text, sizeof text,
                "SELECT group_concat(name, ' ') FROM pragma_table_info('%s')", table);
    return base_raw(b, text);
}

static const char *
version_of(struct base *b, const char *module)
{
    char text[200];

    snprintf(text, sizeof text,
            "SELECT version FROM schema_version WHERE module = '%s'", module);
    return base_raw(b, text);
}

static const struct {
    const char *module, *version;
} versions[] = {
    { "ejabberd_auth_sql", "2" },
    { "mod_last_sql", "1" },
    { "mod_roster_sql", "2" },
    { "mod_shared_roster_sql", "1" },
    { "mod_offline_sql", "1" },
    { "mod_mam_sql", "2" },
    { "mod_vcard_sql", "1" },
    { "mod_privacy_sql", "1" },
    { "mod_private_sql", "1" },
    { "mod_announce_sql", "1" },
    { "mod_caps_sql", "1" },
};

static void
check_versions(struct base *b)
{
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        if (strcmp(version_of(b, versions[i].module), versions[i].version) != 0)
            fail_msg("%s: %s is version %s, not %s", b->name, versions[i].module,
                    version_of(b, versions[i].module), versions[i].version);
    }
}

/*
 * Columns of the facts' section 5; "@" is where server_host stands in the shape with
 * it.
 */
static const struct {
    const char *table, *columns;
} tables[] = {
    { "users", "username @type password serverkey salt iterationcount created_at" },
    { "last", "username @seconds state" },
    { "rosterusers", "username @jid nick subscription approved ask askmessage server"
                     " subscribe type created_at" },
    { "rostergroups", "username @jid grp" },
    { "roster_version", "username @version" },
    { "sr_group", "name @opts created_at" },
    { "sr_user", "jid @grp created_at" },
    { "spool", "username @xml seq created_at" },
    { "archive", "username @timestamp peer bare_peer xml txt id kind nick origin_id "
                 "created_at" },
    { "archive_prefs", "username @def always never created_at" },
    { "vcard", "username @vcard created_at" },
    { "vcard_search",
            "username lusername @fn lfn family lfamily given lgiven middle lmiddle"
            " nickname lnickname bday lbday ctry lctry locality llocality email"
            " lemail orgname lorgname orgunit lorgunit" },
    { "privacy_default_list", "username @name" },
    { "privacy_list", "username @name id created_at" },
    { "privacy_list_data", "id t value action ord match_all match_iq match_message"
                           " match_presence_in match_presence_out" },
    { "private_storage", "username @namespace data created_at" },
    { "motd", "username @xml created_at" },
    { "caps_features", "node subnode feature created_at" },
    { "schema_version", "module version" },
};

static void
check_tables(struct base *b)
{
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        char expected[600];
        const char *at = strchr(tables[i].columns, '@');

        snprintf(expected, sizeof expected, "%s", tables[i].columns);
        if (at)
            snprintf(expected, sizeof expected, "%.*s%s%s",
                    (int)(at - tables[i].columns), tables[i].columns,
                    b->settings.multihost ? "server_host " : "", at + 1);
        if (strcmp(columns(b, tables[i].table), expected) != 0)
            fail_msg("%s: %s has\n%s\nnot\n%s", b->name, tables[i].table,
                    columns(b, tables[i].table), expected);
    }
}

static void
each_base(void **state, void (*test)(struct base *b))
{
    for (int i = 0; i < 4; i++) {
        struct base b;

        base_make(&b, *state, i & 1 ? SQL_ENGINE_PGSQL : SQL_ENGINE_SQLITE, i & 2);
        test(&b);
        base_end(&b);
    }
}

/* For SQLite: the file is made by whoever comes first. */
static void
folder_make(struct base *b)
{
    char path[300];

    if (b->settings.type == SQL_ENGINE_PGSQL)
        return;
    snprintf(path, sizeof path, "%s", b->database);
    *strrchr(path, '/') = '\0';
    assert_int_equal(mkdir(path, 0700), 0);
}

static void
open_ready(struct base *b)
{
    base_open(b);
    base_until_state(b, SQL_READY);
}

static void
empty(struct base *b)
{
    open_ready(b);
    check_tables(b);
    check_versions(b);
    sql_db_close(&b->db);
    /* The second time there is nothing to do, also without being allowed to. */
    b->settings.update_schema = false;
    open_ready(b);
    check_tables(b);
}

/* Keys and indexes are there: what must be unique is. */
static void
unique(struct base *b)
{
    static const struct {
        const char *table, *columns, *values;
    } rows[] = {
        { "last", "username, seconds, state", "'u', '1', ''" },
        { "rosterusers",
                "username, jid, nick, subscription, approved, ask, askmessage, server,"
                " subscribe",
                "'u', 'j', '', 'B', '0', 'N', '', 'N', ''" },
        { "sr_user", "jid, grp", "'j', 'g'" },
        { "vcard", "username, vcard", "'u', ''" },
        { "private_storage", "username, namespace, data", "'u', 'n', ''" },
        { "motd", "username, xml", "'u', ''" },
        { "privacy_list", "username, name", "'u', 'n'" },
    };
    char text[500];

    open_ready(b);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (int k = 0; k < 2; k++) {
            snprintf(text, sizeof text,
                    "INSERT INTO %s (%s%s) VALUES (%s%s) ON CONFLICT DO NOTHING",
                    rows[i].table, b->settings.multihost ? "server_host, " : "",
                    rows[i].columns, b->settings.multihost ? "'example.net', " : "",
                    rows[i].values);
            base_raw(b, text);
        }
        snprintf(text, sizeof text, "SELECT count(*) FROM %s", rows[i].table);
        if (strcmp(base_raw(b, text), "1") != 0)
            fail_msg("%s: %s has two equal rows", b->name, rows[i].table);
    }
}

/* As ejabberd <= 23.10 leaves it: no users.type, no approved, no origin_id. */
static void
old_tables(struct base *b)
{
    bool pg = b->settings.type == SQL_ENGINE_PGSQL, multi = b->settings.multihost;
    const char *host = multi ? "server_host text NOT NULL," : "";
    const char *key = multi ? "server_host, username" : "username";
    const char *now = pg ? "now()" : "CURRENT_TIMESTAMP";
    const char *serial = pg ? "bigserial" : "integer primary key autoincrement";
    const char *col = multi ? "server_host," : "", *val = multi ? "'example.net'," : "";
    static char text[4000];

    folder_make(b);
    snprintf(text, sizeof text,
            "CREATE TABLE users (username text NOT NULL, %s password text NOT NULL,"
            " serverkey text NOT NULL DEFAULT '', salt text NOT NULL DEFAULT '',"
            " iterationcount integer NOT NULL DEFAULT 0,"
            " created_at timestamp NOT NULL DEFAULT %s, PRIMARY KEY (%s));"
            "CREATE TABLE rosterusers (username text NOT NULL, %s jid text NOT NULL,"
            " nick text NOT NULL, subscription character(1) NOT NULL,"
            " ask character(1) NOT NULL, askmessage text NOT NULL,"
            " server character(1) NOT NULL, subscribe text NOT NULL, type text,"
            " created_at timestamp NOT NULL DEFAULT %s);"
            "CREATE TABLE archive (username text NOT NULL, %s timestamp bigint NOT "
            "NULL,"
            " peer text NOT NULL, bare_peer text NOT NULL, xml text NOT NULL, txt text,"
            " id %s, kind text, nick text, created_at timestamp NOT NULL DEFAULT %s);"
            "INSERT INTO users (username, %s password) VALUES ('plain', %s 'secret');"
            "INSERT INTO users (username, %s password, serverkey, salt, iterationcount)"
            " VALUES ('scram', %s 'sha256:a2V5', 'c2s=', 'c2FsdA==', 4096);"
            "INSERT INTO rosterusers (username, %s jid, nick, subscription, ask, "
            "askmessage,"
            " server, subscribe, type) VALUES ('plain', %s 'scram@example.net', 'S', "
            "'B', 'N',"
            " '', 'N', '', 'item');"
            "INSERT INTO archive (username, %s timestamp, peer, bare_peer, xml)"
            " VALUES ('plain', %s 1700000000000000, 'a@b/c', 'a@b', '<message/>')",
            host, now, key, host, now, host, serial, now, col, val, col, val, col, val,
            col, val);
    base_raw(b, text);
}

static void
check_old_users(struct base *b)
{
    struct answer a;

    base_ask(b, &a, SQL_USER_GET, "t", "plain");
    assert_string_equal(a.rows, "0:secret:::0");
    base_ask(b, &a, SQL_USER_GET, "t", "scram");
    assert_string_equal(a.rows, "0:sha256:a2V5:c2s=:c2FsdA==:4096");
}

static void
older(struct base *b)
{
    struct answer a;
    const char *created;
    char before[40];

    old_tables(b);
    b->settings.password_types = true;
    created = base_raw(b, "SELECT created_at FROM users WHERE username = 'plain'");
    snprintf(before, sizeof before, "%.39s", created);
    open_ready(b);
    check_versions(b);
    check_old_users(b);
    assert_string_equal(
            base_raw(b, "SELECT created_at FROM users WHERE username = 'plain'"),
            before);
    assert_string_equal(
            base_raw(b, "SELECT count(*) FROM rosterusers WHERE approved = false"),
            "1");
    assert_string_equal(
            base_raw(b, "SELECT count(*) FROM archive WHERE origin_id = ''"), "1");
    /* A user may have several rows now, and the type has to be said. */
    base_ask(b, &a, SQL_USER_SET, "titttiittti", "plain", 2, "x", "y", "z", 1, 3, "p",
            "q", "r", 2);
    assert_int_equal(a.status, SQL_OK);
    base_ask(b, &a, SQL_USER_GET, "t", "plain");
    assert_string_equal(a.rows, "2:x:y:z:1;3:p:q:r:2");
    base_ask(b, &a, SQL_USER_COUNT, "");
    assert_string_equal(a.rows, "2");
}

/* Nobody wants several forms of a password: an older ejabberd can go on with users. */
static void
older_users_kept(struct base *b)
{
    struct answer a;
    char users[300];

    old_tables(b);
    snprintf(users, sizeof users, "%s", columns(b, "users"));
    open_ready(b);
    check_old_users(b);
    assert_string_equal(columns(b, "users"), users);
    assert_string_equal(version_of(b, "ejabberd_auth_sql"), "");
    assert_string_not_equal(version_of(b, "mod_roster_sql"), "");
    base_ask(b, &a, SQL_USER_CREATE, "titttiittti", "new", 3, "a2V5", "s", "salt", 1, 2,
            "other", "s", "salt", 1);
    assert_int_equal(a.status, SQL_OK);
    base_ask(b, &a, SQL_USER_GET, "t", "new");
    assert_string_equal(a.rows, "0:sha256:a2V5:s:salt:1");
    sql_db_close(&b->db);
    b->settings.password_types = true; /* later somebody does */
    open_ready(b);
    check_versions(b);
    base_ask(b, &a, SQL_USER_GET, "t", "new");
    assert_string_equal(a.rows, "0:sha256:a2V5:s:salt:1");
}

/* "1" if an index of the archive is there that ejabberd does not have. */
static const char *
has_index(struct base *b)
{
    char text[200];

    snprintf(text, sizeof text,
            b->settings.type == SQL_ENGINE_PGSQL
                    ? "SELECT count(*) FROM pg_indexes WHERE indexname = 'i_archive_%s'"
                    : "SELECT count(*) FROM sqlite_master WHERE name = 'i_archive_%s'",
            b->settings.multihost ? "server_host_username_bare_peer_timestamp"
                                  : "username_bare_peer_timestamp");
    return base_raw(b, text);
}

/* An index is tried once; whatever comes of it, the database is used. */
static void
index_once(struct base *b)
{
    struct answer a;

    old_tables(b);
    open_ready(b);
    assert_string_equal(has_index(b), "1");
    assert_string_equal(version_of(b, "stanzad_index"), "26");
    sql_db_close(&b->db);
    base_raw(
            b, b->settings.multihost
                       ? "DROP INDEX i_archive_server_host_username_bare_peer_timestamp"
                       : "DROP INDEX i_archive_username_bare_peer_timestamp");
    open_ready(b);
    assert_string_equal(has_index(b), "0");
    sql_db_close(&b->db);
    /* SQLite: one that cannot be made. */
    base_raw(b, "DELETE FROM schema_version WHERE module = 'stanzad_index'");
    base_raw(b,
            b->settings.multihost
                    ? "CREATE TABLE i_archive_server_host_username_bare_peer_timestamp"
                      " (a text)"
                    : "CREATE TABLE i_archive_username_bare_peer_timestamp (a text)");
    open_ready(b);
    assert_string_equal(version_of(b, "stanzad_index"), "25");
    base_ask(b, &a, SQL_USER_COUNT, "");
    assert_int_equal(a.status, SQL_OK);
}

/* With update_sql_schema: false old tables are used as they are. */
static void
older_untouched(struct base *b)
{
    struct answer a;
    char users[300];

    old_tables(b);
    snprintf(users, sizeof users, "%s", columns(b, "users"));
    b->settings.update_schema = false;
    open_ready(b);
    check_old_users(b);
    base_ask(b, &a, SQL_USER_CREATE, "titttiittti", "new", 3, "a2V5", "s", "salt", 1, 2,
            "other", "s", "salt", 1);
    assert_int_equal(a.status, SQL_OK);
    base_ask(b, &a, SQL_USER_GET, "t", "new");
    assert_string_equal(a.rows, "0:sha256:a2V5:s:salt:1");
    base_ask(b, &a, SQL_USER_CREATE, "tittti", "new", 1, "x", "", "", 0);
    assert_int_equal(a.status, SQL_CONFLICT);
    base_ask(b, &a, SQL_USER_UPDATE, "tittti", "plain", 1, "other", "", "", 0);
    assert_int_equal(a.status, SQL_OK);
    base_ask(b, &a, SQL_USER_GET, "t", "plain");
    assert_string_equal(a.rows, "0:other:::0");
    /* Deleting looks only at the tables that are there. */
    base_ask(b, &a, SQL_USER_DEL, "t", "plain");
    assert_int_equal(a.status, SQL_OK);
    assert_string_equal(base_raw(b, "SELECT count(*) FROM rosterusers"), "0");
    assert_string_equal(base_raw(b, "SELECT count(*) FROM archive"), "0");
    assert_string_equal(columns(b, "users"), users);
    assert_string_equal(columns(b, "schema_version"), "");
    assert_string_equal(columns(b, "stanzad_write"), "");
    assert_string_equal(has_index(b), "0");
}

/* Nothing there and nothing may be made: operations fail, the connection does not. */
static void
missing(struct base *b)
{
    struct answer a;

    folder_make(b);
    b->settings.update_schema = false;
    open_ready(b);
    base_ask(b, &a, SQL_USER_GET, "t", "juliet");
    assert_int_equal(a.status, SQL_ERROR);
    base_ask(b, &a, SQL_USER_CREATE, "tittti", "juliet", 1, "x", "", "", 0);
    assert_int_equal(a.status, SQL_ERROR);
    base_ask(b, &a, SQL_PING, "");
    assert_string_equal(a.rows, "1");
}

/* The configuration says one shape and the tables are of the other: hands off. */
static void
wrong_shape(struct base *b)
{
    open_ready(b);
    sql_db_close(&b->db);
    b->settings.multihost = !b->settings.multihost;
    base_open(b);
    for (uint64_t until = clock_ms() + 10000; !*sql_db_why_away(b->db);) {
        assert_true(clock_ms() < until);
        loop_turn_once(b->loop, 20);
    }
    assert_non_null(strstr(sql_db_why_away(b->db), "sql_schema_multihost"));
}

/* A newer ejabberd was here. Its number stays. */
static void
newer(struct base *b)
{
    struct answer a;

    open_ready(b);
    sql_db_close(&b->db);
    base_raw(
            b, "UPDATE schema_version SET version = 7 WHERE module = 'mod_roster_sql'");
    open_ready(b);
    assert_string_equal(version_of(b, "mod_roster_sql"), "7");
    base_ask(b, &a, SQL_USER_COUNT, "");
    assert_int_equal(a.status, SQL_OK);
}

/* Someone lost a table: it is made again, the others stay as they are. */
static void
one_lost(struct base *b)
{
    struct answer a;

    open_ready(b);
    base_ask(b, &a, SQL_USER_CREATE, "tittti", "juliet", 1, "x", "", "", 0);
    sql_db_close(&b->db);
    base_raw(b, "DROP TABLE vcard_search");
    open_ready(b);
    check_tables(b);
    base_ask(b, &a, SQL_USER_GET, "t", "juliet");
    assert_string_equal(a.rows, "1:x:::0");
}

/* Two processes start on an empty database at the same time. */
static void
together(struct base *b)
{
    struct sql_db *db[4];

    for (size_t i = 0; i < ARRAY_LEN(db); i++)
        db[i] = sql_db_open(b->loop, &b->settings, b->name);
    for (size_t i = 0; i < ARRAY_LEN(db); i++) {
        b->db = db[i];
        base_until_state(b, SQL_READY);
        assert_string_equal(sql_db_why_away(db[i]), "");
    }
    check_tables(b);
    for (size_t i = 0; i < ARRAY_LEN(db); i++)
        sql_db_close(&db[i]);
    b->db = NULL;
}

/* SQLite moves the rows of `users`; a column that we do not know must not be lost. */
static void
test_a_column_of_somebody_else_is_kept(void **state)
{
    for (int pg = 0; pg < 2; pg++) {
        struct base b;
        struct answer a;

        base_make(&b, *state, pg ? SQL_ENGINE_PGSQL : SQL_ENGINE_SQLITE, false);
        b.settings.password_types = true;
        old_tables(&b);
        base_raw(&b, "ALTER TABLE users ADD COLUMN shoe_size integer");
        base_raw(&b, "UPDATE users SET shoe_size = 44");
        base_open(&b);
        if (pg) {
            base_until_state(&b, SQL_READY);
            base_ask(&b, &a, SQL_USER_GET, "t", "plain");
            assert_string_equal(a.rows, "0:secret:::0");
        } else {
            assert_int_equal(base_send(&b, &a,
                                     &(struct sql_call){
                                             .op = SQL_USER_COUNT, .timeout_ms = 300 },
                                     ""),
                    0);
            base_until(&b, &a);
            assert_int_equal(a.status, SQL_UNAVAILABLE);
            assert_non_null(
                    strstr(sql_db_why_away(b.db), "columns_that_we_do_not_know"));
        }
        assert_string_equal(base_raw(&b, "SELECT sum(shoe_size) FROM users"), "88");
        base_end(&b);
    }
}

#define EACH(name, fn)             \
    static void name(void **state) \
    {                              \
        each_base(state, fn);      \
    }
EACH(test_an_empty_database, empty)
EACH(test_what_must_be_unique_is, unique)
EACH(test_older_tables, older)
EACH(test_older_users_that_may_stay, older_users_kept)
EACH(test_older_tables_that_must_not_change, older_untouched)
EACH(test_an_index_is_tried_once, index_once)
EACH(test_no_tables_and_none_may_be_made, missing)
EACH(test_the_other_shape, wrong_shape)
EACH(test_a_newer_version, newer)
EACH(test_one_table_lost, one_lost)
EACH(test_several_start_together, together)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_empty_database),
        cmocka_unit_test(test_what_must_be_unique_is),
        cmocka_unit_test(test_older_tables),
        cmocka_unit_test(test_older_users_that_may_stay),
        cmocka_unit_test(test_older_tables_that_must_not_change),
        cmocka_unit_test(test_an_index_is_tried_once),
        cmocka_unit_test(test_no_tables_and_none_may_be_made),
        cmocka_unit_test(test_the_other_shape),
        cmocka_unit_test(test_a_newer_version),
        cmocka_unit_test(test_one_table_lost),
        cmocka_unit_test(test_several_start_together),
        cmocka_unit_test(test_a_column_of_somebody_else_is_kept),
    };

    return cmocka_run_group_tests_name("sql_schema", tests, place_open, place_close);
}
