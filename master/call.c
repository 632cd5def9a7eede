/*
 * call.c -- what the admin process asks of the master, by calls.def
 *
 * The admin process talks to people, so what comes from it is checked like anything
 * else that comes from outside. Only an upgrade takes a path: program.c says of what.
 */
#include "master/master.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/killpoint.h"
#include "base/mem.h"
#include "master/usage.h"

enum {
    ARGS_MAX = 2
};

struct call {
    struct master *m;
    uint64_t id;
    struct str arg[ARGS_MAX];
    unsigned n_args;
};

void
call_reply(struct master *m, uint64_t id, enum ipc_status status, struct str text)
{
    struct child *admin = master_child(m, PROC_ADMIN, 0);
    struct ipc_reply reply = { .id = id, .status = (uint8_t)status, .text = text };

    if (post_has_peer(m->post, admin->addr))
        post_send(m->post, admin->addr, IPC_MASTER_REPLY, &reply);
}

static void
reply_list(const struct call *call, const struct buf *list)
{
    struct ipc_reply reply = { .id = call->id, .results = ipc_list_of(list) };

    post_send(call->m->post, ipc_addr_of(PROC_ADMIN, 0), IPC_MASTER_REPLY, &reply);
}

static void
list_addf(struct buf *list, struct buf *item)
{
    ipc_list_add(list, buf_str(item));
    buf_reset(item, 4096);
}

static void
call_status(const struct call *call)
{
    const struct master *m = call->m;
    struct buf list = { 0 }, item = { 0 };

    ipc_list_add(&list, m->state == MASTER_STOPPING ? STR("stopping")
                        : master_all_ready(m)       ? STR("ready")
                                                    : STR("starting"));
    buf_addf(&item, "%llu",
            (unsigned long long)((clock_ms() - m->state_since_ms) / 1000));
    list_addf(&list, &item);
    ipc_list_add(&list, STR(STANZAD_VERSION));
    buf_addf(&item, "%ld", (long)getpid());
    list_addf(&list, &item);
    for (unsigned i = 0; i < m->n_children; i++) {
        if (m->child[i].state != CHILD_READY)
            ipc_list_add(&list, str_from(m->child[i].name));
    }
    reply_list(call, &list);
    buf_fini(&list);
    buf_fini(&item);
}

static void
add_process(struct buf *list, const struct status_page *page, bool ready)
{
    struct usage use = { 0 };
    struct buf item = { 0 };
    uint64_t up_ms = page->pid ? clock_ms() - page->started_ms : 0;

    if (page->pid)
        use = usage_of(page->pid);
    buf_addf(&item,
            "pid=%d\trole=%s\tslot=%u\tuptime=%llu\trestarts=%u\tconnections=%llu"
            "\tcpu_ms=%llu\tmemory_kib=%llu\tready=%d",
            page->pid, proc_role_name(ipc_addr_role(page->addr)),
            ipc_addr_slot(page->addr), (unsigned long long)(up_ms / 1000), page->starts,
            (unsigned long long)page->counter[COUNTER_CONNECTIONS],
            (unsigned long long)use.cpu_ms, (unsigned long long)use.memory_kib, ready);
    ipc_list_add(list, buf_str(&item));
    buf_fini(&item);
}

static void
call_processes(const struct call *call)
{
    const struct master *m = call->m;
    struct buf list = { 0 };

    add_process(&list, m->status, true);
    for (unsigned i = 0; i < m->n_children; i++)
        add_process(&list, m->child[i].status, m->child[i].state == CHILD_READY);
    reply_list(call, &list);
    buf_fini(&list);
}

static void
call_stop(const struct call *call)
{
    call_reply(call->m, call->id, IPC_OK, STR_NULL);
    master_stop(call->m, false);
}

static void
call_restart(const struct call *call)
{
    call_reply(call->m, call->id, IPC_OK, STR_NULL);
    master_stop(call->m, true);
}

static void
call_restart_process(const struct call *call)
{
    uint64_t slot = 0;

    if (call->n_args > 1 && str_to_u64(call->arg[1], &slot) < 0) {
        call_reply(call->m, call->id, IPC_INVALID, STR("the slot must be a number"));
        return;
    }
    for (unsigned i = 0; i < call->m->n_children; i++) {
        struct child *c = &call->m->child[i];

        if (!str_eq_c(call->arg[0], proc_role_name(c->role)) || c->slot != slot)
            continue;
        if (call->m->state == MASTER_STOPPING) {
            call_reply(
                    call->m, call->id, IPC_UNAVAILABLE, STR("the service is stopping"));
            return;
        }
        log_notice(NULL, "%s is restarted on request", c->name);
        call_reply(call->m, call->id, IPC_OK, STR_NULL);
        child_replace(c);
        return;
    }
    call_reply(call->m, call->id, IPC_NOT_FOUND, STR("there is no such process"));
}

