/*
 * sql_stores.c -- what is kept for users besides rosters and archives: offline
 * messages, vCards, private XML, last activity, privacy lists, the message of the day,
 * shared groups, capabilities
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/rig/sql_place.h"

/* For statements from outside: the host's column and value, where there is one. */
static const char *
col(const struct base *b)
{
    return b->settings.multihost ? "server_host, " : "";
}

static const char *
val(const struct base *b)
{
    return b->settings.multihost ? "'example.net', " : "";
}

static void
spool(struct base *b)
{
    base_expect(b, SQL_OK, "", SQL_SPOOL_ADD, "tti", "juliet", "<message id='1'/>", 2);
    base_expect(b, SQL_OK, "", SQL_SPOOL_ADD, "tti", "juliet", "<message id='2'/>", 2);
    base_expect(b, SQL_CONFLICT, "", SQL_SPOOL_ADD, "tti", "juliet",
            "<message id='3'/>", 2);
    base_expect(
            b, SQL_CONFLICT, "", SQL_SPOOL_ADD, "tti", "romeo", "<message id='3'/>", 0);
    base_expect(b, SQL_OK, "", SQL_SPOOL_ADD, "tti", "juliet", "<message id='3'/>", -1);
    base_expect(b, SQL_OK, "", SQL_SPOOL_ADD, "tti", "romeo", "<message id='4'/>", 1);
    base_expect(b, SQL_OK, "3", SQL_SPOOL_COUNT, "t", "juliet");
    base_expect(b, SQL_OK, "juliet:3;romeo:1", SQL_SPOOL_USERS, "ti", "", 9);
    base_expect(b, SQL_OK, "juliet:3", SQL_SPOOL_USERS, "ti", "", 1);
    base_expect(b, SQL_OK, "romeo:1", SQL_SPOOL_USERS, "ti", "juliet", 1);
}

/* Also where PostgreSQL's sessions are not in UTC. */
static void
spool_times(struct base *b)
{
    bool pg = b->settings.type == SQL_ENGINE_PGSQL;
    uint64_t now = clock_wall_us();
    struct answer a;
    long long stored;
    char *at, text[400];

    if (pg && b->settings.multihost) {
        snprintf(text, sizeof text, "ALTER DATABASE %s SET timezone = 'Asia/Kathmandu'",
                b->database);
        base_reopen_changed(b, text);
    }
    base_expect(b, SQL_OK, "", SQL_SPOOL_ADD, "tti", "juliet", "<m/>", -1);
    base_ask(b, &a, SQL_SPOOL_GET, "tii", "juliet", 0, 9);
    at = strrchr(a.rows, ':');
    assert_non_null(at);
    stored = atoll(at + 1);
    if (stored < (long long)now - 2000000 || stored > (long long)now + 10000000)
        fail_msg("%s: stored at %lld, not %lld", b->name, stored, (long long)now);
    base_expect(b, SQL_OK, "", SQL_SPOOL_DEL_OLD, "li", (int64_t)now - 10000000, 9);
    base_expect(b, SQL_OK, "1", SQL_SPOOL_COUNT, "t", "juliet");
    base_expect(b, SQL_OK, "", SQL_SPOOL_ADD, "tti", "juliet", "<m/>", -1);
    base_raw(b, pg ? "UPDATE spool SET created_at = to_timestamp(1700000000.25) WHERE "
                     "seq = 1"
                   : "UPDATE spool SET created_at = datetime(1700000000, 'unixepoch')"
                     " WHERE seq = 1");
    base_expect(b, SQL_OK, pg ? "1:<m/>:1700000000250000" : "1:<m/>:1700000000000000",
            SQL_SPOOL_GET, "tii", "juliet", 0, 1);
    base_expect(b, SQL_OK, "", SQL_SPOOL_DEL_OLD, "li", INT64_C(1699999999000000), 9);
    base_expect(b, SQL_OK, "2", SQL_SPOOL_COUNT, "t", "juliet");
    base_expect(b, SQL_OK, "", SQL_SPOOL_DEL_OLD, "li", INT64_C(1700000001000000), 9);
    base_expect(b, SQL_OK, "1", SQL_SPOOL_COUNT, "t", "juliet");
}

