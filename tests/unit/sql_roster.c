/*
 * sql_roster.c -- rosters, their versions, and what a login loads
 */
#include <stdio.h>

#include "tests/unit/rig/sql_place.h"

/* A change of one contact; its group may be NULL. */
static enum sql_status
put(struct base *b, const char *user, const char *jid, int n, const char *group)
{
    struct answer a;
    char version[32];

    snprintf(version, sizeof version, "e:%d", n);
    base_ask(b, &a, SQL_ROSTER_PUT, group ? "ttttttittit" : "ttttttitti", user, jid, "",
            "B", "N", "", 0, "", version, n, group);
    return a.status;
}

static void
items(struct base *b)
{
    base_expect(b, SQL_OK, "f::::::0::", SQL_ROSTER_GET, "t", "juliet");
    base_expect(b, SQL_OK, "", SQL_ROSTER_PUT, "ttttttittitt", "juliet",
            "romeo@example.net", "Romeo", "T", "S", "Wherefore?", 1, "+", "e:1", 1,
            "Friends", "Verona");
    base_expect(b, SQL_OK, "", SQL_ROSTER_PUT, "ttttttitti", "juliet",
            "nurse@example.net", "", "B", "N", "", 0, "", "e:2", 2);
    base_expect(b, SQL_OK,
            "v:e:2:::::::;f::::::0::;"
            "i:nurse@example.net::B:N:::0:;"
            "i:romeo@example.net:Romeo:T:S:Wherefore?::1:+;"
            "g:romeo@example.net:Friends::::::;g:romeo@example.net:Verona::::::",
            SQL_ROSTER_GET, "t", "juliet");
    /* Replaced, with its groups. */
    base_expect(b, SQL_OK, "", SQL_ROSTER_PUT, "ttttttittit", "juliet",
            "romeo@example.net", "R", "B", "N", "", 0, "", "e:3", 3, "Montague");
    base_expect(b, SQL_OK,
            "v:e:3:::::::;f::::::0::;c::::::2::;i:romeo@example.net:R:B:N:::0:;"
            "g:romeo@example.net:Montague::::::",
            SQL_ROSTER_ITEM_GET, "tt", "juliet", "romeo@example.net");
    base_expect(b, SQL_OK, "v:e:3:::::::;f::::::0::;c::::::2::", SQL_ROSTER_ITEM_GET,
            "tt", "juliet", "paris@example.net");
    base_expect(b, SQL_OK, "2", SQL_ROSTER_COUNT, "t", "juliet");
    base_expect(b, SQL_OK, "", SQL_ROSTER_DEL, "ttti", "juliet", "romeo@example.net",
            "e:4", 4);
    base_expect(b, SQL_NOT_FOUND, "", SQL_ROSTER_DEL, "ttti", "juliet",
            "romeo@example.net", "e:5", 5);
    base_expect(b, SQL_OK,
            "v:e:4:::::::;f::::::0::;i:nurse@example.net::B:N:::0:", SQL_ROSTER_GET,
            "t", "juliet");
    base_expect(b, SQL_OK, "f::::::0::", SQL_ROSTER_GET, "t", "romeo");
}

/* What ejabberd finds. */
static void
rows(struct base *b)
{
    base_expect(b, SQL_OK, "", SQL_ROSTER_PUT, "ttttttittit", "juliet",
            "romeo@example.net", "Romeo", "F", "I", "hi", 1, "", "e:1", 1, "Friends");
    base_expect_raw(b, "juliet|romeo@example.net|Romeo|F|I|hi|N||item",
            "SELECT username || '|' || jid || '|' || nick || '|' || subscription || '|'"
            " || ask || '|' || askmessage || '|' || server || '|' || subscribe || '|'"
            " || type FROM rosterusers WHERE approved = true");
    base_expect_raw(b, "juliet|romeo@example.net|Friends",
            "SELECT username || '|' || jid || '|' || grp FROM rostergroups");
    base_expect_raw(
            b, "juliet|e:1", "SELECT username || '|' || version FROM roster_version");
    if (b->settings.multihost) {
        base_expect_raw(b, "example.net", "SELECT server_host FROM rosterusers");
        base_expect_raw(b, "example.net", "SELECT server_host FROM rostergroups");
        base_expect_raw(b, "example.net", "SELECT server_host FROM roster_version");
    }
}

