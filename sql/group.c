/*
 * group.c -- requests that are committed together
 *
 * A commit waits for the disk, so changes are collected: until GROUP_ROWS are there, or
 * the first has waited GROUP_WAIT_MS, or somebody wants to read behind them. One group
 * is under way at a time; what comes meanwhile is the next one. So a read sees every
 * change that was queued before it, and requests of one database happen in their order.
 *
 * Changes that nobody waits for (LATER in op.def) have a queue of their own, for up to
 * LATER_MS, so that not every log-in in between makes a commit of them. They join the
 * others in front of the first that deals with the same table.
 *
 * One request must not spoil the others'. SQLite has savepoints for that. In PostgreSQL
 * a group is one pipelined transaction: when a request fails in it nothing is done, and
 * the group is run again in three: those before it, it alone, those after it.
 *
 * When the connection is lost nobody knows whether the last group was committed. Its
 * requests go back to the front of the queue and are done again with the same write
 * ids, which makes that harmless.
 */
#include "sql/db.h"

#include "base/killpoint.h"
#include "base/log.h"
#include "base/mem.h"

enum {
    GROUP_ROWS = 100,
    GROUP_WAIT_MS = 5,
    LATER_MS = 100,
    GROUP_MAX = 512,
    GROUP_BYTES_MAX = 4 << 20,
    TRIES_ALONE = 2, /* then a request runs in a group of its own */
    TRIES_MAX = 5,
    BUSY_WAIT_MS = 50,
    WATCH_MS = 50,
    GRACE_MS = 2000, /* beyond the time limit that the database itself knows */
};

static void
answer(struct sql_db *db, struct sql_req *req)
{
    db->stats.answered++;
    db->stats.repeated += req->result.repeated;
    if (!req->answered)
        req->done(req->arg, &req->result);
    sql_req_free(&req);
}

static void
answer_status(struct sql_db *db, struct sql_req *req, enum sql_status status)
{
    req->result = (struct sql_result){ .status = status };
    answer(db, req);
}

static void
group_free(struct sql_db *db)
{
    db->running = false;
    arena_reset(&db->group_arena);
    sql_group_kick(db);
}

/* Puts what is left of the group back in front of the queue, in its order. */
static void
group_requeue(struct sql_db *db)
{
    while (!list_empty(&db->group)) {
        struct sql_req *req = list_entry(db->group.prev, struct sql_req, node);

        list_del(&req->node);
        req->result = (struct sql_result){ 0 };
        if (req->answered)
            answer(db, req);
        else
            sql_queue_push(&db->queue, req);
    }
}

void
sql_db_on_read(struct sql_db *db, struct sql_req *req)
{
    list_del(&req->node);
    answer(db, req);
    /* Reads are answered one after the other: so much memory takes one, not all. */
    arena_reset(&db->group_arena);
}

void
sql_db_on_group(struct sql_db *db)
{
    db->stats.commits += db->group_writes;
    db->group_max = db->group_max * 2 > GROUP_MAX ? GROUP_MAX : db->group_max * 2;
    while (!list_empty(&db->group)) {
        struct sql_req *req = list_entry(db->group.next, struct sql_req, node);

        list_del(&req->node);
        answer(db, req);
        killpoint(SQL_ANSWERED);
    }
    group_free(db);
}

void
sql_db_on_group_failed(struct sql_db *db, struct sql_req *req)
{
    bool single = db->group.next == db->group.prev;

    db->stats.groups_split++;
    if (single && req) {
        list_del(&req->node);
        answer(db, req);
    } else if (req) {
        req->alone = true;
        db->group_max = db->group_n / 2;
    } else {
        list_for_safe(node, &db->group)
        {
            req = list_entry(node, struct sql_req, node);
            req->alone = true;
            if (single && ++req->n_tries >= TRIES_MAX) {
                list_del(&req->node);
                answer_status(db, req, SQL_UNAVAILABLE);
            }
        }
    }
    group_requeue(db);
    group_free(db);
}

void
sql_db_on_group_busy(struct sql_db *db)
{
    db->hold_until_ms = loop_now_ms(db->loop) + BUSY_WAIT_MS;
    group_requeue(db);
    group_free(db);
}

void
sql_group_return(struct sql_db *db)
{
    list_for_safe(node, &db->group)
    {
        struct sql_req *req = list_entry(node, struct sql_req, node);

        if (++req->n_tries >= TRIES_ALONE)
            req->alone = true;
        if (req->n_tries < TRIES_MAX)
            continue;
        log_error(NULL,
                "database %s: gave %s up: the connection was lost %u times with it",
                db->name, req->def->name, req->n_tries);
        list_del(&req->node);
        answer_status(db, req, SQL_UNAVAILABLE);
    }
    group_requeue(db);
    group_free(db);
}

/* How long the requests at the head of the queue should still wait for others. */
static uint64_t
group_wait_ms(const struct sql_db *db, const struct sql_req *head, uint64_t now)
{
    uint64_t due = head->since_ms + GROUP_WAIT_MS;

    if (db->hold_until_ms > now)
        return db->hold_until_ms - now;
    if (!head->def->writes || head->alone || head->n_tries)
        return 0;
    if (db->queue.n >= GROUP_ROWS || db->queue.n_reads)
        return 0;
    return due > now ? due - now : 0;
}