static void
spool_deleted(struct base *b)
{
    struct answer a;
    char text[16];

    for (int i = 1; i <= 9; i++) {
        snprintf(text, sizeof text, "<m%d/>", i);
        base_expect(b, SQL_OK, "", SQL_SPOOL_ADD, "tti", i == 5 ? "romeo" : "juliet",
                text, -1);
    }
    base_expect(b, SQL_OK, "", SQL_SPOOL_DEL, "tiiii", "juliet", 2, 5, 7, 70);
    base_expect(b, SQL_OK, "", SQL_SPOOL_DEL_UPTO, "ti", "juliet", 3);
    base_ask(b, &a, SQL_SPOOL_GET, "tii", "juliet", 4, 2);
    assert_non_null(strstr(a.rows, "6:<m6/>:"));
    assert_non_null(strstr(a.rows, ";8:<m8/>:"));
    assert_null(strstr(a.rows, "<m9/>"));
    base_expect(b, SQL_OK, "4", SQL_SPOOL_COUNT, "t", "juliet");
    base_expect(b, SQL_OK, "1", SQL_SPOOL_COUNT, "t", "romeo");
    /* In portions. */
    base_ask(b, &a, SQL_SPOOL_DEL_OLD, "li", (int64_t)clock_wall_us() + 10000000, 3);
    assert_int_equal(a.changed, 3);
    base_ask(b, &a, SQL_SPOOL_DEL_OLD, "li", (int64_t)clock_wall_us() + 10000000, 3);
    assert_int_equal(a.changed, 2);
    base_expect(b, SQL_OK, "", SQL_SPOOL_ADD, "tti", "romeo", "<m/>", -1);
    base_expect(b, SQL_OK, "", SQL_SPOOL_DEL_ALL, "t", "romeo");
    base_expect(b, SQL_OK, "", SQL_SPOOL_USERS, "ti", "", 9);
}

/* Some rows in the order asked for; those that may expire, with the end of them. */
static void
spool_read(struct base *b)
{
    bool pg = b->settings.type == SQL_ENGINE_PGSQL;
    const char *when = pg ? "UPDATE spool SET created_at = to_timestamp(1700000000)"
                          : "UPDATE spool SET created_at ="
                            " datetime(1700000000, 'unixepoch')";

    base_expect(b, SQL_OK, "", SQL_SPOOL_ADD, "tti", "juliet", "<m1/>", -1);
    base_expect(b, SQL_OK, "", SQL_SPOOL_ADD, "tti", "romeo", "<m2/>", -1);
    base_expect(b, SQL_OK, "", SQL_SPOOL_ADD, "tti", "juliet",
            "<m3 x='jabber:x:expire'/>", -1);
    base_expect(b, SQL_OK, "", SQL_SPOOL_ADD, "tti", "romeo",
            "<m4 x='jabber:x:expire'/>", -1);
    base_raw(b, when);
    base_expect(b, SQL_OK,
            "3:<m3 x='jabber:x:expire'/>:1700000000000000;1:<m1/>:1700000000000000",
            SQL_SPOOL_READ, "tiiii", "juliet", 3, 2, 9, 1);
    base_expect(b, SQL_OK, "juliet:3:<m3 x='jabber:x:expire'/>:1700000000000000",
            SQL_SPOOL_EXPIRING, "ii", 0, 1);
    base_expect(b, SQL_OK, "romeo:4:<m4 x='jabber:x:expire'/>:1700000000000000",
            SQL_SPOOL_EXPIRING, "ii", 3, 9);
    base_expect(b, SQL_OK, "", SQL_SPOOL_DEL_EACH, "titi", "juliet", 3, "juliet", 4);
    base_expect(b, SQL_OK, "1", SQL_SPOOL_COUNT, "t", "juliet");
    base_expect(b, SQL_OK, "2", SQL_SPOOL_COUNT, "t", "romeo");
}

static enum sql_status
vcard_set_text(struct base *b, const char *user, const char *text, const char *fn,
        const char *lfn, const char *email)
{
    struct answer a;

    base_ask(b, &a, SQL_VCARD_SET, "ttttttttttttttttttttttttt", user, text, user, fn,
            lfn, "Family", "family", "Given", "given", "", "", "", "", "", "", "It",
            "it", "", "", email, email, "", "", "", "");
    return a.status;
}

