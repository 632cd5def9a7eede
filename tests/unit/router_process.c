/*
 * router_process.c -- the router's handlers: what it answers to workers, and to admin
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "router/router.h"
#include "tests/unit/rig/router.h"

static void
test_start(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    EXPECT(&w, "0: sync 1\n1: sync 1\nready\n");
    router_dies(&w);
    router_begin(&w);
    EXPECT(&w, "0: sync 2\n1: sync 2\nready\n");
    world_close(&w);
}

static void
test_bind_and_conflicts(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    said(&w);
    BIND(&w, 1, "garden");
    EXPECT(&w, "0: bound 1 ok garden\n");
    TABLE(&w, "1/garden");
    assert_int_equal(w.snap.entry[0].flags, ROUTE_ROSTER);
    assert_true(str_eq_c(w.snap.entry[0].remote, "[2001:db8::1]:40000"));

    /* The same again: the same answer, even with another wish. */
    BIND(&w, 1, "garden", .conflict = CONF_CONFLICT_CLOSENEW);
    EXPECT(&w, "0: bound 1 ok garden\n");
    TABLE(&w, "1/garden");

    BIND(&w, 101, "garden", .conflict = CONF_CONFLICT_CLOSENEW);
    EXPECT(&w, "1: bound 101 conflict \n");
    TABLE(&w, "1/garden");

    BIND(&w, 101, "garden", .conflict = CONF_CONFLICT_CLOSEOLD);
    EXPECT(&w, "0: end 1 conflict\n1: bound 101 ok garden\n");
    TABLE(&w, "101/garden");
    unbind(&w, 1); /* late: is not the new one's */
    TABLE(&w, "101/garden");

    BIND(&w, 2, "garden", .conflict = CONF_CONFLICT_SETRESOURCE);
    assert_true(str_starts(str_from(said(&w)), STR("0: bound 2 ok ")));
    assert_int_equal(strlen(buf_c(&w.said)), strlen("0: bound 2 ok \n") + 16);
    route_lookup(&w.route, STR("romeo@example.net"), 0, &w.snap);
    assert_int_equal(w.snap.n, 2);
    assert_int_equal(w.snap.entry[0].resource.n, 16);
    assert_memory_equal(
            strchr(buf_c(&w.said), 'k') + 2, w.snap.entry[0].resource.p, 16);

    unbind(&w, 101);
    unbind(&w, 2);
    TABLE(&w, "");
    world_close(&w);
}

static void
test_random_resource_is_repeated(void **state)
{
    struct world w;
    char *first;

    (void)state;
    world_open(&w);
    said(&w);
    BIND(&w, 1, "");
    first = str_heap_c(str_from(said(&w)));
    assert_true(str_starts(str_from(first), STR("0: bound 1 ok ")));
    /* The worker asks a new router once more, because it may not have got the
     * answer.
     */
    router_dies(&w);
    router_begin(&w);
    said(&w);
    BIND(&w, 1, "");
    EXPECT(&w, first);
    BIND(&w, 2, "");
    assert_string_not_equal(said(&w) + 13, first + 13);
    free(first);
    world_close(&w);
}

static void
test_sessions_max(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    said(&w);
    BIND(&w, 1, "a", .sessions_max = 2, .since_us = 20);
    BIND(&w, 2, "b", .sessions_max = 2, .since_us = 10);
    said(&w);
    BIND(&w, 103, "c", .sessions_max = 2, .since_us = 30);
    EXPECT(&w, "0: end 2 conflict\n1: bound 103 ok c\n");
    TABLE(&w, "103/c 1/a");
    /* One that is replaced makes its own room. */
    BIND(&w, 4, "a", .conflict = CONF_CONFLICT_CLOSEOLD, .sessions_max = 2);
    EXPECT(&w, "0: end 1 conflict\n0: bound 4 ok a\n");
    TABLE(&w, "103/c 4/a");
    /* A limit that became smaller. */
    BIND(&w, 5, "e", .sessions_max = 1, .since_us = 50);
    EXPECT(&w, "0: end 4 conflict\n0: bound 5 ok e\n1: end 103 conflict\n");
    TABLE(&w, "5/e");
    world_close(&w);
}

static void
test_no_limit_is_bounded(void **state)
{
    struct ipc_route_bind m = { .bare = STR("romeo@example.net") };
    struct world w;
    char resource[8];

    (void)state;
    world_open(&w);
    for (unsigned i = 1; i <= ROUTE_RESOURCES_MAX; i++) {
        snprintf(resource, sizeof resource, "r%u", i);
        m.conn = conn_id_of(0, i, 1);
        m.since_us = i;
        m.resource = str_from(resource);
        tell(&w, 0, IPC_ROUTE_BIND, &m);
        said(&w);
    }
    assert_int_equal(route_lookup(&w.route, STR("romeo@example.net"), 0, &w.snap),
            ROUTE_RESOURCES_MAX);
    BIND(&w, 199, "one more", .since_us = 1000);
    assert_true(strstr(said(&w), "1: bound 199 ok one more\n") != NULL);
    assert_true(strstr(buf_c(&w.said), "0: end 1 conflict\n") != NULL);
    assert_int_equal(route_lookup(&w.route, STR("romeo@example.net"), 0, &w.snap),
            ROUTE_RESOURCES_MAX);
    world_close(&w);
}

