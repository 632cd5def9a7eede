/*
 * route_stress.c -- readers while the router writes, dies and is replaced
 *
 * Every user always has the session "home", whose texts tell what they must be:
 * replaced, with other sizes, as fast as possible, in few buckets and little memory, so
 * that memory is used again at once. Readers must find it each time, whole, and exactly
 * once.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "router/route.h"
#include "router/table.h"

enum {
    ZONE_SIZE = 4 << 20,
    USERS = 40,
    READERS = 3,
    THREADS_MS = 1500,
    DEATHS = 300
};

static struct zone rw, ro;

static void
zones_open(void)
{
    int fd_rw = -1, fd_ro = -1;

    assert_int_equal(zone_create(ZONE_SIZE, &fd_rw, &fd_ro), 0);
    assert_int_equal(zone_map(&rw, fd_rw, ZONE_SIZE, 0, true), 0);
    assert_int_equal(zone_map(&ro, fd_ro, ZONE_SIZE, 0, false), 0);
    close_fd(&fd_rw);
    close_fd(&fd_ro);
}

static void
zones_close(void)
{
    zone_unmap(&rw);
    zone_unmap(&ro);
}

static uint64_t
random_next(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    return *x ^= *x << 17;
}

struct texts {
    char bare[32], resource[32], presence[700];
};

/* All that a session is follows from its connection id: user in the lowest byte. */
static struct table_session
session_of(uint64_t conn, struct texts *t)
{
    uint64_t x = conn * 0x9e3779b97f4a7c15u | 1;
    size_t n = random_next(&x) % (sizeof t->presence - 1);

    snprintf(t->bare, sizeof t->bare, "user%u@example.net", (unsigned)(conn & 0xff));
    if (conn >> 63)
        snprintf(t->resource, sizeof t->resource, "home");
    else
        snprintf(t->resource, sizeof t->resource, "r%llu", (unsigned long long)conn);
    for (size_t i = 0; i < n; i++)
        t->presence[i] = (char)('a' + random_next(&x) % 26);
    return (struct table_session){
        .conn = conn,
        .since_us = conn ^ 0x5555,
        .bare = str_from(t->bare),
        .resource = str_from(t->resource),
        .remote = STR("::1"),
        .presence = { t->presence, n },
        .priority = (int8_t)conn,
        .available = (conn & 1) != 0,
        .flags = (uint16_t)conn,
        .epoch = 1,
    };
}

static bool
entry_is_right(const struct route_entry *e)
{
    struct texts t;
    struct table_session s = session_of(e->conn, &t);

    return str_eq(e->bare, s.bare) && str_eq(e->resource, s.resource) &&
           str_eq(e->remote, s.remote) && str_eq(e->presence, s.presence) &&
           e->since_us == s.since_us && e->priority == s.priority &&
           e->available == s.available && e->flags == s.flags;
}

/* One step of the writer: replaces a home, or lets another session come or go. */
static void
write_step(struct table *table, uint64_t *x)
{
    static struct table_session at[ROUTE_RESOURCES_MAX];
    struct texts t;
    uint64_t user = random_next(x) % USERS, home = 0;
    struct table_session s = session_of(user, &t);
    size_t n = table_sessions(table, s.bare, at, ROUTE_RESOURCES_MAX);

    for (size_t i = 0; i < n; i++) {
        if (str_eq_c(at[i].resource, "home"))
            home = at[i].conn;
    }
    if (home == 0 || random_next(x) % 2 == 0) {
        s = session_of((uint64_t)1 << 63 | (random_next(x) & 0xffffffff00) | user, &t);
        table_put(table, &s, home);
    } else if (n < 2 || (n < 8 && random_next(x) % 2 == 0)) {
        s = session_of((random_next(x) & 0xffffffff00) | 1 << 8 | user, &t);
        table_put(table, &s, 0);
    } else {
        size_t i = random_next(x) % n;

        if (at[i].conn != home)
            table_remove(table, s.bare, at[i].conn);
    }
}

struct reader_result {
    uint64_t n, n_again, n_gave_up, n_missing, n_wrong;
};

/* One step of a reader, in one of three ways. */
static void
read_step(const struct route_table *rt, struct route_snapshot *snap, uint64_t *x,
        struct reader_result *res)
{
    struct texts t;
    uint64_t user = random_next(x) % USERS;
    struct table_session s = session_of(user, &t);
    struct route_hit hit;
    unsigned n_home = 0;
    uint64_t at = 0;
    int r;

    res->n++;
    switch (random_next(x) % 8) {
    case 0:
        r = route_lookup_full(rt, s.bare, STR("home"), &hit);
        if (r == 1 && (!(hit.conn >> 63) || (hit.conn & 0xff) != user ||
                              hit.since_us != (hit.conn ^ 0x5555)))
            res->n_wrong++;
        break;
    case 1:
        while ((r = route_walk(rt, &at, ROUTE_WANT_PRESENCE, snap)) > 0) {
            for (size_t i = 0; i < snap->n; i++)
                res->n_wrong += !entry_is_right(&snap->entry[i]);
        }
        r = r == 0 ? 1 : r;
        break;
    default:
        r = route_lookup(rt, s.bare, ROUTE_WANT_PRESENCE, snap);
        for (size_t i = 0; r > 0 && i < snap->n; i++) {
            n_home += str_eq_c(snap->entry[i].resource, "home");
            res->n_wrong += !entry_is_right(&snap->entry[i]);
        }
        if (r > 0 && n_home != 1)
            res->n_missing++;
        break;
    }
    res->n_gave_up += r == -EAGAIN;
    res->n_missing += r == 0;
}

