/*
 * route.c -- the route table: what was put is found, what is hostile does no harm
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "router/chunk.h"
#include "router/layout.h"
#include "router/route.h"
#include "router/table.h"

enum {
    ZONE_SIZE = 16 << 20
};

struct world {
    struct zone rw, ro;
    struct table *table;
    struct table_found found;
    struct route_table route;
    struct route_snapshot snap;
};

static void
world_open(struct world *w)
{
    int rw = -1, ro = -1;

    memset(w, 0, sizeof *w);
    assert_int_equal(zone_create(ZONE_SIZE, &rw, &ro), 0);
    assert_int_equal(zone_map(&w->rw, rw, ZONE_SIZE, 0, true), 0);
    assert_int_equal(zone_map(&w->ro, ro, ZONE_SIZE, 0, false), 0);
    close_fd(&rw);
    close_fd(&ro);
    assert_int_equal(table_open(&w->rw, &w->table, &w->found), 0);
    assert_int_equal(route_open(&w->route, &w->ro), 0);
}

static void
world_close(struct world *w)
{
    table_free(&w->table);
    route_snapshot_fini(&w->snap);
    zone_unmap(&w->rw);
    zone_unmap(&w->ro);
}

/* As a new router process does it. */
static void
world_restart(struct world *w)
{
    table_free(&w->table);
    assert_int_equal(table_open(&w->rw, &w->table, &w->found), 0);
}

static int
put(struct world *w, const char *bare, const char *resource, uint64_t conn,
        const char *presence, uint64_t instead)
{
    struct table_session s = {
        .conn = conn,
        .since_us = conn * 1000,
        .bare = str_from(bare),
        .resource = str_from(resource),
        .remote = STR("192.0.2.1:5000"),
        .presence = str_from(presence),
        .serial = (uint32_t)conn,
        .priority = (int8_t) - (int)(conn % 100),
        .available = presence != NULL,
        .flags = (uint16_t)(ROUTE_CARBONS | ROUTE_USER_2),
        .epoch = 1,
    };

    return table_put(w->table, &s, instead);
}

static int
lookup(struct world *w, const char *bare, unsigned want)
{
    return route_lookup(&w->route, str_from(bare), want, &w->snap);
}

static uint64_t
lookup_full(struct world *w, const char *bare, const char *resource)
{
    struct route_hit hit = { 0 };
    int r = route_lookup_full(&w->route, str_from(bare), str_from(resource), &hit);

    assert_true(r == 0 || (r == 1 && hit.conn != 0));
    return r == 1 ? hit.conn : 0;
}

static struct route_stats
stats(struct world *w)
{
    struct route_stats st;

    route_stats(&w->route, &st);
    return st;
}

