/*
 * roll.c -- a planned restart: one process after the other, nobody notices
 *
 * The next one goes only when everybody is ready again: whoever is missing meanwhile is
 * the only one that is. The order is from those who only hold things to those who have
 * most to do; the master comes last, by executing its program once more: it goes on
 * with its processes like a master that finds those of another (adopt.c).
 *
 * Who asked for it may be replaced in between, the admin process among them. So nobody
 * waits for an answer: the report can be asked for, and is written to a file with each
 * line (DIR/replacement), where our successor finds it.
 */
#include "master/roll.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "master/killpoint.h"
#include "master/master.h"
#include "master/notes.h"

#define FILE_NAME "replacement"

enum {
    LOOK_MS = 10,
    PATIENCE_MS = 60 * 1000, /* with one process */
    ROLL_MASTER = 0xffff,
    REPORT_MAX = 256 * 1024
};

static const enum proc_role order[] = { PROC_HOLDER, PROC_KEEPER, PROC_WORKER,
    PROC_ROUTER, PROC_AUTH, PROC_SQL, PROC_ADMIN };

static const char *const state_names[] = { "none", "under way", "done", "failed" };

const char *
roll_state_name(enum roll_state state)
{
    return state_names[state];
}

/* The first line is the state; if that cannot be written, only a successor misses it.
 */
static void
save(struct master *m)
{
    struct roll *r = &m->roll;
    struct buf text = { 0 };

    buf_addf(&text, "%s\n", roll_state_name(r->state));
    buf_add_str(&text, buf_str(&r->report));
    notes_write(FILE_NAME, buf_str(&text), false);
    buf_fini(&text);
}

/* time, process, pid before, pid now, milliseconds, result */
static void
report(struct master *m, const char *name, int32_t before, int32_t now,
        uint64_t took_ms, const char *result)
{
    buf_addf(&m->roll.report, "%llu\t%s\t%d\t%d\t%llu\t%s\n",
            (unsigned long long)clock_wall_us(), name, before, now,
            (unsigned long long)took_ms, result);
}

static void
end(struct master *m, enum roll_state state)
{
    struct roll *r = &m->roll;

    r->state = state;
    loop_timer_cancel(m->loop, &r->timer);
    mem_free(&r->queue);
    save(m);
    if (state == ROLL_DONE)
        log_notice(NULL, "the planned restart is done");
}

static struct child *
current(struct master *m)
{
    unsigned place = m->roll.queue[m->roll.at];

    return place == ROLL_MASTER ? NULL : &m->child[place];
}

static void
fail(struct master *m, const char *why)
{
    struct roll *r = &m->roll;
    struct child *c = current(m);

    log_error(NULL, "the planned restart ends before %s was replaced: %s",
            c ? c->name : "the master", why);
    report(m, c ? c->name : "master", r->pid, c ? (int32_t)c->pid : (int32_t)getpid(),
            clock_ms() - r->turn_ms, why);
    end(m, ROLL_FAILED);
}

static bool
is_calm(const struct master *m)
{
    for (unsigned i = 0; i < m->n_children; i++) {
        const struct child *c = &m->child[i];

        if (c->state != CHILD_READY || (c->role == PROC_HOLDER && !c->holds))
            return false;
    }
    return !m->reload.under_way && m->state == MASTER_SERVING;
}

static void
begin_turn(struct master *m)
{
    struct roll *r = &m->roll;
    struct child *c = current(m);

    r->turn_ms = clock_ms();
    if (!c) {
        r->pid = (int32_t)getpid();
        r->wait = ROLL_WAIT_MASTER;
        return;
    }
    r->pid = (int32_t)c->pid;
    r->starts = c->starts;
    r->wait = ROLL_WAIT_ENDED;
    log_notice(NULL, "%s (pid %d) is replaced as planned", c->name, (int)c->pid);
    child_replace(c);
    killpoint("roll:turn");
}

static void
end_turn(struct master *m)
{
    struct roll *r = &m->roll;
    struct child *c = current(m);
    uint32_t more = c->starts - r->starts - 1;

    report(m, c->name, r->pid, (int32_t)c->pid, clock_ms() - r->turn_ms,
            more ? "ready, not at the first start" : "ready");
    r->at++;
    r->turn_ms = clock_ms();
    r->wait = ROLL_WAIT_CALM;
    if (r->at == r->n)
        end(m, ROLL_DONE);
    else
        save(m);
}

