/*
 * command.c -- requests of ad-hoc commands (XEP-0050; worker/command.c)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/unit/rig/xml.h"
#include "worker/jobs.h"
#include "worker/worker.h"

#define FORM(type) "<x xmlns='jabber:x:data' type='" type "'/>"

static struct proc proc = { .secret = "0123456789abcdef0123456789abcde" };
static struct worker worker = { .proc = &proc };

static struct job
request(const char *from, const char *node, struct str id, const char *attrs,
        const char *content)
{
    struct job j = { .w = &worker, .arena = &arena };
    struct buf text = { 0 };

    buf_addf(&text,
            "<iq type='set' id='1' to='example.net' from='%s'><command xmlns='%s' "
            "node='%s' ",
            from, NS_COMMANDS, node);
    if (id.p)
        buf_addf(&text, "sessionid='%.*s' ", STR_ARG(id));
    buf_addf(&text, "%s>%s</command></iq>", attrs, content);
    assert_int_equal(xml_parse(pool, NULL, &arena, str_dup(&arena, buf_str(&text)),
                             NS_CLIENT, &j.el),
            XML_OK);
    buf_fini(&text);
    jid_parse(&arena, xml_attr(j.el, "from"), &j.from);
    jid_parse(&arena, xml_attr(j.el, "to"), &j.to);
    j.payload = iq_payload(j.el);
    return j;
}

static const char juliet[] = "juliet@example.net/balcony";

/* The id of a session at this stage. */
static struct str
session(unsigned stage, unsigned actions, enum command_action usual)
{
    struct job j = request(juliet, "config", STR_NULL, "", "");

    return xml_attr(command_executing(&j, stage, actions, usual), "sessionid");
}

struct want {
    const char *attrs, *content;
    enum command_error e;
    bool canceled;
    enum command_action action;
};

static void
check(const struct want *want, size_t n, struct str id)
{
    for (size_t i = 0; i < n; i++) {
        struct job j = request(juliet, "config", id, want[i].attrs, want[i].content);
        struct command_call call;
        bool canceled;
        enum command_error e = command_read(&j, &call, &canceled);

        if (e != want[i].e || (e == COMMAND_OK && canceled != want[i].canceled))
            fail_msg("%s %s: %d, canceled %d", want[i].attrs, want[i].content, e,
                    canceled);
        if (e == COMMAND_OK && !canceled && want[i].action &&
                call.action != want[i].action)
            fail_msg("%s: action %d", want[i].attrs, call.action);
    }
}

/* 3.3, 3.4: what begins a command */
static void
test_beginning(void **state)
{
    static const struct want wants[] = {
        { "", "", COMMAND_OK, false, 0 },
        { "action='execute'", "", COMMAND_OK, false, 0 },
        { "action='execute' xml:lang='de-CH'", "", COMMAND_OK, false, 0 },
        { "action='execute'", FORM("submit"), COMMAND_OK, false, COMMAND_COMPLETE },
        { "action='complete'", FORM("submit"), COMMAND_OK, false, COMMAND_COMPLETE },
        { "action='complete'", "", COMMAND_BAD_ACTION, false, 0 },
        { "action='next'", "", COMMAND_BAD_ACTION, false, 0 },
        { "action='prev'", "", COMMAND_BAD_ACTION, false, 0 },
        { "action='cancel'", "", COMMAND_BAD_ACTION, false, 0 },
        { "action='jump'", "", COMMAND_MALFORMED_ACTION, false, 0 },
        { "action=''", "", COMMAND_MALFORMED_ACTION, false, 0 },
        { "xml:lang='no such!'", "", COMMAND_BAD_LOCALE, false, 0 },
        { "xml:lang='en-'", "", COMMAND_BAD_LOCALE, false, 0 },
        { "", FORM("result"), COMMAND_BAD_PAYLOAD, false, 0 },
        { "", FORM("nonsense"), COMMAND_BAD_PAYLOAD, false, 0 },
        { "", FORM("submit") FORM("submit"), COMMAND_BAD_PAYLOAD, false, 0 },
    };

    (void)state;
    check(wants, ARRAY_LEN(wants), STR_NULL);
}

/* 3.4: `execute` means the usual action; only what was offered is allowed */
static void
test_stages(void **state)
{
    static const struct want middle[] = {
        { "", "", COMMAND_OK, false, COMMAND_NEXT },
        { "action='execute'", FORM("submit"), COMMAND_OK, false, COMMAND_NEXT },
        { "action='next'", FORM("submit"), COMMAND_OK, false, COMMAND_NEXT },
        { "action='prev'", "", COMMAND_OK, false, COMMAND_PREV },
        { "action='complete'", FORM("submit"), COMMAND_BAD_ACTION, false, 0 },
        { "action='cancel'", "", COMMAND_OK, true, 0 },
        { "action='cancel'", FORM("cancel"), COMMAND_OK, true, 0 },
    };
    static const struct want last[] = {
        { "", "", COMMAND_OK, false, COMMAND_COMPLETE },
        { "action='next'", "", COMMAND_BAD_ACTION, false, 0 },
        { "action='complete'", FORM("submit"), COMMAND_OK, false, COMMAND_COMPLETE },
    };

    (void)state;
    check(middle, ARRAY_LEN(middle),
            session(2, COMMAND_NEXT | COMMAND_PREV, COMMAND_NEXT));
    check(last, ARRAY_LEN(last),
            session(3, COMMAND_PREV | COMMAND_COMPLETE, COMMAND_COMPLETE));
}

static enum command_error
read_as(const char *from, const char *node, struct str id, struct command_call *ret)
{
    struct job j = request(from, node, id, "action='next'", "");
    bool canceled;

    return command_read(&j, ret, &canceled);
}

/* A session is its client's, of one command, and nobody else's invention. */
static void
test_forged_sessions(void **state)
{
    struct str id = session(7, COMMAND_NEXT, COMMAND_NEXT);
    struct command_call call;
    char changed[128];

    (void)state;
    assert_int_equal(read_as(juliet, "config", id, &call), COMMAND_OK);
    assert_int_equal(call.stage, 7);
    assert_int_equal(read_as("juliet@example.net/orchard", "config", id, &call),
            COMMAND_BAD_SESSIONID);
    assert_int_equal(read_as("romeo@example.net/balcony", "config", id, &call),
            COMMAND_BAD_SESSIONID);
    assert_int_equal(read_as(juliet, "other", id, &call), COMMAND_BAD_SESSIONID);
    for (size_t i = 0; i < id.n; i++) {
        memcpy(changed, id.p, id.n);
        changed[i] = changed[i] == '1' ? '2' : '1';
        if (read_as(juliet, "config", (struct str){ changed, id.n }, &call) !=
                COMMAND_BAD_SESSIONID)
            fail_msg("byte %zu changed", i);
    }
    assert_int_equal(read_as(juliet, "config", STR("x"), &call), COMMAND_BAD_SESSIONID);
    assert_int_equal(read_as(juliet, "config", (struct str){ id.p, id.n - 1 }, &call),
            COMMAND_BAD_SESSIONID);
    /* one that our own clock has left far behind */
    assert_int_equal(read_as(juliet, "config",
                             STR("7-1-1-1-00000000000000000000000000000000"), &call),
            COMMAND_BAD_SESSIONID);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_beginning),
        cmocka_unit_test(test_stages),
        cmocka_unit_test(test_forged_sessions),
    };

    return cmocka_run_group_tests_name("command", tests, xml_setup, xml_teardown);
}
