/*
 * blocking.c -- the block list, a view of the default privacy list
 */
#include "xmpp/blocking.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/mem.h"
#include "xml/el.h"
#include "xmpp/ns.h"

static size_t
count_items(const struct xml_el *payload)
{
    size_t n = 0;

    xml_for(el, payload, "item", NS_BLOCKING) n++;
    return n;
}

static int
by_jid(const void *left, const void *right)
{
    const struct jid *a = left, *b = right;
    int r = str_cmp(a->domain, b->domain);

    if (r == 0)
        r = str_cmp(a->local, b->local);
    return r != 0 ? r : str_cmp(a->resource, b->resource);
}

/* Sorts, and keeps one of each; how many remain. */
static size_t
unique(struct jid jids[], size_t n)
{
    size_t kept = 0;

    if (n == 0)
        return 0;
    qsort(jids, n, sizeof *jids, by_jid);
    for (size_t i = 1; i < n; i++)
        if (by_jid(&jids[kept], &jids[i]) != 0)
            jids[++kept] = jids[i];
    return kept + 1;
}

static int
read_jids(struct arena *arena, const struct xml_el *payload, struct blocking_request *r,
        enum stanza_error *ret_error)
{
    size_t n_items = count_items(payload);

    if (n_items > PRIVACY_ITEMS_MAX) {
        *ret_error = STANZA_ERROR_RESOURCE_CONSTRAINT;
        return -EINVAL;
    }
    r->jids = arena_zalloc(arena, (n_items + 1) * sizeof *r->jids);
    xml_for(el, payload, "item", NS_BLOCKING)
    {
        struct str jid = xml_attr(el, "jid");

        if (!jid.p || jid_parse(arena, jid, &r->jids[r->n]) < 0) {
            *ret_error = jid.p ? STANZA_ERROR_JID_MALFORMED : STANZA_ERROR_BAD_REQUEST;
            return -EINVAL;
        }
        r->n++;
    }
    r->n = unique(r->jids, r->n);
    return 0;
}

int
blocking_request(struct arena *arena, const struct xml_el *payload, enum iq_type type,
        struct blocking_request *ret_request, enum stanza_error *ret_error)
{
    struct blocking_request r = { 0 };

    if (type == IQ_GET && xml_is(payload, "blocklist", NS_BLOCKING)) {
        r.op = BLOCKING_GET;
        goto ok;
    }
    if (type != IQ_SET || !(xml_is(payload, "block", NS_BLOCKING) ||
                                  xml_is(payload, "unblock", NS_BLOCKING)))
        goto bad;
    if (read_jids(arena, payload, &r, ret_error) < 0)
        return -EINVAL;
    if (xml_is(payload, "unblock", NULL))
        r.op = r.n > 0 ? BLOCKING_UNBLOCK : BLOCKING_UNBLOCK_ALL;
    else if (r.n > 0)
        r.op = BLOCKING_BLOCK;
    else
        goto bad;
ok:
    *ret_request = r;
    return 0;
bad:
    *ret_error = STANZA_ERROR_BAD_REQUEST;
    return -EINVAL;
}

static bool
has_jid(const struct jid jids[], size_t n, const struct jid *jid)
{
    return n > 0 && bsearch(jid, jids, n, sizeof *jids, by_jid);
}

/*
 * The addresses that are blocked for certain, sorted. Those behind a rule that allows
 * something may not be; and a rule that names all four kinds of stanzas counts as a
 * block but says nothing about subscriptions and what the user sends.
 */
static size_t
blocked_jids(const struct privacy_list *list, struct jid jids[])
{
    struct privacy_item item;
    size_t at = 0, n = 0;

    while (privacy_next(list, &at, &item) && item.deny)
        if (privacy_item_blocks(&item) && (item.match & PRIVACY_MATCH_ALL))
            jids[n++] = item.jid;
    return unique(jids, n);
}

/*
 * New rules go in front. Then orders are made to differ and to ascend, moving as few as
 * possible, so that a client can send the list back as it got it (XEP-0016, 2.1).
 */