static enum sql_status
vcard_set(struct base *b, const char *user, const char *fn, const char *lfn,
        const char *email)
{
    return vcard_set_text(b, user, "<vCard/>", fn, lfn, email);
}

static void
photo(struct base *b)
{
    static const struct {
        const char *text, *photo;
    } cases[] = {
        { "<vCard/>", "" },
        { "<vCard><PHOTO/></vCard>", "" },
        { "<vCard></PHOTO><PHOTO>x</vCard>", "" },
        { "<vCard><FN>\xc3\xa9&lt;PHOTO></FN><PHOTO><BINVAL>eHg=</BINVAL></PHOTO><N/></"
          "vCard>",
                "<PHOTO><BINVAL>eHg=</BINVAL></PHOTO>" },
    };

    base_expect(b, SQL_OK, "", SQL_VCARD_PHOTO, "t", "nobody");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("case: %s\n", cases[i].text);
        assert_int_equal(vcard_set_text(b, "photo", cases[i].text, "", "", ""), SQL_OK);
        base_expect(b, SQL_OK, cases[i].photo, SQL_VCARD_PHOTO, "t", "photo");
    }
    base_expect(b, SQL_OK, "", SQL_VCARD_DEL, "t", "photo");
}

/* Eleven patterns that let everything through but for two columns. */
#define SEARCH(b, rows, user, fn, email, limit)                                       \
    base_expect(b, SQL_OK, rows, SQL_VCARD_SEARCH, "tttttttttttti", user, fn, "", "", \
            "", "", "", "", "", email, "", "", limit)

static void
vcard(struct base *b)
{
#define FOUND(user, fn, email) user ":" fn ":Family:Given::::It::" email "::"
    base_expect(b, SQL_OK, "", SQL_VCARD_GET, "t", "juliet");
    assert_int_equal(vcard_set(b, "juliet", "X", "x", ""), SQL_OK);
    assert_int_equal(vcard_set(b, "juliet", "100% _J!", "100% _j!", "j@x"), SQL_OK);
    assert_int_equal(vcard_set(b, "romeo", "100 Romeo", "100 romeo", "r@x"), SQL_OK);
    base_expect(b, SQL_OK, "<vCard/>", SQL_VCARD_GET, "t", "juliet");
    SEARCH(b, FOUND("juliet", "100% _J!", "j@x") ";" FOUND("romeo", "100 Romeo", "r@x"),
            "", "", "", 9);
    SEARCH(b, FOUND("juliet", "100% _J!", "j@x"), "", "100!%%", "", 9);
    SEARCH(b, FOUND("juliet", "100% _J!", "j@x"), "", "%!_j!!", "", 9);
    SEARCH(b, FOUND("romeo", "100 Romeo", "r@x"), "", "100%", "r@x", 9);
    SEARCH(b, FOUND("romeo", "100 Romeo", "r@x"), "rom%", "", "", 9);
    SEARCH(b, "", "rom%", "x", "", 9);
    SEARCH(b, FOUND("juliet", "100% _J!", "j@x"), "", "", "", 1);
    base_expect(b, SQL_OK, "", SQL_VCARD_DEL, "t", "juliet");
    base_expect(b, SQL_OK, "", SQL_VCARD_GET, "t", "juliet");
    SEARCH(b, FOUND("romeo", "100 Romeo", "r@x"), "", "", "", 9);
#undef FOUND
    photo(b);
}