/* Our own turn: what was posted must be sent, and the holders must know everything. */
static void
go(struct master *m)
{
    if (!holders_settled(m) || post_backlog(m->post) > 0)
        return;
    log_notice(NULL, "the master executes its program once more");
    save(m);
    killpoint("roll:master");
    m->replace = true;
    loop_stop(m->loop);
}

static void
on_look(struct loop_timer *timer)
{
    struct master *m = container_of(timer, struct master, roll.timer);
    struct roll *r = &m->roll;
    struct child *c = current(m);

    loop_timer_set(m->loop, timer, LOOK_MS);
    if (clock_ms() - r->turn_ms >= PATIENCE_MS) {
        fail(m, r->wait == ROLL_WAIT_CALM ? "others are not ready"
                                          : "not ready in time");
        return;
    }
    switch (r->wait) {
    case ROLL_WAIT_CALM:
        if (is_calm(m))
            begin_turn(m);
        break;
    case ROLL_WAIT_ENDED:
        if (c->starts > r->starts)
            r->wait = ROLL_WAIT_READY;
        break;
    case ROLL_WAIT_READY:
        if (is_calm(m))
            end_turn(m);
        break;
    case ROLL_WAIT_MASTER:
        go(m);
        break;
    }
}

static void
queue_fill(struct master *m, unsigned role, uint64_t slot)
{
    struct roll *r = &m->roll;

    r->n = r->at = 0;
    mem_free(&r->queue);
    r->queue = mem_zalloc((m->n_children + 1) * sizeof *r->queue);
    for (size_t k = 0; k < ARRAY_LEN(order); k++) {
        for (unsigned i = 0; i < m->n_children; i++) {
            const struct child *c = &m->child[i];

            if (c->role == order[k] && (role == PROC_ROLES || role == c->role) &&
                    (slot == UINT64_MAX || slot == c->slot))
                r->queue[r->n++] = i;
        }
    }
    if (role == PROC_ROLES ||
            (role == PROC_MASTER && (slot == UINT64_MAX || slot == 0)))
        r->queue[r->n++] = ROLL_MASTER;
}

int
roll_begin(struct master *m, unsigned role, uint64_t slot)
{
    struct roll *r = &m->roll;

    if (r->state == ROLL_UNDER_WAY)
        return -EBUSY;
    queue_fill(m, role, slot);
    if (r->n == 0)
        return -ENOENT;
    buf_reset(&r->report, REPORT_MAX);
    r->state = ROLL_UNDER_WAY;
    r->wait = ROLL_WAIT_CALM;
    r->turn_ms = r->since_ms = clock_ms();
    r->pid = 0;
    r->timer.fn = on_look;
    log_notice(NULL, "planned restart of %u processes, one after the other", r->n);
    save(m);
    loop_timer_set(m->loop, &r->timer, 0);
    return 0;
}

void
roll_abort(struct master *m, const char *why)
{
    if (m->roll.state == ROLL_UNDER_WAY)
        fail(m, why);
}

void
roll_fini(struct master *m)
{
    mem_free(&m->roll.queue);
    buf_fini(&m->roll.report);
}

void
roll_load(struct master *m)
{
    struct roll *r = &m->roll;
    struct buf text = { 0 };
    struct str rest, first;

    if (notes_read(FILE_NAME, REPORT_MAX, &text) < 0)
        return;
    rest = buf_str(&text);
    if (str_cut(&rest, '\n', &first)) {
        for (size_t i = 0; i < ARRAY_LEN(state_names); i++) {
            if (str_eq_c(first, state_names[i]))
                r->state = (enum roll_state)i;
        }
        if (rest.n > 0)
            buf_add_str(&r->report, rest);
    }
    buf_fini(&text);
    r->since_ms = clock_ms();
    if (r->state == ROLL_UNDER_WAY && !m->opt->replaced) {
        r->state = ROLL_FAILED;
        report(m, "master", 0, (int32_t)getpid(), 0,
                "the master before ended meanwhile");
        save(m);
    }
}

void
roll_on_serving(struct master *m)
{
    struct roll *r = &m->roll;

    if (r->state != ROLL_UNDER_WAY || r->queue)
        return;
    report(m, "master", (int32_t)getpid(), (int32_t)getpid(), clock_ms() - r->since_ms,
            "ready");
    end(m, ROLL_DONE);
}