static void
changes(struct base *b)
{
    assert_int_equal(put(b, "juliet", "a@x", 1, "g"), SQL_OK);
    assert_int_equal(put(b, "juliet", "b@x", 2, NULL), SQL_OK);
    assert_int_equal(put(b, "romeo", "b@x", 7, NULL), SQL_OK);
    assert_int_equal(put(b, "juliet", "a@x", 3, "h"), SQL_OK);
    base_expect(b, SQL_OK, "", SQL_ROSTER_DEL, "ttti", "juliet", "b@x", "e:5", 5);
    base_expect(b, SQL_OK, "a@x:3;b@x:5", SQL_ROSTER_CHANGES, "ti", "juliet", 0);
    base_expect(b, SQL_OK, "b@x:5", SQL_ROSTER_CHANGES, "ti", "juliet", 3);
    base_expect(b, SQL_OK, "", SQL_ROSTER_CHANGES, "ti", "juliet", 5);
    /* Two who change the same roster: the second has to read it again. */
    assert_int_equal(put(b, "juliet", "c@x", 5, NULL), SQL_CONFLICT);
    assert_int_equal(put(b, "juliet", "c@x", 4, NULL), SQL_CONFLICT);
    base_expect(b, SQL_CONFLICT, "", SQL_ROSTER_DEL, "ttti", "juliet", "a@x", "e:5", 5);
    base_expect(b, SQL_OK,
            "v:e:5:::::::;f::::::0::;i:a@x::B:N:::0:;g:a@x:h::::::", SQL_ROSTER_GET,
            "t", "juliet");
    /* A new epoch. */
    assert_int_equal(put(b, "juliet", "c@x", 1, NULL), SQL_OK);
    base_expect(b, SQL_OK,
            "v:e:1:::::::;f::::::0::;c::::::2::;i:c@x::B:N:::0:", SQL_ROSTER_ITEM_GET,
            "tt", "juliet", "c@x");
    base_expect(b, SQL_OK, "c@x:1", SQL_ROSTER_CHANGES, "ti", "juliet", 0);
    assert_int_equal(put(b, "juliet", "d@x", 2, NULL), SQL_OK);
    assert_int_equal(put(b, "juliet", "d@x", 2, NULL), SQL_CONFLICT);
    base_expect(b, SQL_OK, "d@x:2", SQL_ROSTER_CHANGES, "ti", "juliet", 1);
    base_expect(b, SQL_OK, "", SQL_ROSTER_DEL, "ttti", "juliet", "a@x", "f:1", 1);
    base_expect(b, SQL_OK, "a@x:1", SQL_ROSTER_CHANGES, "ti", "juliet", 0);
    base_expect(b, SQL_OK, "b@x:7", SQL_ROSTER_CHANGES, "ti", "romeo", 0);
}

/* Changes from..to of as many contacts, all queued at once. */
static void
change_many(struct base *b, bool put_them, int from, int to)
{
    static struct answer a[640];
    char jid[32], version[16];

    for (int n = from; n <= to; n++) {
        snprintf(jid, sizeof jid, "c%d@x", (n - 1) % 640 + 1);
        snprintf(version, sizeof version, "e:%d", n);
        assert_int_equal(put_them ? base_send(b, &a[n - from],
                                            &(struct sql_call){ .op = SQL_ROSTER_PUT },
                                            "ttttttitti", "juliet", jid, "", "B", "N",
                                            "", 0, "", version, n)
                                  : base_send(b, &a[n - from],
                                            &(struct sql_call){ .op = SQL_ROSTER_DEL },
                                            "ttti", "juliet", jid, version, n),
                0);
    }
    for (int n = from; n <= to; n++) {
        base_until(b, &a[n - from]);
        assert_int_equal(a[n - from].status, SQL_OK);
    }
}

/* The log is cut, and says how far it is complete. */
static void
bounded(struct base *b)
{
    change_many(b, true, 1, 575);
    base_expect_raw(b, "564", "SELECT count(*) FROM stanzad_roster_change");
    change_many(b, true, 576, 576);
    base_expect_raw(b, "501", "SELECT count(*) FROM stanzad_roster_change");
    base_expect(b, SQL_OK,
            "v:e:576:::::::;f::::::76::;c::::::576::", SQL_ROSTER_ITEM_GET, "tt",
            "juliet", "nobody@x");
    change_many(b, true, 577, 640);
    /* Contacts that are gone count like others. */
    change_many(b, false, 641, 1280);
    base_expect(
            b, SQL_OK, "v:e:1280:::::::;f::::::780::", SQL_ROSTER_GET, "t", "juliet");
    base_expect(b, SQL_OK, ":780;c639@x:1279;c640@x:1280", SQL_ROSTER_CHANGES, "ti",
            "juliet", 1278);
    base_expect_raw(b, "501", "SELECT count(*) FROM stanzad_roster_change");
}

static void
watchers(struct base *b)
{
    static const char *const users[] = { "anna", "bob", "carol" };

    for (size_t i = 0; i < ARRAY_LEN(users); i++) {
        assert_int_equal(put(b, users[i], "juliet@example.net", 1, NULL), SQL_OK);
        assert_int_equal(put(b, users[i], "romeo@example.net", 2, "g"), SQL_OK);
    }
    base_expect(b, SQL_OK, "anna:B:N;bob:B:N", SQL_ROSTER_WATCHERS, "tti",
            "juliet@example.net", "", 2);
    base_expect(b, SQL_OK, "carol:B:N", SQL_ROSTER_WATCHERS, "tti",
            "juliet@example.net", "bob", 2);
    base_expect(b, SQL_OK, "", SQL_ROSTER_WATCHERS, "tti", "x@example.net", "", 2);
    base_expect(b, SQL_OK,
            "anna:juliet@example.net::B:N;anna:romeo@example.net::B:N;"
            "bob:juliet@example.net::B:N",
            SQL_ROSTER_LIST, "tti", "", "", 3);
    base_expect(b, SQL_OK,
            "bob:romeo@example.net::B:N;carol:juliet@example.net::B:N;"
            "carol:romeo@example.net::B:N",
            SQL_ROSTER_LIST, "tti", "bob", "juliet@example.net", 10);
}