static void
private_storage(struct base *b)
{
    base_expect(b, SQL_OK, "0:0", SQL_PRIVATE_STAT, "t", "juliet");
    base_expect(b, SQL_OK, "", SQL_PRIVATE_SET, "ttttt", "juliet", "storage:bookmarks",
            "<storage/>", "urn:x", "<x>\xc3\xa9</x>");
    base_expect(b, SQL_OK, "", SQL_PRIVATE_SET, "ttt", "juliet", "storage:bookmarks",
            "<storage a='b'/>");
    base_expect(b, SQL_OK, "<storage a='b'/>", SQL_PRIVATE_GET, "tt", "juliet",
            "storage:bookmarks");
    base_expect(b, SQL_OK, "", SQL_PRIVATE_GET, "tt", "romeo", "storage:bookmarks");
    base_expect(b, SQL_OK, "storage:bookmarks:<storage a='b'/>;urn:x:<x>\xc3\xa9</x>",
            SQL_PRIVATE_ALL, "tti", "juliet", "", 9);
    base_expect(b, SQL_OK, "urn:x:<x>\xc3\xa9</x>", SQL_PRIVATE_ALL, "tti", "juliet",
            "storage:bookmarks", 9);
    base_expect(b, SQL_OK, "2:25", SQL_PRIVATE_STAT, "t", "juliet");
    base_expect(b, SQL_OK, "juliet", SQL_PRIVATE_USERS, "tti", "urn:x", "", 9);
    base_expect(b, SQL_OK, "", SQL_PRIVATE_USERS, "tti", "urn:x", "juliet", 9);
    base_expect(b, SQL_OK, "2:25;-1:-16;0:0", SQL_PRIVATE_STAT, "ttt", "juliet",
            "storage:bookmarks", "none");
    base_expect(b, SQL_OK, "", SQL_PRIVATE_DEL, "tt", "juliet", "urn:x");
    base_expect(b, SQL_OK, "", SQL_PRIVATE_GET, "tt", "juliet", "urn:x");
}

static void
last(struct base *b)
{
    int64_t soon = (int64_t)(clock_wall_us() / 1000000) + 1000;
    char text[300];

    base_expect(b, SQL_OK, "", SQL_LAST_GET, "t", "juliet");
    base_expect(b, SQL_OK, "", SQL_LAST_SET, "tit", "juliet", 1000000000, "gone");
    base_expect(b, SQL_OK, "", SQL_LAST_SET, "tit", "juliet", 1700000000, "Good night");
    base_expect(b, SQL_OK, "", SQL_LAST_SET, "tit", "romeo", 999, "");
    base_expect(b, SQL_OK, "", SQL_LAST_SET, "tit", "paris", 1000, "");
    base_expect(b, SQL_OK, "1700000000:Good night", SQL_LAST_GET, "t", "juliet");
    base_expect_raw(
            b, "1700000000", "SELECT seconds FROM last WHERE username = 'juliet'");
    snprintf(text, sizeof text,
            "INSERT INTO last (username, %sseconds, state) VALUES ('odd', %s'soon', "
            "'')",
            col(b), val(b));
    base_raw(b, text);
    base_expect(b, SQL_OK, "", SQL_LAST_NOTE, "tit", "juliet", 1699999999, "late");
    base_expect(b, SQL_OK, "1700000000:Good night", SQL_LAST_GET, "t", "juliet");
    base_expect(b, SQL_OK, "", SQL_LAST_NOTE, "tit", "juliet", 1700000000, "again");
    base_expect(b, SQL_OK, "1700000000:again", SQL_LAST_GET, "t", "juliet");
    base_expect(b, SQL_OK, "", SQL_LAST_NOTE, "tit", "odd", 998, "");
    base_expect(b, SQL_OK, "998:", SQL_LAST_GET, "t", "odd");
    base_expect(b, SQL_OK, "", SQL_LAST_SET, "tit", "odd", 5, "");
    base_raw(b, "UPDATE last SET seconds = 'soon' WHERE username = 'odd'");
    base_expect(b, SQL_OK, "paris:1000;romeo:999", SQL_LAST_OLDER, "iti", 1001, "", 9);
    base_expect(b, SQL_OK, "romeo:999", SQL_LAST_OLDER, "iti", 1001, "paris", 9);
    base_expect(b, SQL_OK, "romeo:999", SQL_LAST_OLDER, "iti", 1000, "", 1);
    base_expect(b, SQL_OK, "2", SQL_LAST_COUNT, "i", 1000);
    base_expect(b, SQL_OK, "", SQL_USER_CREATE, "tittti", "juliet", 1, "x", "", "", 0);
    base_expect(b, SQL_OK, "", SQL_USER_CREATE, "titttiittti", "nurse", 1, "x", "", "",
            0, 2, "x", "", "", 0);
    base_expect(b, SQL_OK, "nurse", SQL_LAST_NEVER, "lti", soon, "", 9);
    base_expect(b, SQL_OK, "", SQL_LAST_NEVER, "lti", soon - 100000, "", 9);
    base_expect(b, SQL_OK, "", SQL_LAST_NEVER, "lti", soon, "nurse", 9);
    base_expect(b, SQL_OK, "", SQL_LAST_DEL, "t", "juliet");
    base_expect(b, SQL_OK, "juliet;nurse", SQL_LAST_NEVER, "lti", soon, "", 9);
    base_expect(b, SQL_OK, "1", SQL_LAST_COUNT, "i", 1000);
}

