/*
 * contacts.c -- a roster in one piece of memory
 *
 * An item: a header, then JID, name, groups, without padding, and of one that asks for
 * a subscription its request, behind its length. Items are in no order and found by
 * walking: a thousand are some microseconds, and only requests that change the roster
 * look for one.
 */
#include "worker/contacts.h"

#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

struct header {
    uint16_t jid_n, name_n, groups_n, ask_n;
    uint8_t bits;
};

enum {
    HEAD = 3 * sizeof(uint16_t) + 1,
    LENGTH = sizeof(uint16_t)
};

static size_t
ask_at(const struct header *h)
{
    return HEAD + (size_t)h->jid_n + h->name_n + h->groups_n;
}

static size_t
item_size(const struct header *h)
{
    return ask_at(h) + (h->bits & CONTACT_ASK_IN ? LENGTH + (size_t)h->ask_n : 0);
}

static void
header_put(char *at, const struct header *h)
{
    memcpy(at, &h->jid_n, LENGTH);
    memcpy(at + 2, &h->name_n, LENGTH);
    memcpy(at + 4, &h->groups_n, LENGTH);
    at[6] = (char)h->bits;
    if (h->bits & CONTACT_ASK_IN)
        memcpy(at + ask_at(h), &h->ask_n, LENGTH);
}

static struct header
header_get(const char *at)
{
    struct header h = { 0 };

    memcpy(&h.jid_n, at, LENGTH);
    memcpy(&h.name_n, at + 2, LENGTH);
    memcpy(&h.groups_n, at + 4, LENGTH);
    h.bits = (uint8_t)at[6];
    if (h.bits & CONTACT_ASK_IN)
        memcpy(&h.ask_n, at + ask_at(&h), LENGTH);
    return h;
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
        .ask = { h.ask_n ? cs->p + *at + ask_at(&h) + LENGTH : NULL, h.ask_n },
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

static struct header
header_of(const struct contact *c)
{
    return (struct header){
        .jid_n = (uint16_t)cut(c->jid).n,
        .name_n = (uint16_t)cut(c->name).n,
        .groups_n = (uint16_t)cut(c->groups).n,
        .ask_n = (uint16_t)(c->bits & CONTACT_ASK_IN ? cut(c->ask).n : 0),
        .bits = c->bits,
    };
}

static void
item_put(char *at, const struct header *h, const struct contact *c)
{
    header_put(at, h);
    add(at + HEAD, (struct str){ c->jid.p, h->jid_n });
    add(at + HEAD + h->jid_n, (struct str){ c->name.p, h->name_n });
    add(at + HEAD + h->jid_n + h->name_n, (struct str){ c->groups.p, h->groups_n });
    if (h->bits & CONTACT_ASK_IN)
        add(at + ask_at(h) + LENGTH, (struct str){ c->ask.p, h->ask_n });
}

static char *
make_room(struct contacts *cs, size_t n)
{
    char *at;

    if (cs->size - cs->n < n) {
        cs->size = cs->size * 2 > cs->n + n ? cs->size * 2 : cs->n + n;
        cs->p = mem_realloc(cs->p, cs->size);
    }
    at = cs->p + cs->n;
    cs->n += n;
    cs->count++;
    return at;
}

void
contacts_append(struct contacts *cs, const struct contact *c)
{
    struct header h = header_of(c);

    item_put(make_room(cs, item_size(&h)), &h, c);
}

void
contacts_put(struct contacts *cs, const struct contact *c)
{
    struct header h = header_of(c);
    size_t n = item_size(&h);
    char *item = mem_alloc(n); /* what is given may be a view of what is here */

    item_put(item, &h, c);
    contacts_del(cs, (struct str){ item + HEAD, h.jid_n });
    memcpy(make_room(cs, n), item, n);
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

struct jid
contact_jid(const struct contact *c)
{
    struct str rest = c->jid;
    struct jid jid = { .domain = STR_NULL };
    const char *slash = memchr(rest.p, '/', rest.n), *at;

    if (slash) {
        jid.resource = (struct str){ slash + 1, rest.n - (size_t)(slash + 1 - rest.p) };
        rest.n = (size_t)(slash - rest.p);
    }
    at = memchr(rest.p, '@', rest.n);
    if (at) {
        jid.local = (struct str){ rest.p, (size_t)(at - rest.p) };
        rest = (struct str){ at + 1, rest.n - (size_t)(at + 1 - rest.p) };
    }
    jid.domain = rest;
    return jid;
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