static void
test_found_as_put(void **state)
{
    struct world w;
    const struct route_entry *e;

    (void)state;
    world_open(&w);
    assert_true(w.found.fresh);
    assert_int_equal(lookup(&w, "romeo@example.net", ROUTE_WANT_PRESENCE), 0);
    assert_int_equal(put(&w, "romeo@example.net", "garden", 7, NULL, 0), 0);
    assert_int_equal(put(&w, "romeo@example.net", "orchard", 9, "<presence/>", 0), 0);
    assert_int_equal(put(&w, "juliet@example.net", "balcony", 8, "<presence/>", 0), 0);

    assert_int_equal(lookup(&w, "romeo@example.net", ROUTE_WANT_PRESENCE), 2);
    e = &w.snap.entry[0];
    assert_int_equal(e->conn, 9);
    assert_int_equal(e->since_us, 9000);
    assert_int_equal(e->priority, -9);
    assert_true(e->available);
    assert_int_equal(e->flags, ROUTE_CARBONS | ROUTE_USER_2);
    assert_true(str_eq_c(e->bare, "romeo@example.net"));
    assert_true(str_eq_c(e->resource, "orchard"));
    assert_true(str_eq_c(e->remote, "192.0.2.1:5000"));
    assert_true(str_eq_c(e->presence, "<presence/>"));
    e = &w.snap.entry[1];
    assert_int_equal(e->conn, 7);
    assert_false(e->available);
    assert_int_equal(e->presence.n, 0);

    assert_int_equal(lookup(&w, "romeo@example.net", 0), 2);
    assert_int_equal(w.snap.entry[0].presence.n, 0);
    assert_true(str_eq_c(w.snap.entry[1].resource, "garden"));

    assert_int_equal(lookup_full(&w, "romeo@example.net", "garden"), 7);
    assert_int_equal(lookup_full(&w, "romeo@example.net", "garde"), 0);
    assert_int_equal(lookup_full(&w, "romeo@example.ne", "tgarden"), 0);
    assert_int_equal(lookup_full(&w, "juliet@example.net", "balcony"), 8);
    assert_int_equal(stats(&w).sessions, 3);
    assert_int_equal(stats(&w).users, 2);

    /* In its place, with other bytes; in place; and away. */
    assert_int_equal(
            put(&w, "romeo@example.net", "garden", 11, "<presence to=''/>", 7), 0);
    assert_int_equal(lookup_full(&w, "romeo@example.net", "garden"), 11);
    assert_true(table_set(w.table, STR("romeo@example.net"), 11, 5, false, 0, 1));
    assert_false(table_set(w.table, STR("romeo@example.net"), 7, 5, false, 0, 1));
    assert_int_equal(lookup(&w, "romeo@example.net", 0), 2);
    assert_int_equal(w.snap.entry[1].priority, 5);
    assert_false(w.snap.entry[1].available);
    assert_int_equal(stats(&w).sessions, 3);
    assert_false(table_remove(w.table, STR("romeo@example.net"), 7));
    assert_true(table_remove(w.table, STR("romeo@example.net"), 9));
    assert_int_equal(stats(&w).users, 2);
    assert_true(table_remove(w.table, STR("romeo@example.net"), 11));
    assert_int_equal(lookup(&w, "romeo@example.net", 0), 0);
    assert_int_equal(stats(&w).sessions, 1);
    assert_int_equal(stats(&w).users, 1);
    assert_true(table_remove(w.table, STR("juliet@example.net"), 8));
    assert_int_equal(stats(&w).bytes, 0);
    world_close(&w);
}

static void
test_limits(void **state)
{
    static char text[ROUTE_PRESENCE_MAX + 2];
    struct world w;
    char resource[16];

    (void)state;
    world_open(&w);
    memset(text, 'x', sizeof text - 1);
    assert_int_equal(put(&w, "", "r", 1, NULL, 0), -EINVAL);
    assert_int_equal(put(&w, "a@b", "", 1, NULL, 0), -EINVAL);
    assert_int_equal(put(&w, "a@b", "r", 0, NULL, 0), -EINVAL);
    assert_int_equal(put(&w, "a@b", "r", 1, text, 0), -EINVAL);
    text[ROUTE_PRESENCE_MAX] = '\0';
    assert_int_equal(put(&w, "a@b", "r", 1, text, 0), 0);
    assert_int_equal(lookup(&w, "a@b", ROUTE_WANT_PRESENCE), 1);
    assert_true(str_eq_c(w.snap.entry[0].presence, text));
    text[ROUTE_BARE_MAX] = '\0';
    assert_int_equal(put(&w, text, "r", 1, NULL, 0), 0);
    text[ROUTE_RESOURCE_MAX] = '\0';
    assert_int_equal(put(&w, text, text, 1, NULL, 0), 0);
    assert_int_equal(lookup_full(&w, text, text), 1);
    for (unsigned i = 1; i <= ROUTE_RESOURCES_MAX; i++) {
        snprintf(resource, sizeof resource, "%u", i);
        assert_int_equal(put(&w, "many@b", resource, i, NULL, 0), 0);
    }
    assert_int_equal(put(&w, "many@b", "one more", 1000, NULL, 0), -ENOSPC);
    assert_int_equal(put(&w, "many@b", "in its place", 1000, NULL, 5), 0);
    assert_int_equal(lookup(&w, "many@b", 0), ROUTE_RESOURCES_MAX);
    assert_int_equal(stats(&w).users, 4);
    world_close(&w);
}