static void
privacy(struct base *b)
{
    base_expect(b, SQL_OK, "", SQL_PRIVACY_DEFAULT_GET, "t", "juliet");
    base_expect(b, SQL_NOT_FOUND, "", SQL_PRIVACY_DEFAULT_SET, "tt", "juliet", "none");
    base_expect(b, SQL_OK, "", SQL_PRIVACY_PUT, "tttttiiiiiitttiiiiiitttiiiiii",
            "juliet", "work", "s", "none", "d", 30, 0, 1, 1, 0, 1, "j", "paris@x", "d",
            5, 1, 0, 0, 0, 0, "g", "Friends", "a", 20, 0, 0, 0, 1, 0);
    base_expect(b, SQL_OK, "", SQL_PRIVACY_PUT, "tttttiiiiii", "juliet", "home", "n",
            "", "a", 1, 1, 0, 0, 0, 0);
    base_expect(b, SQL_OK, "", SQL_PRIVACY_PUT, "tttttiiiiii", "romeo", "work", "n", "",
            "a", 9, 1, 0, 0, 0, 0);
    base_expect(b, SQL_OK, "home:0;work:0", SQL_PRIVACY_LISTS, "t", "juliet");
    base_expect(b, SQL_OK,
            "j:paris@x:d:5:1:0:0:0:0;g:Friends:a:20:0:0:0:1:0;s:none:d:30:0:1:1:0:1",
            SQL_PRIVACY_GET, "tt", "juliet", "work");
    base_expect(b, SQL_OK, "", SQL_PRIVACY_GET, "tt", "juliet", "nothing");
    base_expect(b, SQL_OK, "", SQL_PRIVACY_DEFAULT_SET, "tt", "juliet", "home");
    base_expect(b, SQL_OK, "", SQL_PRIVACY_DEFAULT_SET, "tt", "juliet", "work");
    base_expect(b, SQL_OK, "home:0;work:1", SQL_PRIVACY_LISTS, "t", "juliet");
    base_expect(b, SQL_OK, "work:0", SQL_PRIVACY_LISTS, "t", "romeo");
    base_expect(b, SQL_OK,
            "work:j:paris@x:d:5:1:0:0:0:0;work:g:Friends:a:20:0:0:0:1:0;"
            "work:s:none:d:30:0:1:1:0:1",
            SQL_PRIVACY_DEFAULT_GET, "t", "juliet");
    /* Replaced; a list may be empty. */
    base_expect(b, SQL_OK, "", SQL_PRIVACY_PUT, "tttttiiiiii", "juliet", "work", "n",
            "", "d", 1, 0, 0, 1, 0, 0);
    base_expect(
            b, SQL_OK, "work:n::d:1:0:0:1:0:0", SQL_PRIVACY_DEFAULT_GET, "t", "juliet");
    base_expect(b, SQL_OK, "", SQL_PRIVACY_PUT, "tt", "juliet", "work");
    base_expect(b, SQL_OK, "work:::::::::", SQL_PRIVACY_DEFAULT_GET, "t", "juliet");
    base_expect(b, SQL_OK, "::::::::", SQL_PRIVACY_GET, "tt", "juliet", "work");
    base_expect(b, SQL_OK, "", SQL_PRIVACY_DEFAULT_UNSET, "t", "juliet");
    base_expect(b, SQL_OK, "", SQL_PRIVACY_DEFAULT_GET, "t", "juliet");
    base_expect(b, SQL_OK, "", SQL_PRIVACY_DEFAULT_SET, "tt", "juliet", "home");
    base_expect(b, SQL_OK, "", SQL_PRIVACY_DEL, "tt", "juliet", "home");
    base_expect(b, SQL_NOT_FOUND, "", SQL_PRIVACY_DEL, "tt", "juliet", "home");
    base_expect(b, SQL_OK, "", SQL_PRIVACY_DEFAULT_GET, "t", "juliet");
    base_expect(b, SQL_OK, "work:0", SQL_PRIVACY_LISTS, "t", "juliet");
    base_expect(b, SQL_OK, "n::a:9:1:0:0:0:0", SQL_PRIVACY_GET, "tt", "romeo", "work");
    base_expect_raw(b, "1", "SELECT count(*) FROM privacy_list_data");
}

