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
#include "base/killpoint.h"
#include "base/mem.h"
#include "master/master.h"
#include "master/notes.h"

#define FILE_NAME "replacement"

enum {
    LOOK_MS = 10,
    PATIENCE_MS = 60 * 1000,         /* with one process */
    UPGRADE_PATIENCE_MS = 20 * 1000, /* with one of a new program */
    PROOF_MS = 5 * 1000,             /* so long the first one must live */
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
    if (state == ROLL_DONE && r->target)
        log_notice(NULL, "the upgrade is done: all run %s", r->target->path);
    else if (state == ROLL_DONE)
        log_notice(NULL, "the planned restart is done");
    r->target = NULL;
    r->is_back = false;
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

/*
 * Those who were given the new program get the old one again, the last one first: it is
 * the one that failed.
 */
static void
go_back(struct master *m, const char *why)
{
    struct roll *r = &m->roll;
    struct child *c = current(m);
    unsigned n = 0;

    log_error(NULL, "going back to %s: %s with %s: %s", m->program->path,
            c ? c->name : "the master", r->target->path, why);
    report(m, c ? c->name : "master", r->pid, c ? (int32_t)c->pid : (int32_t)getpid(),
            clock_ms() - r->turn_ms, why);
    r->target = m->program;
    r->is_back = true;
    for (unsigned i = m->n_children; i > 0; i--) {
        if (m->child[i - 1].program != m->program && &m->child[i - 1] != c)
            r->queue[++n] = i - 1;
    }
    r->queue[0] = c ? (unsigned)(c - m->child) : r->queue[n--];
    r->n = n + 1;
    r->at = 0;
    r->wait = ROLL_WAIT_CALM;
    r->turn_ms = clock_ms();
    save(m);
}

/* It cannot be waited for any longer, or has died in its turn. */
static void
give_up(struct master *m, const char *why)
{
    if (m->roll.target && !m->roll.is_back && current(m) &&
            m->roll.wait != ROLL_WAIT_CALM)
        go_back(m, why);
    else
        fail(m, why);
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
    if (r->target && c->program != r->target) {
        c->program = r->target;
        holders_hold(c, ESTATE_PROGRAM, r->target->layout, r->target->fd);
    }
    log_notice(NULL, "%s (pid %d) is replaced as planned", c->name, (int)c->pid);
    child_replace(c);
    killpoint(ROLL_TURN);
}

static void
end_turn(struct master *m)
{
    struct roll *r = &m->roll;
    struct child *c = current(m);
    uint32_t more = c->starts - r->starts - 1;

    report(m, c->name, r->pid, (int32_t)c->pid, clock_ms() - r->turn_ms,
            r->is_back ? "ready, back to the program from before"
            : more     ? "ready, not at the first start"
                       : "ready");
    r->at++;
    r->turn_ms = clock_ms();
    r->wait = ROLL_WAIT_CALM;
    if (r->at == r->n)
        end(m, r->is_back ? ROLL_FAILED : ROLL_DONE);
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
    m->program_next = m->roll.target ? m->roll.target : m->program;
    killpoint(ROLL_MASTER);
    m->replace = true;
    loop_stop(m->loop);
}

/* Has it died again since it was replaced? A new program must not do that. */
static bool
has_failed(const struct master *m, const struct child *c)
{
    const struct roll *r = &m->roll;

    return r->target && !r->is_back &&
           (c->starts > r->starts + 1 ||
                   (c->starts > r->starts && c->state == CHILD_DOWN));
}

/* Only the first one: what can be learnt of a program is learnt from it. */
static void
on_ready(struct master *m)
{
    struct roll *r = &m->roll;

    r->ready_ms = clock_ms();
    if (r->target && !r->is_back && r->at == 0)
        r->wait = ROLL_WAIT_PROOF;
    else
        end_turn(m);
}

static void
on_look(struct loop_timer *timer)
{
    struct master *m = container_of(timer, struct master, roll.timer);
    struct roll *r = &m->roll;
    struct child *c = current(m);
    uint64_t patience_ms = r->target && !r->is_back ? UPGRADE_PATIENCE_MS : PATIENCE_MS;

    loop_timer_set(m->loop, timer, LOOK_MS);
    if (clock_ms() - r->turn_ms >= patience_ms) {
        give_up(m, r->wait == ROLL_WAIT_CALM ? "others are not ready"
                                             : "not ready in time");
        return;
    }
    switch (r->wait) {
    case ROLL_WAIT_CHECK:
        break;
    case ROLL_WAIT_CALM:
        if (is_calm(m) || (r->is_back && r->at == 0))
            begin_turn(m);
        break;
    case ROLL_WAIT_ENDED:
        if (c->starts > r->starts)
            r->wait = ROLL_WAIT_READY;
        break;
    case ROLL_WAIT_READY:
        if (has_failed(m, c))
            give_up(m, "died before it was ready");
        else if (is_calm(m))
            on_ready(m);
        break;
    case ROLL_WAIT_PROOF:
        if (has_failed(m, c))
            give_up(m, "died soon after its start");
        else if (clock_ms() - r->ready_ms >= PROOF_MS)
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

/* What stood there before is the last one's. */
static void
begin(struct master *m, struct program *target, enum roll_wait wait)
{
    struct roll *r = &m->roll;

    buf_reset(&r->report, REPORT_MAX);
    r->state = ROLL_UNDER_WAY;
    r->wait = wait;
    r->turn_ms = r->since_ms = clock_ms();
    r->pid = 0;
    r->target = target;
    r->is_back = false;
    r->timer.fn = on_look;
    save(m);
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
    begin(m, NULL, ROLL_WAIT_CALM);
    log_notice(NULL, "planned restart of %u processes, one after the other", r->n);
    loop_timer_set(m->loop, &r->timer, 0);
    return 0;
}

/* --- With another program --- */

/* A worker is the first: it has the most to do, and its clients can go back. */
static void
queue_worker_first(struct roll *r, const struct master *m)
{
    unsigned at = 0, first;

    while (m->child[r->queue[at]].role != PROC_WORKER)
        at++;
    first = r->queue[at];
    memmove(&r->queue[1], &r->queue[0], at * sizeof *r->queue);
    r->queue[0] = first;
}

static void
refuse(struct master *m, const char *why)
{
    struct roll *r = &m->roll;

    log_error(NULL, "no upgrade to %s: %s", r->target->path, why);
    report(m, "program", 0, 0, clock_ms() - r->turn_ms, why);
    end(m, ROLL_FAILED);
}

static void
on_checked(struct program_check *check, int r, struct str what)
{
    struct master *m = check->m;
    struct program *p = check->program;
    struct buf text = { 0 };

    if (r == -ENOEXEC)
        buf_addf(&text, "%s is not stanzad, or cannot be executed here", p->path);
    else if (r == -ETIMEDOUT)
        buf_addf(&text, "%s does not say what it is", p->path);
    else if (r < 0)
        buf_addf(&text, "it does not accept the configuration: %.*s",
                (int)(what.n < 500 ? what.n : 500), what.p);
    else if (p->frames != m->program->frames)
        buf_addf(&text,
                "stanzad %s does not understand the processes of this one; `stanzactl "
                "restart` starts it, and ends all connections",
                p->version);
    for (size_t i = 0; i < text.n; i++) {
        if ((unsigned char)text.p[i] < ' ')
            text.p[i] = ' ';
    }
    if (text.n > 0) {
        refuse(m, buf_c(&text));
        buf_fini(&text);
        return;
    }
    buf_addf(&text, "%s: stanzad %s, layout %u, accepts the configuration", p->path,
            p->version, p->layout);
    report(m, "program", 0, 0, clock_ms() - m->roll.turn_ms, buf_c(&text));
    log_notice(NULL, "upgrade to %s", buf_c(&text));
    buf_fini(&text);
    m->roll.wait = ROLL_WAIT_CALM;
    m->roll.turn_ms = clock_ms();
    save(m);
    loop_timer_set(m->loop, &m->roll.timer, 0);
}

int
roll_upgrade(struct master *m, const char *path, struct buf *error)
{
    struct roll *r = &m->roll;
    struct program *p;
    struct str own = str_from(m->exe);
    char *installed;
    int result;

    if (r->state == ROLL_UNDER_WAY)
        return -EBUSY;
    if (str_ends(own, STR(" (deleted)"))) /* the system's word for it */
        own.n -= sizeof " (deleted)" - 1;
    installed = str_heap_c(*path ? str_from(path) : own);
    result = program_open(m, installed, &p, error);
    mem_free_p(installed);
    if (result < 0)
        return result;
    queue_fill(m, PROC_ROLES, UINT64_MAX);
    queue_worker_first(r, m);
    begin(m, p, ROLL_WAIT_CHECK);
    r->check = (struct program_check){ .m = m, .program = p, .done = on_checked };
    result = program_check_begin(&r->check);
    if (result < 0)
        refuse(m, strerror(-result));
    return 0;
}

/* The new program could not go on as master: the others go back as well. */
static void
on_back_timer(struct loop_timer *timer)
{
    struct master *m = container_of(timer, struct master, roll.back_timer);
    struct roll *r = &m->roll;

    r->state = ROLL_UNDER_WAY;
    r->wait = ROLL_WAIT_CALM;
    r->turn_ms = clock_ms();
    r->target = m->program;
    r->timer.fn = on_look;
    report(m, "master", (int32_t)getpid(), (int32_t)getpid(), 0,
            "the new program could not go on as master; back to the one from before");
    r->queue = mem_zalloc((m->n_children + 1) * sizeof *r->queue);
    r->n = r->at = 0;
    r->is_back = true;
    for (unsigned i = m->n_children; i > 0; i--) {
        if (m->child[i - 1].program != m->program)
            r->queue[r->n++] = i - 1;
    }
    if (r->n == 0)
        end(m, ROLL_FAILED);
    else
        loop_timer_set(m->loop, &r->timer, 0);
}

void
roll_abort(struct master *m, const char *why)
{
    program_check_cancel(&m->roll.check);
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

    if (m->opt->back_fd >= 0)
        close(m->opt->back_fd); /* from here on we are the one */
    if (m->opt->is_back) {
        r->back_timer.fn = on_back_timer;
        loop_timer_set(m->loop, &r->back_timer, 0);
        return;
    }
    if (r->state != ROLL_UNDER_WAY || r->queue)
        return;
    report(m, "master", (int32_t)getpid(), (int32_t)getpid(), clock_ms() - r->since_ms,
            "ready");
    end(m, ROLL_DONE);
}
