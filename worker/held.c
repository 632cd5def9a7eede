/*
 * held.c -- stanzas that are kept back for a session
 *
 * They are in the slot, one piece of memory each, so that a kill loses none and none
 * goes out twice: taking one off the list and adding it to the client's output is one
 * transaction. The list is short (whoever holds stanzas has a limit), so a key is found
 * by walking. What goes out says when it came (XEP-0203).
 */
#include "worker/held.h"

#include <string.h>

#include "base/clock.h"
#include "worker/conn.h"
#include "worker/out.h"
#include "xmpp/delay.h"

static struct str
key_of(const struct held *h)
{
    return (struct str){ h->text, h->key_n };
}

static struct str
bytes_of(const struct held *h)
{
    return (struct str){ h->text + h->key_n, h->n };
}

size_t
session_held(const struct conn *c, size_t *ret_bytes)
{
    if (ret_bytes)
        *ret_bytes = c->held ? c->held->bytes : 0;
    return c->held ? c->held->n : 0;
}

/* Takes one off the list; its memory goes with the commit. */
static void
take_off(struct worker *w, struct held_list *list, struct held *h, struct held *before)
{
    if (before)
        SET(w, before->next, h->next);
    else
        SET(w, list->first, h->next);
    if (!h->next)
        SET(w, list->last, before);
    SET(w, list->n, list->n - 1);
    SET(w, list->bytes, list->bytes - h->n);
    slot_free(w, h);
}

static void
drop_key(struct worker *w, struct held_list *list, struct str key)
{
    struct held *before = NULL;

    for (struct held *h = list->first; h; before = h, h = h->next) {
        if (str_eq(key_of(h), key)) {
            take_off(w, list, h, before);
            proc_count(w->proc, COUNTER_HELD_DROPPED, 1);
            return;
        }
    }
}

void
held_append(struct worker *w, struct held_list **at, struct held *h)
{
    struct held_list *list = *at;

    if (!list) {
        list = slot_alloc(w, sizeof *list);
        *list = (struct held_list){ 0 };
        SET(w, *at, list);
    }
    if (list->last)
        SET(w, list->last->next, h);
    else
        SET(w, list->first, h);
    SET(w, list->last, h);
    SET(w, list->n, list->n + 1);
    SET(w, list->bytes, list->bytes + h->n);
}

void
session_hold(struct worker *w, struct conn *c, struct str key, bool instead,
        struct str bytes)
{
    struct held *h;

    worker_begin(w, c);
    h = slot_alloc(w, sizeof *h + key.n + bytes.n);
    *h = (struct held){
        .since_us = clock_wall_us(), .n = (uint32_t)bytes.n, .key_n = (uint16_t)key.n
    };
    memcpy(h->text, key.p, key.n);
    memcpy(h->text + key.n, bytes.p, bytes.n);
    if (c->held && instead)
        drop_key(w, c->held, key);
    held_append(w, &c->held, h);
    proc_count(w->proc, COUNTER_HELD, 1);
    worker_commit(w);
}

/* Our own serialisation: it ends with "/>" or with its end tag. */
static void
add_child(struct buf *out, struct str stanza, struct str child)
{
    size_t n = 1;

    if (str_ends(stanza, STR("/>"))) {
        while (stanza.p[n] != ' ' && stanza.p[n] != '/')
            n++;
        buf_add(out, stanza.p, stanza.n - 2);
        buf_add_char(out, '>');
        buf_add_str(out, child);
        buf_addf(out, "</%.*s>", (int)(n - 1), stanza.p + 1);
        return;
    }
    n = stanza.n;
    while (stanza.p[n - 1] != '<')
        n--;
    buf_add(out, stanza.p, n - 1);
    buf_add_str(out, child);
    buf_add(out, stanza.p + n - 1, stanza.n - n + 1);
}

static void
send_held(struct worker *w, struct conn *c, const struct held *h)
{
    struct buf delay = { 0 }, stanza = { 0 };

    delay_write(&delay, conn_domain(c), (int64_t)h->since_us, STR("Client Inactive"));
    add_child(&stanza, bytes_of(h), buf_str(&delay));
    out_add_stanza(w, c, buf_str(&stanza));
    buf_fini(&delay);
    buf_fini(&stanza);
}

static void
drop_held(struct worker *w, struct conn *c, const struct held *h)
{
    (void)c, (void)h;
    proc_count(w->proc, COUNTER_HELD_DROPPED, 1);
}

static void
release(struct worker *w, struct conn *c, bool (*fits)(struct str key, const void *arg),
        const void *arg,
        void (*fn)(struct worker *w, struct conn *c, const struct held *h))
{
    struct held_list *list = c->held;
    struct held *before = NULL, *next;

    if (!list)
        return;
    worker_begin(w, c);
    for (struct held *h = list->first; h; h = next) {
        next = h->next;
        if (fits && !fits(key_of(h), arg)) {
            before = h;
            continue;
        }
        fn(w, c, h);
        take_off(w, list, h, before);
    }
    if (!list->first) {
        slot_free(w, list);
        SET(w, c->held, NULL);
    }
    worker_commit(w);
}

void
session_release(struct worker *w, struct conn *c,
        bool (*fits)(struct str key, const void *arg), const void *arg)
{
    release(w, c, fits, arg, send_held);
}

void
held_drop_all(struct worker *w, struct conn *c)
{
    release(w, c, NULL, NULL, drop_held);
}