static void
renumber(struct privacy_item items[], size_t n)
{
    bool overflow = false;

    for (size_t i = 1; i < n; i++)
        if (items[i].order <= items[i - 1].order)
            items[i].order = items[i - 1].order + 1;
    for (size_t i = 0; i < n; i++)
        overflow |= items[i].order > UINT32_MAX;
    for (size_t i = 0; i < n && overflow; i++)
        items[i].order = i;
}

static int
block(const struct privacy_list *list, const struct blocking_request *request,
        struct privacy_list **ret_list)
{
    size_t n_old = privacy_list_count(list), n = 0, n_blocked, n_added = 0, at = 0;
    struct privacy_item *items = mem_zalloc((n_old + request->n + 1) * sizeof *items);
    struct jid *blocked = mem_zalloc((n_old + 1) * sizeof *blocked);
    struct jid *added = mem_zalloc((request->n + 1) * sizeof *added);
    struct privacy_list *made = NULL;
    int r = 0;

    n_blocked = blocked_jids(list, blocked);
    for (size_t i = 0; i < request->n; i++)
        if (!has_jid(blocked, n_blocked, &request->jids[i]))
            added[n_added++] = request->jids[i];
    if (n_added == 0)
        goto out;
    for (; n < n_added; n++)
        items[n] = (struct privacy_item){ .type = PRIVACY_JID,
            .deny = true,
            .match = PRIVACY_MATCH_ALL,
            .jid = added[n] };
    while (privacy_next(list, &at, &items[n]))
        if (!privacy_item_blocks(&items[n]) || !has_jid(added, n_added, &items[n].jid))
            n++;
    renumber(items, n);
    made = privacy_list_new(items, n);
    r = 1;
    if (n > PRIVACY_ITEMS_MAX || privacy_list_size(made) > PRIVACY_SIZE_MAX) {
        privacy_list_free(&made);
        r = -ENOSPC;
    } else {
        *ret_list = made;
    }
out:
    mem_free(&added);
    mem_free(&blocked);
    mem_free(&items);
    return r;
}

static int
unblock(const struct privacy_list *list, const struct blocking_request *request,
        struct privacy_list **ret_list)
{
    size_t n_old = privacy_list_count(list), n = 0, at = 0;
    struct privacy_item *items = mem_zalloc((n_old + 1) * sizeof *items);
    bool all = request->op == BLOCKING_UNBLOCK_ALL;

    while (privacy_next(list, &at, &items[n]))
        if (items[n].type != PRIVACY_JID || !items[n].deny ||
                !(all || has_jid(request->jids, request->n, &items[n].jid)))
            n++;
    if (n < n_old)
        *ret_list = privacy_list_new(items, n);
    mem_free(&items);
    return n < n_old;
}

int
blocking_edit(const struct privacy_list *list, const struct blocking_request *request,
        struct privacy_list **ret_list)
{
    switch (request->op) {
    case BLOCKING_GET:
        break;
    case BLOCKING_BLOCK:
        return block(list, request, ret_list);
    case BLOCKING_UNBLOCK:
    case BLOCKING_UNBLOCK_ALL:
        return unblock(list, request, ret_list);
    }
    return 0;
}

void
blocking_write(const struct privacy_list *list, struct xml_el *blocklist)
{
    struct privacy_item item;
    size_t at = 0;

    while (privacy_next(list, &at, &item))
        if (privacy_item_blocks(&item))
            xml_set(xml_add(blocklist, "item", NS_BLOCKING), "jid",
                    jid_text(blocklist->arena, &item.jid));
}

struct xml_el *
blocking_push(struct arena *arena, const struct blocking_request *request)
{
    struct xml_el *el = xml_el_new(
            arena, request->op == BLOCKING_BLOCK ? "block" : "unblock", NS_BLOCKING);

    for (size_t i = 0; i < request->n; i++)
        xml_set(xml_add(el, "item", NULL), "jid", jid_text(arena, &request->jids[i]));
    return el;
}
