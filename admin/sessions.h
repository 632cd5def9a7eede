#ifndef ADMIN_SESSIONS_H
#define ADMIN_SESSIONS_H

#include "admin/request.h"
#include "xmpp/error.h"

struct xml_pool;

/* A session, as the route table shows it. */
struct session {
    uint64_t conn, since_us;
    struct str local, domain, resource, remote;
    struct str show, status; /* with presence: see sessions_presence */
    int8_t priority;
    bool available;
    uint16_t flags; /* enum route_flag */
};

/*
 * Walks all sessions (of one host, unless host.p is NULL), by user, host and resource,
 * calls emit for each, and ends the result. In a service with very many sessions the
 * order is kept within parts of SESSIONS_SORTED only.
 */
enum {
    SESSIONS_SORTED = 50000
};
typedef void (*session_fn)(struct request *rq, const struct session *s);
void sessions_walk(struct request *rq, struct str host, bool presence, session_fn emit);

/* The same, but the result is how many there are. */
void sessions_count(struct request *rq, struct str host);

/*
 * The sessions of one account, by resource, in the request's arena: how many; -EAGAIN
 * when the table changes too quickly: set rq->more to come again.
 */
int sessions_of(struct request *rq, struct str bare, bool presence,
        struct session **ret_sessions);

/*
 * Ends sessions of an account (all, or those with this resource): how many, or -EAGAIN.
 */
int sessions_end(struct request *rq, struct str bare, struct str resource,
        enum stream_error condition, struct str text);

/*
 * <show/> (or "available", "unavailable") and <status/> of a serialised presence, in
 * the arena.
 */
void sessions_presence(struct xml_pool *xml, struct arena *arena, struct str presence,
        bool available, struct str *ret_show, struct str *ret_status);

/* "192.0.2.1:5222" and "[2001:db8::1]:5222" taken apart; the port may be missing. */
void sessions_remote(struct str remote, struct str *ret_ip, struct str *ret_port);

#endif
