/*
 * client.c -- one client: connects, logs in, stays
 *
 *     TCP, TLS, features, SCRAM-SHA-1, features, bind, roster, [XEP-0198], presence
 *
 * A table says which function handles an element in which state; each says something
 * and sets the next state. Once online, elements are the scenario's.
 */
#include "bench/load/client.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/mem.h"
#include "bench/load/load.h"
#include "bench/load/scram.h"

void
client_fail(struct client *c, const char *what)
{
    fprintf(stderr, "load: client %d: %s (state %d): %.300s\n", c->index, what,
            (int)c->state, buf_c(&c->in));
    exit(1);
}

void
client_say(struct client *c, const char *format, ...)
{
    static struct buf text;
    va_list ap;

    va_start(ap, format);
    buf_vaddf(&text, format, ap);
    va_end(ap);
    link_send(&c->link, buf_str(&text));
    buf_reset(&text, 65536);
}

static void
say_header(struct client *c, enum client_state next)
{
    memset(&c->cut, 0, sizeof c->cut);
    client_say(c,
            "<?xml version='1.0'?><stream:stream xmlns='jabber:client' "
            "xmlns:stream='http://etherx.jabber.org/streams' to='%s' version='1.0'>",
            load.opt->domain);
    c->state = next;
}

void
client_open(struct client *c)
{
    struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c };
    static unsigned n_opened;
    int r = link_open(&c->link, load.opt->address, load.opt->port,
            (unsigned)load.first + n_opened++);

    if (r < 0)
        client_fail(c, strerror(-r));
    epoll_ctl(load.epoll_fd, EPOLL_CTL_ADD, c->link.fd, &ev);
    c->sm_in = 0;
    load.n_connecting++;
    if (load.opt->tls == TLS_DIRECT) {
        link_start_tls(&c->link, load.opt->domain, load.opt->drop);
        c->state = CLIENT_HANDSHAKE;
    } else {
        say_header(c, CLIENT_FEATURES);
    }
}

static void
close_client(struct client *c)
{
    link_close(&c->link);
    buf_fini(&c->in);
    free(c->jid);
    c->jid = NULL;
    c->state = CLIENT_CLOSED;
    load.n_online--;
    if (load.leaving)
        return;
    if (!load.scenario->closed)
        client_fail(c, "closed by the server");
    load.scenario->closed(c);
}

void
client_leave(struct client *c)
{
    c->state = CLIENT_LEAVING;
    if (load.opt->sm) /* else what is not acknowledged is kept for later */
        client_say(c, "<a xmlns='urn:xmpp:sm:3' h='%u'/>", c->sm_in);
    client_say(c, "</stream:stream>");
}

/* What is sent when something has come. */

