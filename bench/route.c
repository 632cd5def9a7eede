/*
 * route.c -- what the route table costs
 *
 *     build/bench/route [SESSIONS]
 *
 * Binds so many sessions (a million by default), each with a 300-byte presence, and
 * prints memory per session and the CPU time of each operation.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "router/route.h"
#include "router/table.h"

static char presence[300];

static uint64_t
cpu_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static size_t
name(char *ret, size_t size, uint64_t i)
{
    return (size_t)snprintf(ret, size, "user%llu@example.net", (unsigned long long)i);
}

static void
report(const char *what, uint64_t n, uint64_t start_us)
{
    double us = (double)(cpu_us() - start_us);

    printf("%-34s %8.0f ns %12.0f /s\n", what, us * 1000 / (double)n,
            (double)n * 1e6 / us);
}

static void
put(struct table *table, uint64_t i, uint64_t conn, uint64_t instead, size_t n_presence)
{
    char bare[40];
    struct table_session s = {
        .conn = conn,
        .since_us = i,
        .bare = { bare, name(bare, sizeof bare, i) },
        .resource = STR("phone.4711"),
        .remote = STR("192.0.2.123:50123"),
        .presence = { presence, n_presence },
        .available = true,
        .serial = 1,
    };

    if (table_put(table, &s, instead) < 0) {
        fprintf(stderr, "the table is full\n");
        exit(1);
    }
}

/* A walk over all users in an order that caches cannot know. */
static uint64_t
shuffled(uint64_t i, uint64_t n)
{
    return i * 1000003 % n; /* a prime */
}

static void
bench_lookups(const struct route_table *rt, uint64_t n)
{
    struct route_snapshot snap = { 0 };
    struct route_hit hit;
    char bare[40];
    uint64_t t, found = 0, at = 0;

    t = cpu_us();
    for (uint64_t i = 0; i < n; i++)
        found += name(bare, sizeof bare, shuffled(i, n)) > 0;
    report("(making the name, in each below)", n, t);
    t = cpu_us();
    for (uint64_t i = 0; i < n; i++) {
        size_t len = name(bare, sizeof bare, shuffled(i, n));

        found += (uint64_t)route_lookup_full(
                rt, (struct str){ bare, len }, STR("phone.4711"), &hit);
    }
    report("look-up of a full JID", n, t);
    t = cpu_us();
    for (uint64_t i = 0; i < n; i++) {
        size_t len = name(bare, sizeof bare, shuffled(i, n));

        found += (uint64_t)route_lookup(rt, (struct str){ bare, len }, 0, &snap);
    }
    report("look-up of a bare JID", n, t);
    t = cpu_us();
    for (uint64_t i = 0; i < n; i++) {
        size_t len = name(bare, sizeof bare, shuffled(i, n));

        found += (uint64_t)route_lookup(
                rt, (struct str){ bare, len }, ROUTE_WANT_PRESENCE, &snap);
    }
    report("look-up with presence", n, t);
    t = cpu_us();
    for (uint64_t i = 0; i < n; i++) {
        size_t len = name(bare, sizeof bare, n + i);

        found += (uint64_t)route_lookup(rt, (struct str){ bare, len }, 0, &snap);
    }
    report("look-up of somebody who is away", n, t);
    t = cpu_us();
    while (route_walk(rt, &at, ROUTE_WANT_PRESENCE, &snap) > 0)
        found += snap.n;
    report("walk, a session", n, t);
    if (found != n * 5)
        fprintf(stderr, "found %llu\n", (unsigned long long)found);
    route_snapshot_fini(&snap);
}

int
main(int argc, char **argv)
{
    uint64_t n = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000, t;
    int rw = -1, ro = -1;
    struct zone zw, zr;
    struct table *table;
    struct table_found found;
    struct route_table rt;
    struct route_stats st;

    if (n == 0 || zone_create(ROUTE_ZONE_SIZE, &rw, &ro) < 0 ||
            zone_map(&zw, rw, ROUTE_ZONE_SIZE, 0, true) < 0 ||
            zone_map(&zr, ro, ROUTE_ZONE_SIZE, 0, false) < 0 ||
            table_open(&zw, &table, &found) < 0 || route_open(&rt, &zr) < 0) {
        fprintf(stderr, "cannot make the zone\n");
        return 1;
    }
    memset(presence, 'p', sizeof presence);
    t = cpu_us();
    for (uint64_t i = 0; i < n; i++)
        put(table, i, i + 1, 0, 0);
    report("bind", n, t);
    t = cpu_us();
    for (uint64_t i = 0; i < n; i++)
        put(table, shuffled(i, n), i + 1 + n, shuffled(i, n) + 1, sizeof presence);
    report("first presence", n, t);
    t = cpu_us();
    for (uint64_t i = 0; i < n; i++)
        put(table, shuffled(i, n), i + 1, i + 1 + n, sizeof presence);
    report("another presence", n, t);
    route_stats(&rt, &st);
    printf("%-34s %8llu bytes\n", "a session, directory included",
            (unsigned long long)((st.bytes + rt.n_buckets * sizeof(uint64_t)) / n));
    printf("%-34s %8llu bytes\n", "with what binds without presence left",
            (unsigned long long)(st.memory / n));
    bench_lookups(&rt, n);
    table_free(&table);
    t = cpu_us();
    if (table_open(&zw, &table, &found) < 0 || found.sessions != n)
        return 1;
    printf("%-34s %8llu ms\n", "taking the table over",
            (unsigned long long)(cpu_us() - t) / 1000);
    table_free(&table);
    return 0;
}
