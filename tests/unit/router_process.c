/*
 * router_process.c -- the router's handlers, with workers that are mailboxes
 *
 * The frames that the router sends are read at the workers' ends and written
 * down as text, so that a test says what is expected in one line each.
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
#include "router/route.h"
#include "router/router.h"
#include "xmpp/error.h"

enum {
    ZONE_SIZE = 16 << 20,
    WORKERS = 2,
    ENDS = WORKERS + 2
};

struct end {
    int fd; /* for reading */
    struct mailbox_reader reader;
    struct world *world;
    unsigned number;
};

struct world {
    struct proc p;
    struct status_page status;
    struct zone ro;
    struct route_table route;
    struct route_snapshot snap;
    struct end end[ENDS]; /* workers, admin, master */
    struct buf said;      /* what was sent since it was looked at */
};

static ipc_addr
addr_of(unsigned end)
{
    if (end < WORKERS)
        return ipc_addr_of(PROC_WORKER, end);
    return ipc_addr_of(end == WORKERS ? PROC_ADMIN : PROC_MASTER, 0);
}

static void
note_bound(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    static const char *const status[] = { "ok", "conflict", "denied", "full" };
    struct end *e = ctx;
    const struct ipc_route_bound *m = msg;

    (void)from, (void)fd;
    buf_addf(&e->world->said, "%u: bound %u %s %.*s\n", e->number,
            conn_id_index(m->conn), status[m->status], STR_ARG(m->resource));
}

static void
note_present(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct end *e = ctx;
    const struct ipc_route_present *m = msg;

    (void)from, (void)fd;
    buf_addf(&e->world->said, "%u: present %u #%u was %d\n", e->number,
            conn_id_index(m->conn), m->serial, m->was_available);
}

static void
note_sync(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct end *e = ctx;
    const struct ipc_u64 *m = msg;

    (void)from, (void)fd;
    buf_addf(&e->world->said, "%u: sync %u\n", e->number, (unsigned)m->value);
}

static void
note_end(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct end *e = ctx;
    const struct ipc_session_end *m = msg;

    (void)from, (void)fd;
    buf_addf(&e->world->said, "%u: end %u %s\n", e->number, conn_id_index(m->conn),
            stream_error_name((enum stream_error)m->condition));
}

static void
note_reply(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct end *e = ctx;
    const struct ipc_reply *m = msg;

    (void)from, (void)fd;
    buf_addf(&e->world->said, "reply %u %s %.*s\n", (unsigned)m->id,
            ipc_status_name((enum ipc_status)m->status), STR_ARG(m->text));
}

static void
note_ready(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct end *e = ctx;

    (void)from, (void)msg, (void)fd;
    buf_add_c(&e->world->said, "ready\n");
}

static const ipc_handler_fn notes[IPC_TYPES] = {
    [IPC_ROUTE_BOUND] = note_bound,
    [IPC_ROUTE_PRESENT] = note_present,
    [IPC_ROUTE_SYNC] = note_sync,
    [IPC_SESSION_END] = note_end,
    [IPC_PROC_REPLY] = note_reply,
    [IPC_READY] = note_ready,
};

/* A router process begins; the zone and the mailboxes are what they were. */
static void
router_begin(struct world *w)
{
    w->p.self = NULL;
    w->p.loop = loop_new();
    w->p.post = post_new(w->p.loop, ipc_addr_of(PROC_ROUTER, 0));
    for (unsigned i = 0; i < ENDS; i++) {
        int fd[2];

        assert_int_equal(mailbox_open(fd), 0);
        close_fd(&w->end[i].fd);
        w->end[i].fd = fd[0];
        post_add_peer(w->p.post, addr_of(i), fd[1]);
    }
    assert_int_equal(router_ops.prepare(&w->p), 0);
    assert_int_equal(router_ops.start(&w->p), 0);
}

/* It is gone, and what it had not sent yet with it. */
static void
router_dies(struct world *w)
{
    router_ops.finish(&w->p);
    post_free(&w->p.post);
    loop_free(&w->p.loop);
    w->p.starts++;
}

static void
world_open(struct world *w)
{
    int rw = -1, ro = -1;

    memset(w, 0, sizeof *w);
    w->p.role = PROC_ROUTER;
    w->p.addr = ipc_addr_of(PROC_ROUTER, 0);
    w->p.n_workers = WORKERS;
    w->p.status = &w->status;
    assert_int_equal(zone_create(ZONE_SIZE, &rw, &ro), 0);
    assert_int_equal(zone_map(&w->p.routes, rw, ZONE_SIZE, 0, true), 0);
    assert_int_equal(zone_map(&w->ro, ro, ZONE_SIZE, 0, false), 0);
    close_fd(&rw);
    close_fd(&ro);
    assert_int_equal(route_open(&w->route, &w->ro), 0);
    for (unsigned i = 0; i < ENDS; i++) {
        w->end[i] = (struct end){ .fd = -1, .world = w, .number = i };
        mailbox_reader_init(&w->end[i].reader, addr_of(i), P_ROUTER, notes, &w->end[i]);
    }
    router_begin(w);
}

