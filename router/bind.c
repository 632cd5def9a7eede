/*
 * bind.c -- who gets a resource, and who loses it
 *
 * There is at most one session of a full JID in the table, and at most one of a
 * connection. A new one takes the place of the old one in a single step, so that a
 * stanza to that JID always finds somebody. A router that dies before it told the old
 * one so hears of it again when the workers name their sessions: then it loses a second
 * time, because it began earlier.
 *
 * The limit of sessions (max_user_sessions) ends the oldest, as ejabberd does.
 */
#include "router/bind.h"

#include <string.h>

#include "base/rand.h"
#include "conf/conf.h"

enum {
    RANDOM_RESOURCE = 16
};

/* The sessions of one bare JID, as they are in the table. */
struct siblings {
    struct table_session at[ROUTE_RESOURCES_MAX];
    size_t n;
};

/* One process, one bind at a time: too large for comfort on the stack. */
static struct siblings siblings;

static const struct table_session *
by_conn(const struct siblings *all, uint64_t conn)
{
    for (size_t i = 0; i < all->n; i++) {
        if (all->at[i].conn == conn)
            return &all->at[i];
    }
    return NULL;
}

static const struct table_session *
by_resource(const struct siblings *all, struct str resource)
{
    for (size_t i = 0; i < all->n; i++) {
        if (str_eq(all->at[i].resource, resource))
            return &all->at[i];
    }
    return NULL;
}

static bool
is_later(uint64_t since_us, uint64_t conn, const struct table_session *than)
{
    return since_us != than->since_us ? since_us > than->since_us : conn > than->conn;
}

static void
set_resource(struct bind_outcome *out, struct str resource)
{
    memcpy(out->text, resource.p, resource.n);
    out->resource = (struct str){ out->text, resource.n };
}

static void
make_resource(struct bind_outcome *out, const struct siblings *all)
{
    char text[RANDOM_RESOURCE + 1];

    do
        rand_text(text, RANDOM_RESOURCE);
    while (by_resource(all, (struct str){ text, RANDOM_RESOURCE }));
    set_resource(out, (struct str){ text, RANDOM_RESOURCE });
}

static struct table_session
session_of(const struct ipc_route_bind *m, struct str resource, uint32_t epoch)
{
    struct table_session s = {
        .conn = m->conn,
        .since_us = m->since_us,
        .bare = m->bare,
        .resource = resource,
        .remote = m->remote,
        .flags = m->flags,
        .epoch = epoch,
    };

    if (s.remote.n > ROUTE_REMOTE_MAX)
        s.remote.n = ROUTE_REMOTE_MAX;
    return s;
}

static void
copy_presence(struct table_session *s, const struct ipc_route_bind *m)
{
    s->priority = m->priority;
    s->available = m->available != 0;
    s->serial = m->serial;
    if (m->presence.n <= ROUTE_PRESENCE_MAX)
        s->presence = m->presence;
}

/* So many sessions may there be beside one that is to be bound. */
static size_t
others_max(uint32_t sessions_max)
{
    return (sessions_max > 0 && sessions_max < ROUTE_RESOURCES_MAX
                           ? sessions_max
                           : ROUTE_RESOURCES_MAX) -
           1;
}

static struct table_session *
oldest_of(struct siblings *all, uint64_t except_conn)
{
    struct table_session *oldest = NULL;

    for (size_t i = 0; i < all->n; i++) {
        struct table_session *s = &all->at[i];

        if (s->conn && s->conn != except_conn &&
                (!oldest || is_later(oldest->since_us, oldest->conn, s)))
            oldest = s;
    }
    return oldest;
}

/*
 * Ends the oldest sessions until there is room for one more beside `except` (NULL:
 * none), which is about to be replaced anyway.
 */
static void
make_room(struct table *t, struct siblings *all, const struct table_session *except,
        uint32_t sessions_max, struct bind_outcome *out)
{
    uint64_t except_conn = except ? except->conn : 0;

    for (size_t n = all->n - (except != NULL); n > others_max(sessions_max); n--) {
        struct table_session *oldest = oldest_of(all, except_conn);

        /* Views of the others stay valid: only the memory of this one is given up. */
        table_remove(t, oldest->bare, oldest->conn);
        out->ended[out->n_ended++] = oldest->conn;
        oldest->conn = 0;
    }
}

static bool
request_makes_sense(const struct ipc_route_bind *m)
{
    return m->conn != 0 && m->bare.n > 0 && m->bare.n <= ROUTE_BARE_MAX &&
           m->resource.n <= ROUTE_RESOURCE_MAX;
}

