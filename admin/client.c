/*
 * client.c -- the control socket: one request of each stanzactl, answered in parts
 *
 * What a request produces is moved to its client at the end of every turn of the loop.
 * A long answer is produced a part at a time, as the client takes it. A client that
 * goes takes its request with it; what the request has asked others to do is done all
 * the same.
 *
 * When all places are taken, connections wait in the listening socket.
 */
#include "admin/client.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admin/admin.h"
#include "admin/call.h"
#include "admin/help.h"
#include "admin/json.h"
#include "base/killpoint.h"
#include "base/mem.h"
#include "ipc/peer.h"

enum {
    RETRY_MS = 200,
    TIMEOUT_MS_MAX = 24 * 3600 * 1000
};

struct client {
    struct list node;
    struct clients *of;
    struct loop_io io;
    struct loop_timer timer; /* the request is late, or the answer is not taken */
    struct buf in, out;
    uid_t uid;
    bool has_request, exit_sent;
    struct request request;
};

static void clients_accept(struct clients *cs);

/* Bytes that may hold a password. */
static void
wipe_and_free(struct buf *b)
{
    if (b->p)
        mem_wipe(b->p, b->size);
    buf_fini(b);
}

static void
request_fini(struct request *rq)
{
    call_cancel(rq);
    for (size_t i = 0; i < rq->command->n_args; i++)
        if (rq->command->arg[i].type == 'p' && rq->arg[i].n > 0)
            mem_wipe((char *)(uintptr_t)rq->arg[i].p, rq->arg[i].n); /* in our arena */
    result_fini(&rq->result);
    arena_fini(&rq->arena);
}

static void
client_close(struct client *c)
{
    struct clients *cs = c->of;

    if (c->has_request)
        request_fini(&c->request);
    loop_timer_cancel(cs->p->loop, &c->timer);
    loop_del(cs->p->loop, &c->io);
    close_fd(&c->io.fd);
    wipe_and_free(&c->in);
    buf_fini(&c->out);
    list_del(&c->node);
    mem_free_p(c);
    cs->n--;
    if (!cs->ending)
        clients_accept(cs);
}

/* Ends a conversation that did not come to a command. */
static void
client_refuse(struct client *c, bool json, int status, const char *text)
{
    struct buf line = { 0 };

    if (json) {
        buf_add_c(&line, "{\"status\": \"error\", \"code\": 40, \"message\": ");
        json_string(&line, str_from(text));
        buf_add_c(&line, "}\n");
    } else {
        buf_addf(&line, "Error: %s\n", text);
    }
    control_put(&c->out, CONTROL_OUT, buf_str(&line));
    control_put_exit(&c->out, status);
    c->exit_sent = true;
    buf_fini(&line);
}

static void
refuse_unknown(struct client *c, const struct control_request *m)
{
    struct buf text = { 0 };

    buf_addf(&text, "unknown command '%.*s'. Did you mean '%s'?", STR_ARG(m->arg[0]),
            command_nearest(m->arg[0]));
    client_refuse(c, m->json, EXIT_ERROR, buf_c(&text));
    buf_fini(&text);
}

static void
refuse_arguments(struct client *c, const struct control_request *m,
        const struct command *command, const char *error)
{
    struct buf help = { 0 };

    if (!m->json) {
        help_command(&help, command);
        buf_add_char(&help, '\n');
        control_put(&c->out, CONTROL_OUT, buf_str(&help));
        buf_fini(&help);
    }
    client_refuse(c, m->json, EXIT_USAGE, error);
}

/* Who asked for what: without passwords; what only looks is logged at debug. */
static void
request_log(const struct client *c, const struct request *rq)
{
    const struct command *command = rq->command;
    bool changes =
            (command->shape == SHAPE_RESCODE || command->shape == SHAPE_RESTUPLE ||
                    str_starts(str_from(command->name), STR("kick"))) &&
            !str_starts(str_from(command->name), STR("check_")) &&
            command->id != COMMAND_status_0;
    enum log_level level = changes ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG;
    struct buf line = { 0 };

    if (!log_wants(level))
        return;
    for (size_t i = 0; i < command->n_args && rq->arg[i].p; i++)
        if (command->arg[i].type == 'p' || command->arg[i].type == 'h')
            buf_add_c(&line, " ***");
        else
            buf_addf(&line, " %.*s", STR_ARG(rq->arg[i]));
    log_write(level, NULL, "user %u runs %s%s", (unsigned)c->uid, command->name,
            buf_c(&line));
    buf_fini(&line);
}