static void
call_replace(const struct call *call)
{
    struct master *m = call->m;
    uint64_t slot = UINT64_MAX;
    unsigned role = 0;
    int r = -ENOENT;

    if (call->n_args > 1 && str_to_u64(call->arg[1], &slot) < 0) {
        call_reply(m, call->id, IPC_INVALID, STR("the slot must be a number"));
        return;
    }
    if (m->state == MASTER_STOPPING) {
        call_reply(m, call->id, IPC_UNAVAILABLE, STR("the service is stopping"));
        return;
    }
    while (role < PROC_ROLES &&
            !str_eq_c(call->arg[0], proc_role_name((enum proc_role)role)))
        role++;
    if (role < PROC_ROLES || (str_eq_c(call->arg[0], "all") && call->n_args == 1))
        r = roll_begin(m, role, slot);
    if (r == 0)
        call_reply(m, call->id, IPC_OK, STR_NULL);
    else
        call_reply(m, call->id, r == -EBUSY ? IPC_CONFLICT : IPC_NOT_FOUND,
                r == -EBUSY ? STR("another planned restart is under way")
                            : STR("there is no such process"));
}

static void
call_upgrade(const struct call *call)
{
    struct master *m = call->m;
    struct buf error = { 0 };
    char *path = str_heap_c(call->n_args > 0 ? call->arg[0] : STR(""));
    int r;

    if (*path && *path != '/')
        call_reply(m, call->id, IPC_INVALID, STR("the path must begin with /"));
    else if (m->state == MASTER_STOPPING)
        call_reply(m, call->id, IPC_UNAVAILABLE, STR("the service is stopping"));
    else if ((r = roll_upgrade(m, path, &error)) == 0)
        call_reply(m, call->id, IPC_OK, STR_NULL);
    else if (r == -EBUSY)
        call_reply(
                m, call->id, IPC_CONFLICT, STR("another planned restart is under way"));
    else
        call_reply(m, call->id, IPC_INVALID, buf_str(&error));
    buf_fini(&error);
    mem_free_p(path);
}

static void
call_progress(const struct call *call)
{
    const struct roll *r = &call->m->roll;
    struct str rest = buf_str(&r->report), line;
    struct buf list = { 0 };

    ipc_list_add(&list, str_from(roll_state_name(r->state)));
    while (rest.n > 0 && str_cut(&rest, '\n', &line))
        ipc_list_add(&list, line);
    reply_list(call, &list);
    buf_fini(&list);
}

static void
call_crashes(const struct call *call)
{
    struct str rest = buf_str(&call->m->deaths.lines), line;
    struct buf list = { 0 };

    while (rest.n > 0 && str_cut(&rest, '\n', &line))
        ipc_list_add(&list, line);
    reply_list(call, &list);
    buf_fini(&list);
}

static void
call_reload_config(const struct call *call)
{
    reload_begin(call->m, call->id);
}

static void
call_reopen_log(const struct call *call)
{
    int r = logfile_reopen(&call->m->log);

    if (r == 0)
        master_log_changed(call->m);
    call_reply(call->m, call->id, r == 0 ? IPC_OK : IPC_FAILED,
            r == 0 ? STR_NULL : str_from(strerror(-r)));
}

static void
call_set_loglevel(const struct call *call)
{
    struct master *m = call->m;
    enum log_level level;
    struct ipc_u64 msg;

    if (log_level_from(call->arg[0], &level) < 0) {
        call_reply(m, call->id, IPC_INVALID, STR("there is no such level"));
        return;
    }
    log_set_level(level);
    msg = (struct ipc_u64){ .value = level };
    for (unsigned i = 0; i < m->n_children; i++) {
        if (post_has_peer(m->post, m->child[i].addr))
            post_send(m->post, m->child[i].addr, IPC_LOG_LEVEL, &msg);
    }
    call_reply(m, call->id, IPC_OK, STR_NULL);
}

static void
call_get_loglevel(const struct call *call)
{
    call_reply(call->m, call->id, IPC_OK, str_from(log_level_name(log_get_level())));
}

static const struct {
    const char *name;
    unsigned least, most;
    void (*fn)(const struct call *call);
} calls[] = {
#define CALL(name, least, most) { #name, least, most, call_##name },
#include "master/calls.def"
#undef CALL
};

void
call_on_master_call(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct child *c = ctx;
    const struct ipc_call *m = msg;
    struct call call = { .m = c->master, .id = m->id };
    struct ipc_list args = m->args;

    (void)from, (void)fd;
    if (c->state == CHILD_ASKED) { /* of the master before, who knows how long ago */
        call_reply(call.m, m->id, IPC_UNAVAILABLE,
                STR("the master was replaced meanwhile; ask again"));
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        if (!str_eq_c(m->name, calls[i].name))
            continue;
        if (m->args.n < calls[i].least || m->args.n > calls[i].most) {
            call_reply(call.m, m->id, IPC_INVALID, STR("wrong number of arguments"));
            return;
        }
        while (call.n_args < ARGS_MAX && ipc_list_next(&args, &call.arg[call.n_args]))
            call.n_args++;
        killpoint(MASTER_CALLED);
        calls[i].fn(&call);
        return;
    }
    call_reply(call.m, m->id, IPC_INVALID, STR("the master does not know that call"));
}