static void
motd(struct base *b)
{
    base_expect(b, SQL_OK, "", SQL_MOTD_GET, "");
    base_expect(b, SQL_OK, "", SQL_MOTD_FOR, "t", "juliet");
    base_expect(b, SQL_CONFLICT, "", SQL_MOTD_SEE, "tt", "juliet", "");
    base_expect(b, SQL_OK, "", SQL_MOTD_SET, "t", "<message>1</message>");
    base_expect(b, SQL_OK, "", SQL_MOTD_SEEN, "tt", "juliet", "romeo");
    base_expect(b, SQL_OK, "", SQL_MOTD_SEEN, "t", "juliet");
    base_expect(b, SQL_OK, "<message>1</message>:1", SQL_MOTD_FOR, "t", "juliet");
    base_expect(b, SQL_OK, "<message>1</message>:0", SQL_MOTD_FOR, "t", "paris");
    base_expect(
            b, SQL_CONFLICT, "", SQL_MOTD_SEE, "tt", "paris", "<message>2</message>");
    base_expect(b, SQL_OK, "", SQL_MOTD_SEE, "tt", "paris", "<message>1</message>");
    base_expect(
            b, SQL_CONFLICT, "", SQL_MOTD_SEE, "tt", "paris", "<message>1</message>");
    base_expect(b, SQL_OK, "<message>1</message>:1", SQL_MOTD_FOR, "t", "paris");
    base_expect_raw(b, "", "SELECT xml FROM motd WHERE username = 'juliet'");
    base_expect_raw(b, "", "SELECT xml FROM motd WHERE username = 'paris'");
    base_expect(b, SQL_OK, "<message>1</message>", SQL_MOTD_GET, "");
    base_expect(b, SQL_OK, "", SQL_MOTD_SET, "t", "<message>2</message>");
    base_expect(b, SQL_OK, "<message>2</message>", SQL_MOTD_GET, "");
    base_expect(b, SQL_OK, "<message>2</message>:0", SQL_MOTD_FOR, "t", "juliet");
    base_expect(b, SQL_OK, "", SQL_MOTD_SEEN, "t", "juliet");
    base_expect(b, SQL_OK, "", SQL_MOTD_DEL, "");
    base_expect(b, SQL_OK, "", SQL_MOTD_GET, "");
    base_expect(b, SQL_OK, "", SQL_MOTD_FOR, "t", "juliet");
}

static void
shared(struct base *b)
{
    base_expect(b, SQL_OK, "", SQL_SR_GROUP_SET, "tt", "all", "[]");
    base_expect(b, SQL_OK, "", SQL_SR_GROUP_SET, "tt", "all", "[{label,<<\"All\">>}]");
    base_expect(b, SQL_OK, "", SQL_SR_GROUP_SET, "tt", "work", "[]");
    base_expect(
            b, SQL_OK, "all:[{label,<<\"All\">>}];work:[]", SQL_SR_GROUPS, "ti", "", 9);
    base_expect(b, SQL_OK, "work:[]", SQL_SR_GROUPS, "ti", "all", 9);
    base_expect(b, SQL_OK, "[]", SQL_SR_GROUP_GET, "t", "work");
    base_expect(b, SQL_OK, "", SQL_SR_GROUP_GET, "t", "other");
    base_expect(b, SQL_OK, "", SQL_SR_USER_ADD, "tt", "b@x", "work");
    base_expect(b, SQL_OK, "", SQL_SR_USER_ADD, "tt", "b@x", "work");
    base_expect(b, SQL_OK, "", SQL_SR_USER_ADD, "tt", "b@x", "all");
    base_expect(b, SQL_OK, "", SQL_SR_USER_ADD, "tt", "a@x", "work");
    base_expect(b, SQL_OK, "a@x;b@x", SQL_SR_MEMBERS, "tti", "work", "", 9);
    base_expect(b, SQL_OK, "b@x", SQL_SR_MEMBERS, "tti", "work", "a@x", 9);
    base_expect(b, SQL_OK, "all;work", SQL_SR_USER_GROUPS, "t", "b@x");
    base_expect(b, SQL_OK, "a@x:work;b@x:all", SQL_SR_ALL, "tti", "", "", 2);
    base_expect(b, SQL_OK, "b@x:work", SQL_SR_ALL, "tti", "b@x", "all", 2);
    base_expect(b, SQL_OK, "", SQL_SR_USER_DEL, "tt", "b@x", "all");
    base_expect(b, SQL_OK, "", SQL_SR_GROUP_DEL, "t", "work");
    base_expect(b, SQL_OK, "", SQL_SR_ALL, "tti", "", "", 9);
    base_expect(b, SQL_OK, "all:[{label,<<\"All\">>}]", SQL_SR_GROUPS, "ti", "", 9);
}