static void
request_start(struct client *c, const struct control_request *m)
{
    const struct command *command = command_find(m->arg[0], m->api_version);
    struct request *rq = &c->request;
    struct buf error = { 0 };

    if (!command || command->at_client) {
        refuse_unknown(c, m);
        return;
    }
    if (command_check(command, m->arg + 1, m->n_args - 1, &error) < 0) {
        refuse_arguments(c, m, command, buf_c(&error));
        buf_fini(&error);
        return;
    }
    *rq = (struct request){ .admin = c->of->admin,
        .p = c->of->p,
        .command = command,
        .api_version = m->api_version,
        .timeout_ms = m->timeout_ms < TIMEOUT_MS_MAX ? m->timeout_ms : TIMEOUT_MS_MAX };
    list_init(&rq->calls);
    list_init(&rq->sql_questions);
    arena_init(&rq->arena, 4096);
    for (size_t i = 1; i < m->n_args; i++)
        rq->arg[i - 1] = str_dup(&rq->arena, m->arg[i]);
    result_begin(&rq->result, command, m->json);
    c->has_request = true;
    request_log(c, rq);
    killpoint(ADMIN_ASKED);
    command_handler(command->id)(rq);
}

/* Moves what the request has produced to the client's frames. */
static void
client_collect(struct client *c)
{
    struct result *result = &c->request.result;

    if (!c->has_request || c->exit_sent)
        return;
    if (result->out.n > 0)
        control_put(&c->out, CONTROL_OUT, buf_str(&result->out));
    if (result->err.n > 0)
        control_put(&c->out, CONTROL_ERR, buf_str(&result->err));
    buf_reset(&result->out, CONTROL_PART);
    buf_reset(&result->err, CONTROL_PART);
    if (result->ended) {
        control_put_exit(&c->out, result->exit_status);
        c->exit_sent = true;
    }
}