static void
commit(struct table *t, const struct table_session *s, uint64_t instead,
        struct bind_outcome *out)
{
    out->status = table_put(t, s, instead) < 0 ? ROUTE_FULL : ROUTE_OK;
    if (out->status == ROUTE_OK && instead && instead != s->conn)
        out->ended[out->n_ended++] = instead;
}

void
bind_new(struct table *t, const struct ipc_route_bind *m, uint32_t epoch,
        struct bind_outcome *ret)
{
    const struct table_session *old;
    struct table_session s;

    ret->status = ROUTE_DENIED;
    ret->resource = STR_NULL;
    ret->n_ended = 0;
    if (!request_makes_sense(m))
        return;
    siblings.n = table_sessions(t, m->bare, siblings.at, ROUTE_RESOURCES_MAX);
    old = by_conn(&siblings, m->conn);
    if (old) {
        /* Asked before, and the answer got lost on the way. */
        set_resource(ret, old->resource);
        ret->status = ROUTE_OK;
        table_set(
                t, m->bare, m->conn, old->priority, old->available, old->flags, epoch);
        return;
    }
    old = m->resource.n > 0 ? by_resource(&siblings, m->resource) : NULL;
    if (old && m->conflict == CONF_CONFLICT_CLOSENEW) {
        ret->status = ROUTE_CONFLICT;
        return;
    }
    if (m->resource.n == 0 || (old && m->conflict == CONF_CONFLICT_SETRESOURCE)) {
        make_resource(ret, &siblings);
        old = NULL;
    } else {
        set_resource(ret, m->resource);
    }
    make_room(t, &siblings, old, m->sessions_max, ret);
    s = session_of(m, ret->resource, epoch);
    commit(t, &s, old ? old->conn : 0, ret);
}

/* Takes in a session that the table has: what the worker says is right. */
static void
confirm(struct table *t, const struct ipc_route_bind *m,
        const struct table_session *old, uint32_t epoch, struct bind_outcome *out)
{
    const struct table_session *other = by_resource(&siblings, m->resource);
    struct table_session s = session_of(m, m->resource, epoch);

    if (other && other->conn != m->conn) {
        /* It was given to somebody else: then this one has no claim to another. */
        if (!is_later(m->since_us, m->conn, other)) {
            table_remove(t, m->bare, m->conn);
            out->ended[out->n_ended++] = m->conn;
            out->status = ROUTE_CONFLICT;
            return;
        }
        out->ended[out->n_ended++] = other->conn;
        table_remove(t, m->bare, other->conn);
    }
    copy_presence(&s, m);
    /* The same presence again, or one that died on its way to us. */
    s.was_available = s.serial == old->serial ? old->was_available : old->available;
    out->was_available = s.was_available;
    out->status = ROUTE_OK;
    if (str_eq(s.resource, old->resource) && str_eq(s.remote, old->remote) &&
            str_eq(s.presence, old->presence) && s.since_us == old->since_us &&
            s.serial == old->serial)
        table_set(t, m->bare, m->conn, s.priority, s.available, s.flags, epoch);
    else
        commit(t, &s, m->conn, out);
}

void
bind_again(struct table *t, const struct ipc_route_bind *m, uint32_t epoch,
        struct bind_outcome *ret)
{
    const struct table_session *old;
    struct table_session s;

    ret->status = ROUTE_DENIED;
    ret->resource = m->resource;
    ret->n_ended = 0;
    ret->was_available = false;
    if (!request_makes_sense(m) || m->resource.n == 0)
        return;
    siblings.n = table_sessions(t, m->bare, siblings.at, ROUTE_RESOURCES_MAX);
    old = by_conn(&siblings, m->conn);
    if (old) {
        confirm(t, m, old, epoch, ret);
    } else {
        old = by_resource(&siblings, m->resource);
        if (old ? !is_later(m->since_us, m->conn, old)
                : siblings.n > others_max(m->sessions_max) &&
                                !is_later(m->since_us, m->conn,
                                        oldest_of(&siblings, 0))) {
            ret->ended[ret->n_ended++] = m->conn;
            ret->status = ROUTE_CONFLICT;
            return;
        }
        make_room(t, &siblings, old, m->sessions_max, ret);
        s = session_of(m, m->resource, epoch);
        copy_presence(&s, m);
        commit(t, &s, old ? old->conn : 0, ret);
    }
    if (ret->status == ROUTE_FULL)
        ret->ended[ret->n_ended++] = m->conn;
}
