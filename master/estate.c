/*
 * estate.c -- a set of descriptors with names
 *
 * A set changes as a whole, because half of an old one and half of a new one would be a
 * service that never was. Only what belongs to one process's start is replaced by
 * itself.
 */
#include "master/estate.h"

#include <errno.h>

#include "base/mem.h"

enum {
    THINGS_MAX = 1 << 16,
    TEXT_MAX = 1024
};

void
estate_init(struct estate *e)
{
    *e = (struct estate){ 0 };
    list_init(&e->things);
    list_init(&e->coming);
}

static void
thing_free(struct thing *t)
{
    list_del(&t->node);
    close_fd(&t->fd);
    mem_free_p(t->text);
    mem_free_p(t);
}

static void
clear(struct list *things)
{
    list_for_safe(node, things) thing_free(list_entry(node, struct thing, node));
}

void
estate_fini(struct estate *e)
{
    clear(&e->things);
    clear(&e->coming);
    e->n = e->n_coming = 0;
    e->complete = e->is_coming = false;
}

void
estate_abort(struct estate *e)
{
    clear(&e->coming);
    e->n_coming = 0;
    e->is_coming = false;
}

void
estate_begin(struct estate *e, uint64_t number)
{
    estate_abort(e);
    e->number = number;
    e->is_coming = true;
}

struct thing *
estate_find(
        const struct estate *e, enum estate_kind kind, ipc_addr addr, uint32_t index)
{
    list_for(node, &e->things)
    {
        struct thing *t = list_entry(node, struct thing, node);

        if (t->kind == kind && t->addr == addr && t->index == index)
            return t;
    }
    return NULL;
}

int
estate_put(struct estate *e, const struct ipc_hold *m, int fd)
{
    struct thing *t = NULL;
    int r = 0;

    if (m->kind >= ESTATE_KINDS || m->text.n > TEXT_MAX)
        r = -EINVAL;
    else if (e->n + e->n_coming >= THINGS_MAX)
        r = -ENOSPC;
    if (r < 0) {
        close_fd(&fd);
        return r;
    }
    if (!e->is_coming)
        t = estate_find(e, (enum estate_kind)m->kind, m->addr, m->index);
    if (t) {
        thing_free(t);
        e->n--;
    }
    t = mem_zalloc(sizeof *t);
    t->kind = (enum estate_kind)m->kind;
    t->addr = m->addr;
    t->index = m->index;
    t->value = m->value;
    t->text = str_heap_c(m->text);
    t->fd = fd;
    list_init(&t->node);
    list_add(e->is_coming ? &e->coming : &e->things, &t->node);
    if (e->is_coming)
        e->n_coming++;
    else
        e->n++;
    return 0;
}

int
estate_end(struct estate *e, const struct ipc_hold_end *m)
{
    bool whole = e->is_coming && m->number == e->number && m->n == e->n_coming;

    if (!whole) {
        estate_abort(e);
        return -EPROTO;
    }
    e->is_coming = false;
    clear(&e->things);
    list_for_safe(node, &e->coming)
    {
        list_del(node);
        list_add(&e->things, node);
    }
    e->n = e->n_coming;
    e->n_coming = 0;
    e->complete = true;
    return 0;
}

int
estate_take(struct estate *e, enum estate_kind kind, ipc_addr addr, uint32_t index)
{
    struct thing *t = estate_find(e, kind, addr, index);

    return t ? take_fd(&t->fd) : -1;
}

struct ipc_hold
estate_message(const struct thing *t)
{
    return (struct ipc_hold){ .kind = (uint8_t)t->kind,
        .addr = t->addr,
        .index = t->index,
        .value = t->value,
        .text = str_from(t->text) };
}