static void
test_refused(void **state)
{
    static char long_text[ROUTE_BARE_MAX + 2];
    struct world w;
    struct ipc_route_bind m = {
        .conn = conn(1), .bare = STR("a@b"), .resource = STR("r")
    };

    (void)state;
    memset(long_text, 'x', sizeof long_text - 1);
    world_open(&w);
    said(&w);
    m.bare = STR_NULL;
    tell(&w, 0, IPC_ROUTE_BIND, &m);
    EXPECT(&w, "0: bound 1 denied \n");
    m.bare = str_from(long_text);
    tell(&w, 0, IPC_ROUTE_BIND, &m);
    EXPECT(&w, "0: bound 1 denied \n");
    m.bare = STR("a@b");
    m.resource = (struct str){ long_text, ROUTE_RESOURCE_MAX + 1 };
    tell(&w, 0, IPC_ROUTE_BIND, &m);
    EXPECT(&w, "0: bound 1 denied \n");
    /* Of other workers' connections it must not even speak. */
    m.resource = STR("r");
    tell(&w, 1, IPC_ROUTE_BIND, &m);
    EXPECT(&w, "");
    tell(&w, 0, IPC_ROUTE_BIND, &m);
    EXPECT(&w, "0: bound 1 ok r\n");
    tell(&w, 1, IPC_ROUTE_UNBIND,
            &(struct ipc_route_conn){ .conn = conn(1), .bare = STR("a@b") });
    assert_int_equal(route_lookup(&w.route, STR("a@b"), 0, &w.snap), 1);
    world_close(&w);
}

static void
test_presence(void **state)
{
    static char too_long[ROUTE_PRESENCE_MAX + 2];
    struct world w;
    struct ipc_route_flags flags = { .conn = conn(1),
        .serial = 77,
        .flags = ROUTE_CSI_INACTIVE,
        .bare = STR("romeo@example.net") };

    (void)state;
    world_open(&w);
    said(&w);
    presence(&w, 1, 1, true, "<presence/>"); /* not bound */
    EXPECT(&w, "");
    BIND(&w, 1, "garden");
    said(&w);
    presence(&w, 1, 1, true, "<presence/>");
    EXPECT(&w, "0: present 1 #1 was 0\n");
    TABLE(&w, "1/garden+");
    assert_int_equal(w.snap.entry[0].priority, 3);
    assert_int_equal(w.snap.entry[0].flags, ROUTE_CARBONS);
    assert_true(str_eq_c(w.snap.entry[0].presence, "<presence/>"));

    /* Repeated, because the answer was lost: it is still the first one. */
    presence(&w, 1, 1, true, "<presence/>");
    EXPECT(&w, "0: present 1 #1 was 0\n");
    presence(&w, 1, 2, true, "<presence><show>away</show></presence>");
    EXPECT(&w, "0: present 1 #2 was 1\n");

    tell(&w, 0, IPC_ROUTE_FLAGS, &flags);
    EXPECT(&w, "0: present 1 #77 was 1\n");
    TABLE(&w, "1/garden+");
    assert_int_equal(w.snap.entry[0].flags, ROUTE_CSI_INACTIVE);
    assert_true(str_starts(w.snap.entry[0].presence, STR("<presence><show>")));

    memset(too_long, ' ', sizeof too_long - 1);
    presence(&w, 1, 3, false, too_long);
    EXPECT(&w, "0: present 1 #3 was 1\n");
    TABLE(&w, "1/garden");
    assert_int_equal(w.snap.entry[0].presence.n, 0);
    presence(&w, 1, 4, false, "");
    EXPECT(&w, "0: present 1 #4 was 0\n");
    world_close(&w);
}

static void
call(struct world *w, const char *name)
{
    int fd = -1;
    struct ipc_call m = { .id = 9, .name = str_from(name) };

    router_ops.handlers[IPC_PROC_CALL](&w->p, addr_of(WORKERS), &m, &fd);
}

static void
test_questions(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    BIND(&w, 1, "garden");
    BIND(&w, 2, "orchard");
    bind_as(&w, "juliet@example.net",
            (struct bind){ .conn = 3, .resource = "balcony" });
    said(&w);
    call(&w, "sessions");
    EXPECT(&w, "reply 9 ok 3\n");
    call(&w, "table");
    assert_true(str_starts(
            str_from(said(&w)), STR("reply 9 ok sessions 3\nusers 2\nbytes ")));
    call(&w, "weather");
    assert_true(str_starts(str_from(said(&w)), STR("reply 9 invalid")));
    world_close(&w);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start),
        cmocka_unit_test(test_bind_and_conflicts),
        cmocka_unit_test(test_random_resource_is_repeated),
        cmocka_unit_test(test_sessions_max),
        cmocka_unit_test(test_no_limit_is_bounded),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_presence),
        cmocka_unit_test(test_questions),
    };

    log_set_level(LOG_LEVEL_NONE);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
