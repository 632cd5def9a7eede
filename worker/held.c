/*
 * held.c -- stanzas that are kept back for a session
 *
 * They are in the slot, one piece of memory each, so that a kill loses none and none
 * goes out twice: taking one off the list and adding it to the client's output is one
 * transaction. The list is short (whoever holds stanzas has a limit), so a key is found
 * by walking.
 */
#include "worker/held.h"

#include <string.h>

#include "worker/conn.h"
#include "worker/out.h"

static struct session_held
view(const struct held *h)
{
    return (struct session_held){ .key = { h->text, h->key_n },
        .bytes = { h->text + h->key_n, h->n },
        .since_us = h->since_us };
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
        if (str_eq(view(h).key, key)) {
            take_off(w, list, h, before);
            proc_count(w->proc, COUNTER_HELD_DROPPED, 1);
            return;
        }
    }
}

void
session_hold(struct worker *w, struct conn *c, struct str key, bool instead,
        struct str bytes, uint64_t since_us)
{
    struct held_list *list = c->held;
    struct held *h;

    worker_begin(w, c);
    h = slot_alloc(w, sizeof *h + key.n + bytes.n);
    *h = (struct held){
        .since_us = since_us, .n = (uint32_t)bytes.n, .key_n = (uint16_t)key.n
    };
    memcpy(h->text, key.p, key.n);
    memcpy(h->text + key.n, bytes.p, bytes.n);
    if (!list) {
        list = slot_alloc(w, sizeof *list);
        *list = (struct held_list){ 0 };
        SET(w, c->held, list);
    } else if (instead) {
        drop_key(w, list, key);
    }
    if (list->last)
        SET(w, list->last->next, h);
    else
        SET(w, list->first, h);
    SET(w, list->last, h);
    SET(w, list->n, list->n + 1);
    SET(w, list->bytes, list->bytes + h->n);
    proc_count(w->proc, COUNTER_HELD, 1);
    worker_commit(w);
}

size_t
session_release(struct worker *w, struct conn *c,
        bool (*fits)(struct str key, const void *arg), const void *arg,
        void (*send)(struct worker *w, struct conn *c, const struct session_held *held))
{
    struct held_list *list = c->held;
    struct held *before = NULL, *next;
    size_t n = 0;

    if (!list)
        return 0;
    worker_begin(w, c);
    for (struct held *h = list->first; h; h = next) {
        struct session_held held = view(h);

        next = h->next;
        if (fits && !fits(held.key, arg)) {
            before = h;
            continue;
        }
        send(w, c, &held);
        take_off(w, list, h, before);
        n++;
    }
    if (!list->first) {
        slot_free(w, list);
        SET(w, c->held, NULL);
    }
    worker_commit(w);
    return n;
}

static void
send_as_it_is(struct worker *w, struct conn *c, const struct session_held *held)
{
    out_add_stanza(w, c, held->bytes);
}

void
held_send_all(struct worker *w, struct conn *c)
{
    session_release(w, c, NULL, NULL, send_as_it_is);
}

static void
forget(struct worker *w, struct conn *c, const struct session_held *held)
{
    (void)c, (void)held;
    proc_count(w->proc, COUNTER_HELD_DROPPED, 1);
}

void
held_drop_all(struct worker *w, struct conn *c)
{
    session_release(w, c, NULL, NULL, forget);
}
