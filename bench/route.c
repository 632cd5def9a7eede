/*
 * route.c -- what the route table costs
 *
 *     build/bench/route [SESSIONS]
 *
 * Binds so many sessions (a million by default), each with a 300-byte presence, and
 * prints memory per session and the CPU time of each operation; then the time of a bind
 * as a worker asks for it: both processes' part, with the mailboxes between them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "router/route.h"
#include "router/router.h"
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

static uint64_t n_bound;

static void
on_bound(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    const struct ipc_route_bound *m = msg;

    (void)ctx, (void)from, (void)fd;
    n_bound += m->status == ROUTE_OK;
}

static const ipc_handler_fn worker_handlers[IPC_TYPES] = { [IPC_ROUTE_BOUND] =
                                                                   on_bound };

/* Empties the mailboxes of both. */
static void
exchange(struct proc *p, struct post *worker, struct mailbox_reader readers[2],
        const int fds[2])
{
    post_flush(worker);
    while (mailbox_read(&readers[0], fds[0]) == 1)
        continue;
    loop_turn_once(p->loop, 0);
    post_flush(p->post);
    while (mailbox_read(&readers[1], fds[1]) == 1)
        continue;
}

/* A worker binds n sessions, so many per turn, through a router process. */
static void
bench_process(const struct zone *zone, uint64_t n, unsigned a_turn)
{
    static struct status_page status;
    static struct proc p;
    struct loop *loop = loop_new();
    struct post *worker = post_new(loop, ipc_addr_of(PROC_WORKER, 0));
    struct mailbox_reader readers[2];
    int to_router[2], to_worker[2], to_master[2];
    char bare[40], what[40];
    uint64_t t;

    p = (struct proc){ .role = PROC_ROUTER,
        .n_workers = 1,
        .status = &status,
        .routes = *zone,
        .loop = loop_new() };
    p.post = post_new(p.loop, ipc_addr_of(PROC_ROUTER, 0));
    if (mailbox_open(to_router) < 0 || mailbox_open(to_worker) < 0 ||
            mailbox_open(to_master) < 0)
        exit(1);
    post_add_peer(p.post, ipc_addr_of(PROC_WORKER, 0), to_worker[1]);
    post_add_peer(p.post, ipc_addr_of(PROC_MASTER, 0), to_master[1]);
    post_add_peer(worker, ipc_addr_of(PROC_ROUTER, 0), to_router[1]);
    mailbox_reader_init(&readers[0], ipc_addr_of(PROC_ROUTER, 0), P_WORKER,
            router_ops.handlers, &p);
    mailbox_reader_init(
            &readers[1], ipc_addr_of(PROC_WORKER, 0), P_ROUTER, worker_handlers, NULL);
    if (router_ops.prepare(&p) < 0 || router_ops.start(&p) < 0)
        exit(1);
    for (int i = 0; i < 100; i++)
        loop_turn_once(p.loop, 0); /* what it does at its start */
    n_bound = 0;
    t = cpu_us();
    for (uint64_t i = 0; i < n; i++) {
        struct ipc_route_bind m = {
            .conn = conn_id_of(0, (uint32_t)(i % CONN_INDEX_MAX), a_turn),
            .bare = { bare, name(bare, sizeof bare, n * (20 + a_turn) + i) },
            .resource = STR("phone.4711"),
            .remote = STR("192.0.2.123:50123"),
            .since_us = i,
        };

        post_send(worker, ipc_addr_of(PROC_ROUTER, 0), IPC_ROUTE_BIND, &m);
        if (i % a_turn == a_turn - 1)
            exchange(&p, worker, readers, (int[2]){ to_router[0], to_worker[0] });
    }
    snprintf(what, sizeof what, "bind and answer, %u in a turn", a_turn);
    report(what, n, t);
    if (n_bound < n / a_turn * a_turn)
        fprintf(stderr, "only %llu were bound\n", (unsigned long long)n_bound);
    router_ops.finish(&p);
    post_free(&p.post);
    post_free(&worker);
    loop_free(&p.loop);
    loop_free(&loop);
    for (int i = 0; i < 2; i++)
        mailbox_reader_fini(&readers[i]);
    close(to_router[0]);
    close(to_worker[0]);
    close(to_master[0]);
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
    bench_process(&zw, n / 20, 1);
    bench_process(&zw, n / 20, 32);
    return 0;
}