/* Until what was put off has to be done; UINT64_MAX: there is nothing. */
static uint64_t
later_wait_ms(const struct sql_db *db, uint64_t now)
{
    const struct sql_req *first = sql_queue_first(&db->later);

    if (!first)
        return UINT64_MAX;
    if (db->later.n >= GROUP_ROWS || first->since_ms + LATER_MS <= now)
        return 0;
    return first->since_ms + LATER_MS - now;
}

/* Until the next group is to be run; what was put off long enough is in the queue. */
static uint64_t
kick_wait_ms(struct sql_db *db, uint64_t now)
{
    uint64_t later_ms = later_wait_ms(db, now), wait_ms;
    const struct sql_req *head;

    if (later_ms == 0) {
        sql_queue_move(&db->queue, &db->later);
        later_ms = UINT64_MAX;
    }
    head = sql_queue_first(&db->queue);
    if (!head)
        return later_ms;
    wait_ms = group_wait_ms(db, head, now);
    return wait_ms < later_ms ? wait_ms : later_ms;
}

static void
group_take(struct sql_db *db)
{
    struct sql_req *req = sql_queue_first(&db->queue);
    size_t bytes = 0;

    db->group_writes = req->def->writes;
    db->group_n = 0;
    do {
        sql_queue_take(&db->queue, req);
        list_add(&db->group, &req->node);
        db->group_n++;
        bytes += req->size;
        if (req->alone)
            break;
        req = sql_queue_first(&db->queue);
    } while (req && !req->alone && req->def->writes == db->group_writes &&
             db->group_n < db->group_max && bytes + req->size <= GROUP_BYTES_MAX);
}

static void
on_kick(struct loop_timer *timer)
{
    struct sql_db *db = container_of(timer, struct sql_db, kick);
    uint64_t now = loop_now_ms(db->loop), wait_ms;

    if (db->state != SQL_READY || db->running)
        return;
    wait_ms = kick_wait_ms(db, now);
    if (wait_ms) {
        sql_group_kick(db);
        return;
    }
    group_take(db);
    db->running = true;
    db->group_since_ms = now;
    db->stats.groups++;
    killpoint(SQL_GROUP);
    db->engine->run(db->conn, &db->group, db->group_writes);
}

/* Groups are run by the loop, never by the one who asks, so that answers come later. */
void
sql_group_kick(struct sql_db *db)
{
    uint64_t wait_ms;

    if (db->state != SQL_READY || db->running)
        return;
    wait_ms = kick_wait_ms(db, loop_now_ms(db->loop));
    if (wait_ms != UINT64_MAX)
        loop_timer_set(db->loop, &db->kick, wait_ms);
}

/* Whose time is over before they were begun. */
static void
give_up(struct sql_db *db, struct sql_queue *q, uint64_t now)
{
    list_for_safe(node, &q->list)
    {
        struct sql_req *req = list_entry(node, struct sql_req, node);

        if (req->until_ms > now)
            continue;
        sql_queue_take(q, req);
        answer_status(db, req, SQL_UNAVAILABLE);
    }
}

static void
on_watch(struct loop_timer *timer)
{
    struct sql_db *db = container_of(timer, struct sql_db, watch);
    uint64_t now = loop_now_ms(db->loop);

    give_up(db, &db->queue, now);
    give_up(db, &db->later, now);
    list_for_safe(node, &db->group)
    {
        struct sql_req *req = list_entry(node, struct sql_req, node);

        if (req->until_ms > now || req->answered)
            continue;
        req->answered = true;
        req->done(req->arg, &(struct sql_result){ .status = SQL_UNAVAILABLE });
    }
    if (db->running &&
            now > db->group_since_ms + db->settings.query_timeout_ms + GRACE_MS)
        sql_db_on_lost(db, "no answer");
    if (db->running || db->queue.n || db->later.n)
        loop_timer_set(db->loop, &db->watch, WATCH_MS);
}

void
sql_group_add(struct sql_db *db, struct sql_req *req)
{
    if (req->def->meets)
        sql_queue_move(&db->queue, &db->later);
    sql_queue_add(req->def->later ? &db->later : &db->queue, req);
    killpoint(SQL_QUEUED);
    if (!db->watch.place)
        loop_timer_set(db->loop, &db->watch, WATCH_MS);
    sql_group_kick(db);
}

void
sql_group_init(struct sql_db *db)
{
    sql_queue_init(&db->queue);
    sql_queue_init(&db->later);
    list_init(&db->group);
    db->group_max = GROUP_MAX;
    arena_init(&db->group_arena, 16384);
    db->kick.fn = on_kick;
    db->watch.fn = on_watch;
}

void
sql_group_fini(struct sql_db *db)
{
    struct sql_req *req;

    loop_timer_cancel(db->loop, &db->kick);
    loop_timer_cancel(db->loop, &db->watch);
    group_requeue(db);
    sql_queue_move(&db->queue, &db->later);
    while ((req = sql_queue_first(&db->queue))) {
        sql_queue_take(&db->queue, req);
        answer_status(db, req, SQL_UNAVAILABLE);
    }
    arena_fini(&db->group_arena);
}
