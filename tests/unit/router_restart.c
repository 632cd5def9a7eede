/*
 * router_restart.c -- the router, or a worker of its, dies and is there again
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/rig/router.h"

static void
test_a_new_router_asks_the_workers(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    BIND(&w, 1, "garden");
    BIND(&w, 2, "orchard");
    BIND(&w, 101, "balcony");
    presence(&w, 1, 5, true, "<presence/>");
    said(&w);
    router_dies(&w);
    TABLE(&w, "101/balcony 2/orchard 1/garden+"); /* readers go on */
    router_begin(&w);
    EXPECT(&w, "0: sync 2\n1: sync 2\nready\n");
    TABLE(&w, "101/balcony 2/orchard 1/garden+");

    /* Worker 0 has lost 2, has 3 instead and a newer presence of 1; worker 1 is
     * silent.
     */
    BIND(&w, 1, "garden", .resync = true, .presence = "<presence id='6'/>",
            .serial = 6);
    BIND(&w, 3, "lawn", .resync = true, .presence = "<presence/>", .serial = 1);
    EXPECT(&w, "0: present 1 #6 was 1\n0: present 3 #1 was 0\n");
    BIND(&w, 4, "new"); /* meanwhile there are new ones */
    EXPECT(&w, "0: bound 4 ok new\n");
    synced(&w, 0, 1); /* to an older question */
    said(&w);
    TABLE(&w, "4/new 3/lawn+ 101/balcony 2/orchard 1/garden+");
    assert_true(str_eq_c(w.snap.entry[4].presence, "<presence id='6'/>"));
    synced(&w, 0, 2);
    said(&w);
    TABLE(&w, "4/new 3/lawn+ 101/balcony 1/garden+");
    synced(&w, 1, 2);
    said(&w);
    TABLE(&w, "4/new 3/lawn+ 1/garden+");
    assert_int_equal(w.status.counter[COUNTER_ROUTE_STALE], 2);
    world_close(&w);
}

static void
test_presence_across_a_death(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    BIND(&w, 1, "garden");
    presence(&w, 1, 1, true, "<presence/>"); /* committed, and the answer is lost */
    router_dies(&w);
    router_begin(&w);
    said(&w);
    BIND(&w, 1, "garden", .resync = true, .presence = "<presence/>", .serial = 1);
    EXPECT(&w, "0: present 1 #1 was 0\n");
    TABLE(&w, "1/garden+");
    presence(&w, 1, 2, false, "");
    router_dies(&w);
    router_begin(&w);
    said(&w);
    BIND(&w, 1, "garden", .resync = true, .presence = "<presence id='3'/>",
            .serial = 3);
    EXPECT(&w, "0: present 1 #3 was 0\n");
    BIND(&w, 1, "garden", .resync = true, .serial = 4);
    EXPECT(&w, "0: present 1 #4 was 1\n");
    TABLE(&w, "1/garden");
    /* Without any presence there is nothing to answer. */
    BIND(&w, 2, "lawn", .resync = true);
    EXPECT(&w, "");
    world_close(&w);
}

static void
test_the_loser_is_told_again(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    BIND(&w, 1, "garden", .since_us = 10);
    BIND(&w, 101, "garden", .conflict = CONF_CONFLICT_CLOSEOLD, .since_us = 20);
    router_dies(&w); /* before anybody heard of it */
    router_begin(&w);
    said(&w);
    BIND(&w, 1, "garden", .resync = true, .since_us = 10);
    EXPECT(&w, "0: end 1 conflict\n");
    BIND(&w, 101, "garden", .conflict = CONF_CONFLICT_CLOSEOLD, .since_us = 20);
    EXPECT(&w, "1: bound 101 ok garden\n");
    TABLE(&w, "101/garden");

    /* From nothing, in the other order: the earlier one is there when the later
     * comes.
     */
    unbind(&w, 101);
    BIND(&w, 1, "garden", .resync = true, .since_us = 10);
    BIND(&w, 101, "garden", .resync = true, .since_us = 20);
    EXPECT(&w, "0: end 1 conflict\n");
    TABLE(&w, "101/garden");

    /* Two that were bound apart, of which one now claims the other's resource. */
    BIND(&w, 2, "lawn", .since_us = 30);
    said(&w);
    BIND(&w, 2, "garden", .resync = true, .since_us = 30);
    EXPECT(&w, "1: end 101 conflict\n");
    TABLE(&w, "2/garden");
    BIND(&w, 102, "lawn", .since_us = 5);
    BIND(&w, 102, "garden", .resync = true, .since_us = 5);
    EXPECT(&w, "1: bound 102 ok lawn\n1: end 102 conflict\n");
    TABLE(&w, "2/garden");

    /*
     * One that had to go for the limit does not push out another when it is
     * named.
     */
    BIND(&w, 3, "x", .resync = true, .since_us = 1, .sessions_max = 1);
    EXPECT(&w, "0: end 3 conflict\n");
    TABLE(&w, "2/garden");
    world_close(&w);
}

static void
test_a_restarted_worker_is_asked(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    BIND(&w, 1, "garden");
    BIND(&w, 2, "orchard");
    BIND(&w, 101, "balcony");
    synced(&w, 0, 1);
    synced(&w, 1, 1);
    said(&w);
    tell(&w, 0, IPC_ROUTE_RESYNC, &(struct ipc_nothing){ 0 });
    EXPECT(&w, "0: sync 2\n");
    BIND(&w, 2, "orchard", .resync = true);
    /* It died again before it had named all: nothing may be removed by then. */
    tell(&w, 0, IPC_ROUTE_RESYNC, &(struct ipc_nothing){ 0 });
    EXPECT(&w, "0: sync 3\n");
    synced(&w, 0, 2);
    said(&w);
    TABLE(&w, "101/balcony 2/orchard 1/garden");
    BIND(&w, 1, "garden", .resync = true);
    synced(&w, 0, 3);
    said(&w);
    TABLE(&w, "101/balcony 1/garden");

    /* Asked again while the sweep is under way: the old answer does not count any
     * more.
     */
    synced(&w, 0, 3);
    tell(&w, 0, IPC_ROUTE_RESYNC, &(struct ipc_nothing){ 0 });
    EXPECT(&w, "0: sync 4\n");
    TABLE(&w, "101/balcony 1/garden");
    synced(&w, 0, 4);
    said(&w);
    TABLE(&w, "101/balcony");
    world_close(&w);
}

static void
test_fewer_workers(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    BIND(&w, 1, "garden");
    BIND(&w, 101, "balcony");
    router_dies(&w);
    w.p.n_workers = 1;
    router_begin(&w);
    EXPECT(&w, "0: sync 2\nready\n");
    TABLE(&w, "1/garden");
    world_close(&w);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_new_router_asks_the_workers),
        cmocka_unit_test(test_presence_across_a_death),
        cmocka_unit_test(test_the_loser_is_told_again),
        cmocka_unit_test(test_a_restarted_worker_is_asked),
        cmocka_unit_test(test_fewer_workers),
    };

    log_set_level(LOG_LEVEL_NONE);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
