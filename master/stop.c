/*
 * stop.c -- the end of the service, from the clients inwards
 *
 * Workers take leave of their clients while the others still answer; the keepers are
 * last but for the holders, because they hold the sockets. The next role is told when
 * nobody of the one before is left.
 */
#include "master/master.h"

#include <string.h>

#include "base/clock.h"
#include "base/killpoint.h"

enum {
    INSIST_MS = 1000 /* two signals within this are one request */
};

/* Who ends when, and how long they may take. */
static const struct {
    enum proc_role role;
    uint64_t grace_ms;
} stop_order[] = {
    { PROC_WORKER, 30 * 1000 }, /* sessions are written to the disk */
    { PROC_ADMIN, 5 * 1000 },
    { PROC_AUTH, 5 * 1000 },
    { PROC_ROUTER, 5 * 1000 },
    { PROC_SQL, 20 * 1000 },
    { PROC_KEEPER, 5 * 1000 },
    { PROC_HOLDER, 5 * 1000 },
};

static bool
phase_is_over(const struct master *m)
{
    for (unsigned i = 0; i < m->n_children; i++) {
        if (m->child[i].role == stop_order[m->stop_phase].role &&
                m->child[i].state != CHILD_DOWN)
            return false;
    }
    return true;
}

static void
phase_begin(struct master *m)
{
    for (unsigned i = 0; i < m->n_children; i++) {
        if (m->child[i].role == stop_order[m->stop_phase].role)
            child_stop_for_good(&m->child[i], stop_order[m->stop_phase].grace_ms);
    }
}

/* The next roles in turn, past those of which nobody is left. */
static void
stop_go_on(struct master *m)
{
    while (m->stop_phase < ARRAY_LEN(stop_order) && phase_is_over(m)) {
        if (++m->stop_phase < ARRAY_LEN(stop_order))
            phase_begin(m);
    }
    if (m->stop_phase == ARRAY_LEN(stop_order)) {
        m->stay = false;
        loop_stop(m->loop);
    }
}

void
master_child_ended(struct child *c)
{
    if (c->master->state == MASTER_STOPPING)
        stop_go_on(c->master);
}

void
master_stop(struct master *m, bool restart)
{
    if (m->state == MASTER_STOPPING)
        return;
    log_notice(NULL, restart ? "restarting" : "stopping");
    master_enter(m, MASTER_STOPPING);
    roll_abort(m, "the service stops");
    m->restart = restart;
    m->status->ready = 0;
    daemon_notify(restart ? "RELOADING=1" : "STOPPING=1");
    holders_abandon(m);
    killpoint(STOP_ABANDONED);
    loop_timer_cancel(m->loop, &m->start_timer);
    loop_timer_cancel(m->loop, &m->holders_timer);
    for (unsigned i = 0; i < m->n_children; i++)
        loop_timer_cancel(m->loop, &m->child[i].timer); /* no further starts */
    m->stop_phase = 0;
    phase_begin(m);
    stop_go_on(m);
}

void
stop_on_signal(void *arg, int signo)
{
    struct master *m = arg;

    if (m->state != MASTER_STOPPING) {
        log_notice(NULL, "signal %d (%s)", signo, strsignal(signo));
        master_stop(m, false);
        return;
    }
    if (clock_ms() - m->state_since_ms < INSIST_MS)
        return;
    log_warning(NULL, "asked again to end: killing what is left");
    m->insisted = true;
    for (unsigned i = 0; i < m->n_children; i++)
        child_kill(&m->child[i]);
}