static void
caps(struct base *b)
{
    base_expect(b, SQL_OK, "", SQL_CAPS_GET, "tt", "http://x", "v=");
    base_expect(b, SQL_OK, "", SQL_CAPS_SET, "ttt", "http://x", "v=", "1700000000");
    base_expect(
            b, SQL_OK, "", SQL_CAPS_SET, "tttt", "http://x", "v=", "urn:b", "urn:a");
    base_expect(b, SQL_OK, "", SQL_CAPS_SET, "ttt", "http://x", "w=", "urn:c");
    base_expect(b, SQL_OK, "urn:a;urn:b", SQL_CAPS_GET, "tt", "http://x", "v=");
    base_expect(b, SQL_OK, "urn:c", SQL_CAPS_GET, "tt", "http://x", "w=");
}

/* Nothing is left of an account, and everything of the others. */
static void
forgotten(struct base *b)
{
    static const char *const users[] = { "juliet", "romeo" };
    static const struct {
        const char *table, *column;
    } tables[] = {
        { "last", "username" },
        { "spool", "username" },
        { "vcard", "username" },
        { "vcard_search", "lusername" },
        { "private_storage", "username" },
        { "privacy_list", "username" },
        { "privacy_default_list", "username" },
        { "motd", "username" },
        { "rosterusers", "username" },
        { "rostergroups", "username" },
        { "roster_version", "username" },
        { "stanzad_roster_change", "username" },
        { "archive", "username" },
        { "archive_prefs", "username" },
        { "users", "username" },
    };
    char text[200];

    for (size_t i = 0; i < ARRAY_LEN(users); i++) {
        const char *u = users[i];

        base_expect(b, SQL_OK, "", SQL_USER_CREATE, "tittti", u, 1, "x", "", "", 0);
        base_expect(b, SQL_OK, "", SQL_LAST_SET, "tit", u, 1, "");
        base_expect(b, SQL_OK, "", SQL_SPOOL_ADD, "tti", u, "<m/>", -1);
        assert_int_equal(vcard_set(b, u, "", "", ""), SQL_OK);
        base_expect(b, SQL_OK, "", SQL_PRIVATE_SET, "ttt", u, "n", "<x/>");
        base_expect(b, SQL_OK, "", SQL_PRIVACY_PUT, "tttttiiiiii", u, "l", "n", "", "a",
                1, 1, 0, 0, 0, 0);
        base_expect(b, SQL_OK, "", SQL_PRIVACY_DEFAULT_SET, "tt", u, "l");
        base_expect(b, SQL_OK, "", SQL_MOTD_SEEN, "t", u);
        base_expect(b, SQL_OK, "", SQL_ROSTER_PUT, "ttttttittit", u, "c@x", "", "B",
                "N", "", 0, "", "e:1", 1, "g");
        base_expect(b, SQL_OK, "", SQL_ARCHIVE_ADD, "tittttttt", u, 1, "c@x/r", "c@x",
                "<m/>", "", "chat", "", "");
        base_expect(b, SQL_OK, "", SQL_PREFS_SET, "tttt", u, "always", "[]", "[]");
    }
    base_expect(b, SQL_OK, "", SQL_USER_DEL, "t", "juliet");
    for (size_t i = 0; i < 2 * ARRAY_LEN(tables); i++) {
        snprintf(text, sizeof text, "SELECT count(*) FROM %s WHERE %s = '%s'",
                tables[i / 2].table, tables[i / 2].column, users[i % 2]);
        if (strcmp(base_raw(b, text), i % 2 ? "1" : "0") != 0)
            fail_msg("%s: %s: %s", b->name, text, base_raw(b, text));
    }
    base_expect_raw(b, "1", "SELECT count(*) FROM privacy_list_data");
}