static void
test_full_zone_and_reuse(void **state)
{
    static char presence[1000];
    struct world w;
    unsigned n = 0, n_again = 0;
    char bare[32];

    (void)state;
    world_open(&w);
    memset(presence, 'p', sizeof presence - 1);
    for (int round = 0; round < 3; round++) {
        for (n = 0;; n++) {
            snprintf(bare, sizeof bare, "user%u@example.net", n);
            presence[n % 900 + 10] = '\0';
            if (put(&w, bare, "r", n + 1, presence, 0) < 0)
                break;
            presence[n % 900 + 10] = 'p';
        }
        presence[n % 900 + 10] = 'p';
        assert_true(n > 15000);
        if (round == 0)
            n_again = n;
        assert_true(n + n / 8 >= n_again); /* what was freed is used again */
        assert_int_equal(stats(&w).sessions, n);
        if (round == 1)
            world_restart(&w);
        assert_int_equal(stats(&w).sessions, n);
        for (unsigned i = 0; i < n; i++) {
            snprintf(bare, sizeof bare, "user%u@example.net", i);
            if (i % 1000 == 0)
                assert_int_equal(lookup_full(&w, bare, "r"), i + 1);
            assert_true(table_remove(w.table, str_from(bare), i + 1));
        }
        assert_int_equal(stats(&w).sessions, 0);
        assert_int_equal(stats(&w).bytes, 0);
    }
    world_close(&w);
}

static void
test_chunk_classes(void **state)
{
    (void)state;
    for (size_t n = 1; n <= LAYOUT_NODE_MAX; n++) {
        unsigned class = chunk_class(n);

        assert_true(class < CHUNK_CLASSES);
        assert_true((size_t)chunk_units(class) * LAYOUT_UNIT >= n);
        assert_true(class == 0 || (size_t)chunk_units(class - 1) * LAYOUT_UNIT < n);
    }
}

static void
fill(struct world *w, unsigned n)
{
    char bare[32], resource[16];

    for (unsigned i = 0; i < n; i++) {
        snprintf(bare, sizeof bare, "user%u@example.net", i / 3);
        snprintf(resource, sizeof resource, "r%u", i % 3);
        assert_int_equal(put(w, bare, resource, i + 1, "<presence/>", 0), 0);
    }
}

static void
test_walk(void **state)
{
    enum {
        N = 3000
    };
    static uint8_t seen[N + 1];
    struct world w;
    uint64_t at = 0;
    unsigned n = 0;
    int r;

    (void)state;
    world_open(&w);
    fill(&w, N);
    memset(seen, 0, sizeof seen);
    while ((r = route_walk(&w.route, &at, ROUTE_WANT_PRESENCE, &w.snap)) > 0) {
        for (int i = 0; i < r; i++) {
            const struct route_entry *e = &w.snap.entry[i];

            assert_in_range(e->conn, 1, N);
            seen[e->conn]++;
            assert_true(str_eq_c(e->presence, "<presence/>"));
            assert_true(str_starts(e->bare, STR("user")));
        }
        n += (unsigned)r;
    }
    assert_int_equal(r, 0);
    assert_int_equal(n, N);
    for (unsigned i = 1; i <= N; i++)
        assert_int_equal(seen[i], 1);
    world_close(&w);
}

static bool
is_old(void *arg, uint64_t conn, uint32_t epoch)
{
    (void)arg, (void)epoch;
    return conn % 3 != 0;
}