static atomic_bool over;

static void *
reader_thread(void *arg)
{
    struct reader_result *res = arg;
    struct route_snapshot snap = { 0 };
    struct route_table rt;
    uint64_t x = (uintptr_t)arg;

    if (route_open(&rt, &ro) < 0)
        return NULL;
    while (!atomic_load_explicit(&over, memory_order_relaxed))
        read_step(&rt, &snap, &x, res);
    res->n_again = snap.n_retries;
    route_snapshot_fini(&snap);
    return NULL;
}

static struct table *
table_begin(uint64_t *x)
{
    struct table_found found;
    struct table *table;
    struct texts t;

    assert_int_equal(table_open(&rw, &table, &found), 0);
    for (uint64_t user = 0; user < USERS; user++) {
        struct table_session s = session_of((uint64_t)1 << 63 | *x << 8 | user, &t);

        assert_int_equal(table_put(table, &s, 0), 0);
    }
    return table;
}

static void
check_results(const struct reader_result res[READERS])
{
    uint64_t n = 0, n_again = 0, n_gave_up = 0;

    for (int i = 0; i < READERS; i++) {
        assert_int_equal(res[i].n_wrong, 0);
        assert_int_equal(res[i].n_missing, 0);
        assert_true(res[i].n > 100);
        n += res[i].n;
        n_again += res[i].n_again;
        n_gave_up += res[i].n_gave_up;
    }
    printf("%llu reads, %llu begun again, %llu given up\n", (unsigned long long)n,
            (unsigned long long)n_again, (unsigned long long)n_gave_up);
    assert_true(n_gave_up * 100 < n);
}

static void
test_readers_and_a_writer(void **state)
{
    struct reader_result res[READERS] = { 0 };
    pthread_t thread[READERS];
    uint64_t x = 77, end = clock_ms() + THREADS_MS, n = 0;
    struct table *table;

    (void)state;
    zones_open();
    table = table_begin(&x);
    atomic_store(&over, false);
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, reader_thread, &res[i]), 0);
    while (clock_ms() < end) {
        for (int i = 0; i < 64; i++)
            write_step(table, &x);
        n += 64;
        if (n % 1024 == 0)
            sched_yield(); /* also let them begin in other places of a step */
    }
    atomic_store(&over, true);
    for (int i = 0; i < READERS; i++)
        pthread_join(thread[i], NULL);
    assert_true(n > 1000);
    check_results(res);
    table_free(&table);
    zones_close();
}

/* A writer process until it is killed: takes the table over and goes on. */
static void
writer_process(uint64_t seed)
{
    struct table_found found;
    struct table *table;
    uint64_t x = seed * 0x9e3779b97f4a7c15u | 1;

    if (table_open(&rw, &table, &found) < 0)
        _exit(2);
    if (found.fresh || found.damaged > 0 || found.users != USERS)
        _exit(3);
    for (;;)
        write_step(table, &x);
}

static void
test_writers_that_are_killed(void **state)
{
    struct reader_result res[READERS] = { 0 };
    struct route_snapshot snap = { 0 };
    pthread_t thread[READERS];
    struct table_found found;
    struct route_table rt;
    struct table *table;
    struct route_stats st;
    uint64_t x = 99, at = 0, n = 0;
    int r;

    (void)state;
    zones_open();
    table = table_begin(&x);
    table_free(&table);
    atomic_store(&over, false);
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, reader_thread, &res[i]), 0);
    for (int i = 0; i < DEATHS; i++) {
        int status = 0;
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0)
            writer_process((uint64_t)i + 1);
        usleep((useconds_t)(random_next(&x) % 4000));
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status)); /* else it found the table in disorder */
    }
    atomic_store(&over, true);
    for (int i = 0; i < READERS; i++)
        pthread_join(thread[i], NULL);
    check_results(res);

    /* What the last one left agrees with its own sums, once repaired. */
    assert_int_equal(table_open(&rw, &table, &found), 0);
    assert_int_equal(found.damaged, 0);
    assert_int_equal(found.users, USERS);
    assert_int_equal(route_open(&rt, &ro), 0);
    while ((r = route_walk(&rt, &at, 0, &snap)) > 0)
        n += snap.n;
    assert_int_equal(r, 0);
    route_stats(&rt, &st);
    assert_int_equal(n, st.sessions);
    assert_int_equal(found.sessions, st.sessions);
    assert_true(st.memory < ZONE_SIZE / 2); /* nothing leaks through deaths */
    route_snapshot_fini(&snap);
    table_free(&table);
    zones_close();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_readers_and_a_writer),
        cmocka_unit_test(test_writers_that_are_killed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