static void
world_close(struct world *w)
{
    router_dies(w);
    for (unsigned i = 0; i < ENDS; i++) {
        assert_int_equal(w->end[i].reader.n_bad, 0);
        mailbox_reader_fini(&w->end[i].reader);
        close_fd(&w->end[i].fd);
    }
    route_snapshot_fini(&w->snap);
    buf_fini(&w->said);
    zone_unmap(&w->p.routes);
    zone_unmap(&w->ro);
}

/* Lets the router do what it has left for later, and looks at what it said. */
static const char *
said(struct world *w)
{
    for (int i = 0; i < 50; i++)
        loop_turn_once(w->p.loop, 0);
    post_flush(w->p.post);
    buf_reset(&w->said, 1 << 16);
    for (unsigned i = 0; i < ENDS; i++) {
        while (mailbox_read(&w->end[i].reader, w->end[i].fd) == 1)
            continue;
    }
    return buf_c(&w->said);
}

#define EXPECT(w, text) assert_string_equal(said(w), text)

static void
tell(struct world *w, unsigned worker, enum ipc_type type, const void *msg)
{
    int fd = -1;

    router_ops.handlers[type](&w->p, addr_of(worker), msg, &fd);
}

/* Connections are numbered; the hundreds say which worker has it. */
static uint64_t
conn(unsigned n)
{
    return conn_id_of(n / 100, n, 1);
}

struct bind {
    unsigned conn;
    const char *resource;
    enum conf_resource_conflict conflict;
    uint32_t sessions_max;
    uint64_t since_us; /* 0: as the connection is numbered */
    bool resync;
    const char *presence;
    uint32_t serial;
};

static void
bind_as(struct world *w, const char *bare, struct bind b)
{
    struct ipc_route_bind m = {
        .conn = conn(b.conn),
        .conflict = (uint8_t)b.conflict,
        .resync = b.resync,
        .sessions_max = b.sessions_max,
        .bare = str_from(bare),
        .resource = str_from(b.resource),
        .since_us = b.since_us ? b.since_us : b.conn,
        .remote = STR("[2001:db8::1]:40000"),
        .available = b.presence != NULL,
        .presence = str_from(b.presence),
        .serial = b.serial,
        .flags = ROUTE_ROSTER,
    };

    tell(w, b.conn / 100, IPC_ROUTE_BIND, &m);
}
/* BIND(world, connection, resource, further members of struct bind) */
#define BIND(w, n, ...)               \
    bind_as((w), "romeo@example.net", \
            (struct bind){ .conn = (n), .resource = __VA_ARGS__ })

static void
presence(struct world *w, unsigned n, uint32_t serial, bool available, const char *text)
{
    struct ipc_route_presence m = {
        .conn = conn(n),
        .serial = serial,
        .available = available,
        .priority = 3,
        .flags = ROUTE_CARBONS,
        .bare = STR("romeo@example.net"),
        .presence = str_from(text),
    };

    tell(w, n / 100, IPC_ROUTE_PRESENCE, &m);
}

static void
unbind(struct world *w, unsigned n)
{
    struct ipc_route_conn m = { .conn = conn(n), .bare = STR("romeo@example.net") };

    tell(w, n / 100, IPC_ROUTE_UNBIND, &m);
}

static void
synced(struct world *w, unsigned worker, uint64_t epoch)
{
    tell(w, worker, IPC_ROUTE_SYNCED, &(struct ipc_u64){ .value = epoch });
}

/* "101/garden+ 1/orchard", + when available, in the order of the table. */
static const char *
table(struct world *w)
{
    static char text[512];
    size_t n = 0;

    text[0] = '\0';
    assert_true(route_lookup(&w->route, STR("romeo@example.net"), ROUTE_WANT_PRESENCE,
                        &w->snap) >= 0);
    for (size_t i = 0; i < w->snap.n && n < sizeof text - 64; i++) {
        const struct route_entry *e = &w->snap.entry[i];

        n += (size_t)snprintf(text + n, sizeof text - n, "%s%u/%.*s%s", i ? " " : "",
                conn_id_index(e->conn), STR_ARG(e->resource), e->available ? "+" : "");
    }
    return text;
}
#define TABLE(w, text) assert_string_equal(table(w), text)

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
        cmocka_unit_test(test_a_new_router_asks_the_workers),
        cmocka_unit_test(test_presence_across_a_death),
        cmocka_unit_test(test_the_loser_is_told_again),
        cmocka_unit_test(test_a_restarted_worker_is_asked),
        cmocka_unit_test(test_fewer_workers),
        cmocka_unit_test(test_questions),
    };

    log_set_level(LOG_LEVEL_NONE);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