static void
on_features(struct client *c, struct str element)
{
    struct buf b64 = { 0 };
    char user[32];

    (void)element;
    if (load.opt->tls == TLS_STARTTLS && !c->link.secure) {
        client_say(c, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
        c->state = CLIENT_PROCEED;
        return;
    }
    snprintf(user, sizeof user, "bench%d", c->account);
    scram_first(&b64, &c->scram, user);
    client_say(c,
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' "
            "mechanism='SCRAM-SHA-1'>%s</auth>",
            buf_c(&b64));
    buf_fini(&b64);
    c->state = CLIENT_CHALLENGE;
}

static void
on_proceed(struct client *c, struct str element)
{
    (void)element;
    link_start_tls(&c->link, load.opt->domain, load.opt->drop);
    c->state = CLIENT_HANDSHAKE;
}

static void
on_challenge(struct client *c, struct str element)
{
    struct buf b64 = { 0 };

    if (scram_final(&b64, &c->scram, cut_child(element, "challenge"), "bench") < 0)
        client_fail(c, "challenge");
    client_say(c, "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>%s</response>",
            buf_c(&b64));
    buf_fini(&b64);
    buf_fini(&c->scram);
    c->state = CLIENT_SUCCESS;
}

static void
on_success(struct client *c, struct str element)
{
    (void)element;
    say_header(c, CLIENT_BIND_FEATURES);
}

static void
on_bind_features(struct client *c, struct str element)
{
    (void)element;
    client_say(c,
            "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
            "<resource>r%d</resource></bind></iq>",
            c->index);
    c->state = CLIENT_BIND;
}

static void
on_bound(struct client *c, struct str element)
{
    struct str jid = cut_child(element, "jid");

    if (!jid.p)
        client_fail(c, "no address");
    c->jid = str_heap_c(jid);
    client_say(c, "<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>");
    c->state = CLIENT_ROSTER;
}

static void
go_online(struct client *c)
{
    client_say(c, "<presence/>");
    c->state = CLIENT_ONLINE;
    load.n_online++;
    load.n_connecting--;
    if (load.scenario->online)
        load.scenario->online(c);
}

static void
on_roster(struct client *c, struct str element)
{
    if (!str_eq_c(cut_attr(element, "id"), "r"))
        return;
    if (load.opt->sm) {
        client_say(c, "<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
        c->state = CLIENT_SM;
    } else {
        go_online(c);
    }
}

static void
on_enabled(struct client *c, struct str element)
{
    (void)element;
    go_online(c);
}

static const struct step {
    const char *name;
    void (*on)(struct client *c, struct str element);
} steps[] = {
    [CLIENT_FEATURES] = { "stream:features", on_features },
    [CLIENT_PROCEED] = { "proceed", on_proceed },
    [CLIENT_CHALLENGE] = { "challenge", on_challenge },
    [CLIENT_SUCCESS] = { "success", on_success },
    [CLIENT_BIND_FEATURES] = { "stream:features", on_bind_features },
    [CLIENT_BIND] = { "iq", on_bound },
    [CLIENT_ROSTER] = { "iq", on_roster },
    [CLIENT_SM] = { "enabled", on_enabled },
    [CLIENT_LEFT] = { NULL, NULL },
};

/* XEP-0198: counts what is to be counted. Whether it was no stanza. */
static bool
sm_element(struct client *c, struct str name)
{
    if (str_eq_c(name, "message") || str_eq_c(name, "presence") ||
            str_eq_c(name, "iq")) {
        c->sm_in++;
        return false;
    }
    if (str_eq_c(name, "r"))
        client_say(c, "<a xmlns='urn:xmpp:sm:3' h='%u'/>", c->sm_in);
    return true;
}

/* XEP-0199: who does not answer is taken for dead after a while. */
static bool
answer_ping(struct client *c, struct str name, struct str element)
{
    if (!str_eq_c(name, "iq") || !str_eq_c(cut_attr(element, "type"), "get"))
        return false;
    client_say(c, "<iq type='result' id='%.*s' to='%.*s'/>",
            STR_ARG(cut_attr(element, "id")), STR_ARG(cut_attr(element, "from")));
    return true;
}

static void
on_element(struct client *c, struct str element)
{
    struct str name = cut_name(element);
    const struct step *step = &steps[c->state];

    if (str_eq_c(name, "failure") || str_eq_c(name, "failed") ||
            str_eq_c(name, "stream:error"))
        client_fail(c, "refused");
    if (str_eq_c(name, "/")) {
        if (c->state != CLIENT_LEAVING)
            client_fail(c, "the server ended the stream");
        c->state = CLIENT_LEFT;
    } else if (c->state == CLIENT_ONLINE) {
        if ((!load.opt->sm || !sm_element(c, name)) && !answer_ping(c, name, element))
            load.scenario->element(c, name, element);
    } else if (step->name && str_eq_c(name, step->name)) {
        step->on(c, element);
    }
}

/* Handles the elements in `text`; what is left of it waits. */
static void
handle(struct client *c, struct buf *text)
{
    struct str rest = buf_str(text), element;

    while (c->state != CLIENT_HANDSHAKE && cut_next(&c->cut, rest, &element)) {
        char *end = text->p + (element.p - text->p) + element.n, behind = *end;

        rest = (struct str){ end, (size_t)(text->p + text->n - end) };
        *end = 0; /* so that functions of libc can be used on it */
        on_element(c, element);
        *end = behind;
    }
    if (rest.n)
        buf_add_str(&c->in, rest);
}

/* Whether the connection goes on. */
static bool
shake(struct client *c)
{
    int r = link_handshake(&c->link);

    if (r < 0)
        client_fail(c, link_error());
    if (r == 0)
        return false;
    say_header(c, CLIENT_FEATURES);
    return true;
}

void
client_ready(struct client *c)
{
    static struct buf text;
    int r;

    if (c->state == CLIENT_CLOSED || (c->state == CLIENT_HANDSHAKE && !shake(c)))
        return;
    link_flush(&c->link);
    do {
        buf_add_str(&text, buf_str(&c->in));
        buf_fini(&c->in);
        r = link_receive(&c->link, &text);
        if (text.n)
            handle(c, &text);
        buf_reset(&text, 1 << 20);
        if (r < 0 || c->state == CLIENT_LEFT) {
            if (c->state < CLIENT_LEAVING)
                client_fail(c, "closed by the server");
            close_client(c);
            return;
        }
        if (c->state == CLIENT_HANDSHAKE && !shake(c))
            return;
    } while (r > 0);
}