/* One host's rows are not another's. */
static void
hosts(struct base *b)
{
    static const struct {
        enum sql_op op;
        const char *types, *a, *b, *c;
    } writes[] = {
        { SQL_SR_USER_ADD, "tt", "juliet@x", "g", NULL },
        { SQL_PRIVATE_SET, "ttt", "juliet", "n", "<x/>" },
        { SQL_MOTD_SET, "t", "<m/>", NULL, NULL },
        { SQL_SR_GROUP_SET, "tt", "g", "[]", NULL },
        { SQL_PRIVACY_PUT, "tt", "juliet", "l", NULL },
    };
    static const struct {
        enum sql_op op;
        const char *a;
    } reads[] = {
        { SQL_SR_USER_GROUPS, "juliet@x" },
        { SQL_PRIVATE_STAT, "juliet" },
        { SQL_MOTD_GET, NULL },
        { SQL_SR_GROUP_GET, "g" },
        { SQL_PRIVACY_LISTS, "juliet" },
    };
    static const char *const expected[2][5] = { { "g", "1:4", "<m/>", "[]", "l:0" },
        { "", "0:0", "", "", "" } };
    struct answer a;

    if (!b->settings.multihost)
        return;
    for (size_t i = 0; i < ARRAY_LEN(writes); i++) {
        base_expect(b, SQL_OK, "", writes[i].op, writes[i].types, writes[i].a,
                writes[i].b, writes[i].c);
    }
    for (size_t i = 0; i < 2 * ARRAY_LEN(reads); i++) {
        struct sql_call call = { .op = reads[i / 2].op,
            .host = i % 2 ? STR("example.org") : STR("example.net") };

        assert_int_equal(
                base_send(b, &a, &call, reads[i / 2].a ? "t" : "", reads[i / 2].a), 0);
        base_until(b, &a);
        if (strcmp(a.rows, expected[i % 2][i / 2]) != 0)
            fail_msg("%s: read %zu: %s", b->name, i, a.rows);
    }
}

#define EACH(name, fn)             \
    static void name(void **state) \
    {                              \
        base_each(state, fn);      \
    }
EACH(test_offline_messages, spool)
EACH(test_offline_messages_have_times, spool_times)
EACH(test_offline_messages_are_deleted, spool_deleted)
EACH(test_offline_messages_are_read_one_by_one, spool_read)
EACH(test_vcards, vcard)
EACH(test_private_storage, private_storage)
EACH(test_last_activity, last)
EACH(test_privacy_lists, privacy)
EACH(test_the_message_of_the_day, motd)
EACH(test_shared_groups, shared)
EACH(test_capabilities, caps)
EACH(test_an_account_is_forgotten, forgotten)
EACH(test_hosts_are_apart, hosts)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_offline_messages),
        cmocka_unit_test(test_offline_messages_have_times),
        cmocka_unit_test(test_offline_messages_are_deleted),
        cmocka_unit_test(test_offline_messages_are_read_one_by_one),
        cmocka_unit_test(test_vcards),
        cmocka_unit_test(test_private_storage),
        cmocka_unit_test(test_last_activity),
        cmocka_unit_test(test_privacy_lists),
        cmocka_unit_test(test_the_message_of_the_day),
        cmocka_unit_test(test_shared_groups),
        cmocka_unit_test(test_capabilities),
        cmocka_unit_test(test_an_account_is_forgotten),
        cmocka_unit_test(test_hosts_are_apart),
    };

    return cmocka_run_group_tests_name("sql_stores", tests, place_open, place_close);
}