static void
test_successor_takes_over(void **state)
{
    enum {
        N = 3000
    };
    struct world w;
    struct route_stats before, after;
    uint64_t at = 0, removed = 0;
    uint32_t epoch;

    (void)state;
    world_open(&w);
    fill(&w, N);
    epoch = table_next_epoch(w.table);
    assert_true(table_remove(w.table, STR("user0@example.net"), 1));
    before = stats(&w);
    world_restart(&w);
    after = stats(&w);
    assert_false(w.found.fresh);
    assert_int_equal(w.found.damaged, 0);
    assert_int_equal(w.found.sessions, N - 1);
    assert_memory_equal(&before, &after, sizeof before);
    assert_true(table_next_epoch(w.table) > epoch);
    assert_int_equal(lookup(&w, "user77@example.net", ROUTE_WANT_PRESENCE), 3);

    while (table_sweep(w.table, &at, 100, is_old, NULL, &removed))
        continue;
    assert_int_equal(removed, N / 3 * 2 - 1);
    assert_int_equal(stats(&w).sessions, N / 3);
    assert_int_equal(stats(&w).users, N / 3);
    assert_int_equal(lookup(&w, "user77@example.net", 0), 1);
    world_close(&w);
}

static uint64_t
random_next(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    return *x ^= *x << 17;
}

/*
 * Random damage anywhere in a table: readers come back, inside of the zone (a sanitizer
 * or a fault would tell), and a successor makes a table out of it that works.
 */
static void
test_damage(void **state)
{
    struct world w;
    uint64_t x = 0x1234567, at;
    uint64_t *words;
    struct route_stats st;
    struct route_hit hit;

    (void)state;
    world_open(&w);
    words = w.rw.base;
    for (int round = 0; round < 24; round++) {
        size_t span;

        fill(&w, 900);
        st = stats(&w);
        span = st.memory / sizeof(uint64_t);
        for (int i = 0; i < 40 << round % 8; i++) {
            size_t place = HEADER_EPOCH + random_next(&x) % (span - HEADER_EPOCH);
            uint64_t value = random_next(&x);

            switch (round % 4) {
            case 0:
                words[place] = value;
                break;
            case 1:
                words[place] ^= (uint64_t)1 << value % 64;
                break;
            case 2:
                words[place] = value % (st.memory / LAYOUT_UNIT);
                break;
            case 3:
                words[place] = words[value % span];
                break;
            }
        }
        for (unsigned i = 0; i < 300; i++) {
            char bare[32];

            snprintf(bare, sizeof bare, "user%u@example.net", i);
            lookup(&w, bare, ROUTE_WANT_PRESENCE);
            (void)route_lookup_full(&w.route, str_from(bare), STR("r1"), &hit);
        }
        at = 0;
        for (int i = 0, r = 1; r != 0 && i < 2000; i++) {
            r = route_walk(&w.route, &at, ROUTE_WANT_PRESENCE, &w.snap);
            if (r == -EAGAIN)
                at++;
        }
        world_restart(&w);
        assert_int_equal(
                put(&w, "after@example.net", "r", 5000, "<presence/>", 5000), 0);
        assert_int_equal(lookup_full(&w, "after@example.net", "r"), 5000);
        at = 0;
        for (int r = 1; r > 0;) {
            r = route_walk(&w.route, &at, ROUTE_WANT_PRESENCE, &w.snap);
            assert_true(r >= 0);
        }
        /* Empty it, whatever is in it. */
        at = 0;
        for (uint64_t removed = 0;
                table_sweep(w.table, &at, 1 << 20, is_old, NULL, &removed);)
            continue;
        words[HEADER_MAGIC] = 0;
        world_restart(&w);
        assert_true(w.found.fresh);
        assert_int_equal(stats(&w).sessions, 0);
        assert_int_equal(lookup_full(&w, "after@example.net", "r"), 0);
    }
    world_close(&w);
}

static void
test_too_small(void **state)
{
    static char page[4096];
    struct zone z = { page, sizeof page };
    struct route_table t;

    (void)state;
    assert_int_equal(route_open(&t, &z), -EINVAL);
    z = (struct zone){ NULL, ZONE_SIZE };
    assert_int_equal(route_open(&t, &z), -EINVAL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found_as_put),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_full_zone_and_reuse),
        cmocka_unit_test(test_chunk_classes),
        cmocka_unit_test(test_walk),
        cmocka_unit_test(test_successor_takes_over),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_too_small),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
