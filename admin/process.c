/*
 * process.c -- the admin process: what it is given, whom it hears
 */
#include "admin/process.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "admin/admin.h"
#include "admin/call.h"
#include "base/mem.h"
#include "base/rand.h"
#include "sql/client.h"
#include "xml/parser.h"
#include "xmpp/ns.h"

enum {
    STOP_MS = 2000
}; /* for the answers that are on their way */

static struct admin admin_state;

static const command_fn handlers_of_commands[COMMANDS] = {
#define COMMAND(name, where, args, result, since, tags, sentence) \
    [COMMAND_##name##_##since] = HANDLER_##where(name),
#define HANDLER_SERVER(name) cmd_##name
#define HANDLER_CLIENT(name) NULL
#include "admin/commands.def"
#undef COMMAND
#undef HANDLER_SERVER
#undef HANDLER_CLIENT
};

command_fn
command_handler(enum command_id id)
{
    return handlers_of_commands[id];
}

const char *
admin_node(const struct admin *admin)
{
    return admin->node;
}

const struct route_table *
admin_routes(const struct admin *admin)
{
    return admin->has_routes ? &admin->routes : NULL;
}

static int
admin_prepare(struct proc *p)
{
    struct admin *a = &admin_state;
    char host[256] = "localhost";

    if (gethostname(host, sizeof host) == 0)
        host[sizeof host - 1] = '\0';
    snprintf(a->node, sizeof a->node, "stanzad@%s", host);
    a->p = p;
    a->next_call_id = rand_u64();
    list_init(&a->calls);
    a->sql = sql_client_new(p->loop, p->post);
    a->xml = xml_pool_new("stream:stream", NS_STREAMS, NS_CLIENT);
    p->self = a;
    return 0;
}

static int
admin_start(struct proc *p)
{
    struct admin *a = p->self;
    int r = -ENOTCONN;

    a->has_routes = p->routes.base && route_open(&a->routes, &p->routes) == 0;
    a->clients.listen_io.fd = -1;
    for (unsigned i = 0; i < p->n_listeners && r < 0; i++)
        if (p->listener[i].index == 0)
            r = clients_start(&a->clients, a, p, take_fd(&p->listener[i].fd));
    if (r < 0) {
        log_critical(NULL, "cannot serve the control socket: %s", strerror(-r));
        return r;
    }
    proc_ready(p);
    return 0;
}

static void
stop_complete(void *arg)
{
    struct admin *a = arg;

    loop_timer_cancel(a->p->loop, &a->stop_timer);
    proc_stopped(a->p, 0);
}

static void
on_stop_timer(struct loop_timer *timer)
{
    stop_complete(container_of(timer, struct admin, stop_timer));
}

static void
admin_stop(struct proc *p)
{
    struct admin *a = p->self;

    a->stop_timer.fn = on_stop_timer;
    loop_timer_set(p->loop, &a->stop_timer, STOP_MS);
    clients_end(&a->clients, stop_complete, a);
}

static void
admin_adopted(struct proc *p)
{
    struct admin *a = p->self;

    if (a)
        call_on_successor(a, ipc_addr_of(PROC_MASTER, 0));
}

static void
admin_finish(struct proc *p)
{
    struct admin *a = p->self;

    if (!a)
        return;
    clients_fini(&a->clients);
    sql_client_free(&a->sql);
    xml_pool_free(&a->xml);
}

static void
on_reply(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct proc *p = ctx;

    (void)fd;
    call_on_reply(p->self, from, msg);
}

static void
on_sql_reply(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct proc *p = ctx;

    (void)fd;
    sql_client_on_reply(((struct admin *)p->self)->sql, from, msg);
}

static void
on_sql_restarted(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct proc *p = ctx;

    (void)msg, (void)fd;
    sql_client_on_restarted(((struct admin *)p->self)->sql, from);
}

static const ipc_handler_fn handlers[IPC_TYPES] = {
    [IPC_MASTER_REPLY] = on_reply,
    [IPC_ACCOUNT_REPLY] = on_reply,
    [IPC_PROC_REPLY] = on_reply,
    [IPC_SQL_REPLY] = on_sql_reply,
    [IPC_SQL_RESTARTED] = on_sql_restarted,
};

const struct proc_role_ops admin_ops = {
    .role = PROC_ADMIN,
    .prepare = admin_prepare,
    .start = admin_start,
    .adopted = admin_adopted,
    .stop = admin_stop,
    .finish = admin_finish,
    .handlers = handlers,
};