/* 1: something was sent; 0: nothing, for now; -errno: the client has gone. */
static int
client_send(struct client *c)
{
    int sent = 0;

    while (c->out.n > 0) {
        ssize_t n = send(c->io.fd, c->out.p, c->out.n, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK ? sent : -errno;
        buf_drop(&c->out, (size_t)n);
        sent = 1;
    }
    buf_reset(&c->out, CONTROL_PART);
    return sent;
}

/* false: the client is closed. */
static bool
client_pump(struct client *c)
{
    struct loop *loop = c->of->p->loop;
    struct request *rq = &c->request;
    int r;

    client_collect(c);
    if (c->has_request && !c->exit_sent && rq->more && c->out.n < CLIENT_OUT_HIGH) {
        rq->more(rq);
        client_collect(c);
        if (rq->more && !c->exit_sent)
            loop_again(loop);
    }
    r = client_send(c);
    if (r < 0 || (c->exit_sent && c->out.n == 0)) {
        client_close(c);
        return false;
    }
    if (r > 0 || (c->out.n > 0 && c->timer.place == 0))
        loop_timer_set(loop, &c->timer, CLIENT_STALL_MS);
    if (c->has_request && c->out.n == 0)
        loop_timer_cancel(loop, &c->timer);
    return true;
}

static void
on_turn_end(void *arg)
{
    struct clients *cs = arg;

    list_for_safe(node, &cs->list) client_pump(list_entry(node, struct client, node));
    if (cs->ending && cs->n == 0 && cs->idle) {
        cs->idle(cs->idle_arg);
        cs->idle = NULL;
    }
}

static void
on_client_timer(struct loop_timer *timer)
{
    client_close(container_of(timer, struct client, timer));
}

/* The request is complete, or cannot be one. */
static void
client_parse(struct client *c)
{
    struct str bytes = buf_str(&c->in);
    struct control_frame frame;
    struct control_request request = { 0 };
    int r = control_take(&bytes, &frame);

    if (r == 1)
        r = frame.kind == CONTROL_REQUEST ? control_get_request(frame.body, &request)
                                          : -EBADMSG;
    else if (r == 0)
        return;
    loop_timer_cancel(c->of->p->loop, &c->timer);
    if (r < 0) {
        client_refuse(c, false, EXIT_ERROR,
                "the request was not understood: is this stanzactl of another "
                "version?");
    } else {
        request_start(c, &request);
    }
    wipe_and_free(&c->in);
}

static void
on_client(struct loop_io *io, unsigned events)
{
    struct client *c = container_of(io, struct client, io);
    ssize_t n;

    (void)events;
    for (;;) {
        char *to = buf_reserve(&c->in, 4096);

        n = recv(io->fd, to, 4096, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        if (!c->has_request && !c->exit_sent) {
            buf_added(&c->in, (size_t)n);
            client_parse(c); /* bytes after the request are not looked at */
        }
    }
    if (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK)) {
        client_close(c);
        return;
    }
    client_pump(c);
}

static void
client_new(struct clients *cs, int fd)
{
    struct client *c = mem_zalloc(sizeof *c);
    int r;

    c->of = cs;
    c->io = (struct loop_io){ .fn = on_client, .fd = fd };
    c->timer.fn = on_client_timer;
    list_add(&cs->list, &c->node);
    cs->n++;
    r = peer_uid(fd, &c->uid);
    if (r == 0)
        r = loop_add(cs->p->loop, &c->io);
    if (r < 0) {
        log_warning(
                NULL, "cannot serve a client of the control socket: %s", strerror(-r));
        client_close(c);
        return;
    }
    loop_timer_set(cs->p->loop, &c->timer, CLIENT_REQUEST_MS);
    if (c->uid != 0 && c->uid != geteuid()) {
        log_warning(NULL, "user %u may not use the control socket", (unsigned)c->uid);
        client_refuse(c, false, EXIT_WRONG_USER,
                "only root and the user that runs stanzad may use stanzactl");
    }
}

static void
clients_accept(struct clients *cs)
{
    while (cs->n < CLIENTS_MAX) {
        int fd = accept4(cs->listen_io.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            client_new(cs, fd);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            log_warning(
                    NULL, "cannot accept on the control socket: %s", strerror(errno));
            loop_timer_set(cs->p->loop, &cs->retry, RETRY_MS);
            return;
        }
    }
}

static void
on_listen(struct loop_io *io, unsigned events)
{
    (void)events;
    clients_accept(io->arg);
}

static void
on_retry(struct loop_timer *timer)
{
    clients_accept(container_of(timer, struct clients, retry));
}

int
clients_start(struct clients *cs, struct admin *admin, struct proc *p, int fd)
{
    int r;

    *cs = (struct clients){ .admin = admin, .p = p };
    list_init(&cs->list);
    cs->listen_io = (struct loop_io){ .fn = on_listen, .arg = cs, .fd = fd };
    cs->retry.fn = on_retry;
    cs->turn = (struct loop_turn){ .fn = on_turn_end, .arg = cs };
    loop_on_turn_end(p->loop, &cs->turn);
    r = loop_add(p->loop, &cs->listen_io);
    if (r == 0)
        clients_accept(cs); /* who came while nobody served */
    return r;
}

void
clients_end(struct clients *cs, void (*idle)(void *arg), void *arg)
{
    cs->ending = true;
    cs->idle = idle;
    cs->idle_arg = arg;
    if (cs->listen_io.fd >= 0)
        loop_del(cs->p->loop, &cs->listen_io);
    loop_timer_cancel(cs->p->loop, &cs->retry);
    list_for_safe(node, &cs->list)
    {
        struct client *c = list_entry(node, struct client, node);

        if (c->has_request && !c->request.result.ended) {
            if (c->request.result.n_rows > 0)
                continue; /* a long answer: it may come to its end */
            result_error(
                    &c->request.result, "unavailable", 0, "the service is stopping");
            call_cancel(&c->request);
        }
    }
    loop_again(cs->p->loop);
}

void
clients_fini(struct clients *cs)
{
    cs->ending = true;
    if (!cs->list.next)
        return;
    list_for_safe(node, &cs->list) client_close(list_entry(node, struct client, node));
    close_fd(&cs->listen_io.fd);
}
