/*
 * sm.c -- stream management from the client's side (XEP-0198)
 *
 * What was sent is kept until the server says that it has it. With the next connection
 * the server says up to where it got, and the rest is sent again; so nothing that was
 * said is lost or comes twice, whatever happens to connections and processes.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "tests/chaos/crowd.h"

#define NS "urn:xmpp:sm:3"

enum {
    ASK_EVERY = 16
};

void
sm_enable(struct person *p)
{
    sm_forget(p);
    buf_add_c(&p->client.out, "<enable xmlns='" NS "' resume='true'/>");
    p->sm_on = true;
}

void
sm_forget(struct person *p)
{
    for (struct unacked *u = p->unacked, *next; u; u = next) {
        next = u->next;
        mem_free_p(u);
    }
    p->unacked = NULL;
    p->unacked_end = &p->unacked;
    p->sm_on = p->sm_resuming = false;
    p->sm_in = p->sm_out = p->sm_acked = 0;
    p->sm_id[0] = '\0';
}

void
sm_sent(struct person *p, const char *text, int talk, uint32_t number)
{
    size_t n = strlen(text);
    struct unacked *u;

    if (!p->sm_on)
        return;
    u = mem_alloc(sizeof *u + n);
    *u = (struct unacked){ .talk = talk, .number = number, .n = n };
    memcpy(u->text, text, n);
    *p->unacked_end = u;
    p->unacked_end = &u->next;
    if (++p->sm_out % ASK_EVERY == 0 && p->is_online)
        buf_add_c(&p->client.out, "<r xmlns='" NS "'/>");
}

/* The server has the first h of what we sent. */
static void
acknowledged(struct person *p, uint32_t h)
{
    if (h - p->sm_acked > p->sm_out - p->sm_acked) {
        violation(p, "acknowledged",
                "%u, but only %u were sent, %u acknowledged before", h, p->sm_out,
                p->sm_acked);
        return;
    }
    while (p->sm_acked != h) {
        struct unacked *u = p->unacked;

        if (u->talk >= 0)
            p->talk[u->talk].acked = u->number;
        p->unacked = u->next;
        if (!p->unacked)
            p->unacked_end = &p->unacked;
        mem_free_p(u);
        p->sm_acked++;
    }
}

void
sm_prepare_resume(struct person *p)
{
    buf_reset(&p->client.resume, SIZE_MAX);
    p->sm_resuming = p->sm_on && p->sm_id[0];
    if (p->sm_resuming)
        buf_addf(&p->client.resume, "<resume xmlns='" NS "' previd='%s' h='%u'/>",
                p->sm_id, p->sm_in);
}

static void
resumed(struct person *p, uint32_t h)
{
    buf_reset(&p->client.resume, SIZE_MAX);
    p->sm_resuming = false;
    acknowledged(p, h);
    crowd.books.resumed++;
    p->is_online = p->was_online = true;
    for (struct unacked *u = p->unacked; u; u = u->next)
        buf_add(&p->client.out, u->text, u->n);
    buf_add_c(&p->client.out, "<r xmlns='" NS "'/>");
}

void
sm_on_nonza(struct person *p, const char *el, size_t n)
{
    uint32_t h = (uint32_t)strtoul(stanza_attr(el, n, "h"), NULL, 10);

    if (strncmp(el, "<enabled", 8) == 0) {
        snprintf(p->sm_id, sizeof p->sm_id, "%s", stanza_attr(el, n, "id"));
        p->sm_in = 0;
    } else if (strncmp(el, "<resumed", 8) == 0) {
        resumed(p, h);
    } else if (strncmp(el, "<failed", 7) == 0) {
        violation(p, "session lost", "%.*s", (int)n, el);
        crowd.books.sessions_lost++;
        sm_forget(p);
        buf_reset(&p->client.resume, SIZE_MAX);
        p->retry_us = 1;
    } else if (strncmp(el, "<a ", 3) == 0) {
        acknowledged(p, h);
    } else if (strncmp(el, "<r", 2) == 0) {
        buf_addf(&p->client.out, "<a xmlns='" NS "' h='%u'/>", p->sm_in);
    }
}