static void
account(struct base *b)
{
    base_expect(b, SQL_OK, "f::::::0::::::::", SQL_ACCOUNT_GET, "t", "juliet");
    base_expect(b, SQL_OK, "", SQL_USER_CREATE, "tittti", "juliet", 1, "x", "", "", 0);
    base_expect(b, SQL_OK, "u::::::::::::::;f::::::0::::::::", SQL_ACCOUNT_GET, "t",
            "juliet");
    assert_int_equal(put(b, "juliet", "a@x", 1, "g"), SQL_OK);
    base_expect(b, SQL_OK, "", SQL_PRIVACY_PUT, "tttttiiiiiitttiiiiii", "juliet",
            "public", "j", "paris@example.net", "d", 1, 1, 0, 0, 0, 0, "n", "", "a", 2,
            0, 1, 0, 1, 0);
    base_expect(b, SQL_OK, "", SQL_PRIVACY_DEFAULT_SET, "tt", "juliet", "public");
    base_expect(b, SQL_OK, "", SQL_PREFS_SET, "tttt", "juliet", "roster", "[]",
            "[{<<\"p\">>,<<\"x\">>,<<>>}]");
    base_expect(b, SQL_OK,
            "u::::::::::::::;v:e:1:::::::::::::;f::::::0::::::::;"
            "i:a@x::B:N:::0:::::::;"
            "g:a@x:g::::::::::::;"
            "p:public:j:paris@example.net:d:::::1:1:0:0:0:0;p:public:n::a:::::2:0:1:0:"
            "1:0;"
            "a:roster:[]:[{<<\"p\">>,<<\"x\">>,<<>>}]:::::::::::",
            SQL_ACCOUNT_GET, "t", "juliet");
    base_expect(b, SQL_OK, "", SQL_USER_DEL, "t", "juliet");
    base_expect(b, SQL_OK, "f::::::0::::::::", SQL_ACCOUNT_GET, "t", "juliet");
    base_expect_raw(b, "0", "SELECT count(*) FROM stanzad_roster_change");
}

/* Tables as ejabberd <= 26.02 has them, none of ours, and some missing. */
static void
older(struct base *b)
{
    base_reopen_changed(b,
            "ALTER TABLE rosterusers DROP COLUMN approved;"
            "DROP TABLE stanzad_roster_change; DROP TABLE archive_prefs");
    assert_int_equal(put(b, "juliet", "a@x", 1, "g"), SQL_OK);
    assert_int_equal(put(b, "juliet", "b@x", 1, NULL), SQL_OK);
    base_expect(b, SQL_OK, "v:e:1:::::::;i:a@x::B:N:::0:;i:b@x::B:N:::0:;g:a@x:g::::::",
            SQL_ROSTER_GET, "t", "juliet");
    base_expect(b, SQL_OK, "", SQL_ROSTER_CHANGES, "ti", "juliet", 0);
    base_expect(b, SQL_OK, "", SQL_ROSTER_DEL, "ttti", "juliet", "b@x", "e:2", 2);
    base_expect(b, SQL_OK,
            "v:e:2:::::::::::::;i:a@x::B:N:::0:::::::;g:a@x:g::::::::::::",
            SQL_ACCOUNT_GET, "t", "juliet");
    base_expect(b, SQL_OK, "", SQL_USER_FORGET, "t", "juliet");
    base_expect(b, SQL_OK, "", SQL_ROSTER_GET, "t", "juliet");
    base_expect(b, SQL_ERROR, "", SQL_PREFS_GET, "t", "juliet");
}

#define EACH(name, fn)             \
    static void name(void **state) \
    {                              \
        base_each(state, fn);      \
    }
EACH(test_items_and_groups, items)
EACH(test_rows_as_ejabberd_has_them, rows)
EACH(test_changes_are_numbered, changes)
EACH(test_the_log_of_changes_is_bounded, bounded)
EACH(test_who_has_a_contact, watchers)
EACH(test_what_a_login_loads, account)
EACH(test_older_tables, older)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_items_and_groups),
        cmocka_unit_test(test_rows_as_ejabberd_has_them),
        cmocka_unit_test(test_changes_are_numbered),
        cmocka_unit_test(test_the_log_of_changes_is_bounded),
        cmocka_unit_test(test_who_has_a_contact),
        cmocka_unit_test(test_what_a_login_loads),
        cmocka_unit_test(test_older_tables),
    };

    return cmocka_run_group_tests_name("sql_roster", tests, place_open, place_close);
}
