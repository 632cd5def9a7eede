/*
 * contacts.c -- a roster in one piece of memory
 *
 * An item: a header, then JID, name, groups, without padding. Items are in no order and
 * found by walking: a thousand are some microseconds, and only requests that change the
 * roster look for one.
 */
#include "worker/contacts.h"

#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

struct header {
    uint32_t change;
    uint16_t jid_n, name_n, groups_n;
    uint8_t bits;
};

enum {
    HEAD = sizeof(uint32_t) + 3 * sizeof(uint16_t) + 1
};

static void
header_put(char *at, const struct header *h)
{
    memcpy(at, &h->change, 4);
    memcpy(at + 4, &h->jid_n, 2);
    memcpy(at + 6, &h->name_n, 2);
    memcpy(at + 8, &h->groups_n, 2);
    at[10] = (char)h->bits;
}

static struct header
header_get(const char *at)
{
    struct header h;

    memcpy(&h.change, at, 4);
    memcpy(&h.jid_n, at + 4, 2);
    memcpy(&h.name_n, at + 6, 2);
    memcpy(&h.groups_n, at + 8, 2);
    h.bits = (uint8_t)at[10];
    return h;
}

static size_t
item_size(const struct header *h)
{
    return HEAD + (size_t)h->jid_n + h->name_n + h->groups_n;
}

void
contacts_fini(struct contacts *cs)
{
    mem_free_p(cs->p);
    *cs = (struct contacts){ 0 };
}

bool
contacts_next(const struct contacts *cs, size_t *at, struct contact *ret)
{
    const char *p;
    struct header h;

    if (*at >= cs->n)
        return false;
    p = cs->p + *at;
    h = header_get(p);
    p += HEAD;
    *ret = (struct contact){
        .jid = { p, h.jid_n },
        .name = { p + h.jid_n, h.name_n },
        .groups = { p + h.jid_n + h.name_n, h.groups_n },
        .change = h.change,
        .bits = h.bits,
    };
    *at += item_size(&h);
    return true;
}

/* The offset of an item; cs->n when there is none. */
static size_t
offset_of(const struct contacts *cs, struct str jid)
{
    size_t at = 0;

    while (at < cs->n) {
        struct header h = header_get(cs->p + at);

        if (h.jid_n == jid.n && memcmp(cs->p + at + HEAD, jid.p, jid.n) == 0)
            break;
        at += item_size(&h);
    }
    return at;
}

bool
contacts_find(const struct contacts *cs, struct str jid, struct contact *ret)
{
    size_t at = offset_of(cs, jid);

    return contacts_next(cs, &at, ret);
}

bool
contacts_del(struct contacts *cs, struct str jid)
{
    size_t at = offset_of(cs, jid), n;
    struct header h;

    if (at >= cs->n)
        return false;
    h = header_get(cs->p + at);
    n = item_size(&h);
    memmove(cs->p + at, cs->p + at + n, cs->n - at - n);
    cs->n -= n;
    cs->count--;
    return true;
}

static struct str
cut(struct str s)
{
    return s.n > UINT16_MAX ? (struct str){ s.p, 0 } : s;
}

static void
add(char *at, struct str s)
{
    if (s.n)
        memcpy(at, s.p, s.n);
}

void
contacts_put(struct contacts *cs, const struct contact *c)
{
    struct str jid = cut(c->jid), name = cut(c->name), groups = cut(c->groups);
    struct header h = { c->change, (uint16_t)jid.n, (uint16_t)name.n,
        (uint16_t)groups.n, c->bits };
    size_t n = item_size(&h);
    char *item = mem_alloc(n); /* what is given may be a view of what is here */

    header_put(item, &h);
    add(item + HEAD, jid);
    add(item + HEAD + jid.n, name);
    add(item + HEAD + jid.n + name.n, groups);
    contacts_del(cs, (struct str){ item + HEAD, jid.n });
    if (cs->size - cs->n < n) {
        cs->size = cs->size * 2 > cs->n + n ? cs->size * 2 : cs->n + n;
        cs->p = mem_realloc(cs->p, cs->size);
    }
    memcpy(cs->p + cs->n, item, n);
    cs->n += n;
    cs->count++;
    mem_free_p(item);
}

void
contacts_trim(struct contacts *cs)
{
    if (cs->n == 0) {
        contacts_fini(cs);
    } else if (cs->size > cs->n) {
        cs->p = mem_realloc(cs->p, cs->n);
        cs->size = cs->n;
    }
}

void
contact_group_add(struct buf *groups, struct str name)
{
    uint16_t n = (uint16_t)name.n;

    if (name.n > UINT16_MAX)
        return;
    buf_add(groups, &n, sizeof n);
    buf_add_str(groups, name);
}

bool
contact_group_next(struct str *groups, struct str *ret_name)
{
    uint16_t n;

    if (groups->n < sizeof n)
        return false;
    memcpy(&n, groups->p, sizeof n);
    if (groups->n - sizeof n < n)
        return false;
    *ret_name = (struct str){ groups->p + sizeof n, n };
    groups->p += sizeof n + n;
    groups->n -= sizeof n + n;
    return true;
}

bool
contact_in_group(const struct contact *c, struct str name)
{
    struct str groups = c->groups, group;

    while (contact_group_next(&groups, &group)) {
        if (str_eq(group, name))
            return true;
    }
    return false;
}
