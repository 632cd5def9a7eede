#ifndef ADMIN_REQUEST_H
#define ADMIN_REQUEST_H

#include "admin/command.h"
#include "admin/control.h"
#include "admin/result.h"
#include "base/arena.h"
#include "base/list.h"
#include "proc/proc.h"
#include "router/route.h"

struct admin;

/*
 * One command under way. A handler (cmd_NAME) writes its result at once, or asks other
 * processes (admin/call.h) and goes on in their answers; the request lives until its
 * client has gone, whatever happens first.
 *
 * A handler with a long answer writes a part of it and sets `more`: called again each
 * time the client has taken what was there, until the result is ended.
 */
struct request {
    struct admin *admin;
    struct proc *p;
    const struct command *command;
    struct arena arena;               /* as long as the request */
    struct str arg[COMMAND_ARGS_MAX]; /* terminated; p == NULL: left out */
    unsigned api_version;
    uint32_t timeout_ms;
    struct result result;
    void (*more)(struct request *rq);
    void *state;                      /* the handler's, in the arena */
    struct list calls, sql_questions; /* without an answer; call.c */
};

typedef void (*command_fn)(struct request *rq);
command_fn command_handler(enum command_id id); /* NULL: a command of the client */

/* The name that this node goes by, as ejabberd's: stanzad@host. */
const char *admin_node(const struct admin *admin);

/* The routes as this process has mapped them; NULL: it has not. */
const struct route_table *admin_routes(const struct admin *admin);

/*
 * Prepared forms of arguments. request_host: NULL when the host is not ours, and then
 * the error "Unknown virtual host" in ejabberd's quotes is the result. request_user:
 * false when it cannot be a local part; nothing is written.
 */
const struct conf_host *request_host(struct request *rq, struct str text);
bool request_user(struct request *rq, struct str text, struct str *ret_user);

/* user@host out of two arguments, prepared; false: the result is the error. */
bool request_bare(
        struct request *rq, struct str user, struct str host, struct str *ret_bare);

#define COMMAND(name, where, args, result, since, tags, sentence) \
    COMMAND_DECLARE_##where(name)
#define COMMAND_DECLARE_SERVER(name) void cmd_##name(struct request *rq);
#define COMMAND_DECLARE_CLIENT(name)
#include "admin/commands.def"
#undef COMMAND
#undef COMMAND_DECLARE_SERVER
#undef COMMAND_DECLARE_CLIENT

#endif
