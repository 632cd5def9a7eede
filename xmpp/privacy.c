/*
 * privacy.c -- privacy lists: packed, and judged by
 *
 * An account that uses them has one list in memory for as long as somebody is there, so
 * a list is one block of bytes: per rule a byte of type, action and match, the order,
 * and the lengths and bytes of its value, numbers in the shortest form (seven bits a
 * byte). A rule that blocks an address costs five bytes and the address.
 *
 * A stanza is compared with one rule after the other. That is linear, but a rule takes
 * five nanoseconds (build/bench/privacy), and the lists that clients make are bounded.
 */
#include "xmpp/privacy.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/mem.h"
#include "xmpp/ns.h"

struct privacy_list {
    uint32_t n, size;
    bool needs_roster;
    unsigned char bytes[];
};

/* Bytes that are kept begin with this, and may outlive the process. */
_Static_assert(sizeof(struct privacy_list) == 12, "SLOT_LAYOUT must change, too");

/* The first byte of a rule */
enum {
    TYPE_MASK = 3,
    DENY = 4,
    MATCH_SHIFT = 3
};

static unsigned char *
put_number(unsigned char *to, uint64_t value)
{
    for (; value > 0x7f; value >>= 7)
        *to++ = (unsigned char)(value | 0x80);
    *to++ = (unsigned char)value;
    return to;
}

static uint64_t
get_number(const unsigned char **at)
{
    uint64_t value = 0;
    unsigned shift = 0;

    while (**at & 0x80) {
        value |= (uint64_t)(*(*at)++ & 0x7f) << shift;
        shift += 7;
    }
    return value | (uint64_t) * (*at)++ << shift;
}

static unsigned char *
put_bytes(unsigned char *to, struct str s)
{
    if (s.n > 0)
        memcpy(to, s.p, s.n);
    return to + s.n;
}

static struct str
get_bytes(const unsigned char **at, size_t n)
{
    struct str s = { (const char *)*at, n };

    *at += n;
    return s;
}

enum {
    NUMBER_MAX = 10 /* bytes */
};

/* No less than what the rule takes. */
static size_t
room(const struct privacy_item *item)
{
    size_t n = 1 + 4 * NUMBER_MAX;

    if (item->type == PRIVACY_JID)
        n += item->jid.local.n + item->jid.domain.n + item->jid.resource.n;
    if (item->type == PRIVACY_GROUP)
        n += item->group.n;
    return n;
}

static unsigned char *
put_item(unsigned char *to, const struct privacy_item *item)
{
    *to++ = (unsigned char)(item->type | (item->deny ? DENY : 0) |
                            item->match << MATCH_SHIFT);
    to = put_number(to, item->order);
    switch (item->type) {
    case PRIVACY_ANY:
        break;
    case PRIVACY_JID:
        to = put_number(to, item->jid.local.n);
        to = put_number(to, item->jid.domain.n);
        to = put_number(to, item->jid.resource.n);
        to = put_bytes(to, item->jid.local);
        to = put_bytes(to, item->jid.domain);
        to = put_bytes(to, item->jid.resource);
        break;
    case PRIVACY_GROUP:
        to = put_number(to, item->group.n);
        to = put_bytes(to, item->group);
        break;
    case PRIVACY_SUBSCRIPTION:
        *to++ = (unsigned char)item->subscription;
        break;
    }
    return to;
}

static void
get_item(const unsigned char **at, struct privacy_item *ret)
{
    unsigned head = *(*at)++;
    size_t n_local, n_domain, n_resource;

    ret->type = (enum privacy_type)(head & TYPE_MASK);
    ret->deny = head & DENY;
    ret->match = head >> MATCH_SHIFT;
    ret->order = get_number(at);
    switch (ret->type) {
    case PRIVACY_ANY:
        break;
    case PRIVACY_JID:
        n_local = get_number(at);
        n_domain = get_number(at);
        n_resource = get_number(at);
        ret->jid.local = get_bytes(at, n_local);
        ret->jid.domain = get_bytes(at, n_domain);
        ret->jid.resource = get_bytes(at, n_resource);
        break;
    case PRIVACY_GROUP:
        n_local = get_number(at);
        ret->group = get_bytes(at, n_local);
        break;
    case PRIVACY_SUBSCRIPTION:
        ret->subscription = (enum subscription_kind) * (*at)++;
        break;
    }
}

static int
by_order(const void *left, const void *right)
{
    const struct privacy_item *const *a = left, *const *b = right;

    if ((*a)->order != (*b)->order)
        return (*a)->order < (*b)->order ? -1 : 1;
    return *a < *b ? -1 : *a > *b; /* all in one array: the first given is first */
}

struct privacy_list *
privacy_list_new(const struct privacy_item items[], size_t n)
{
    const struct privacy_item **sorted;
    struct privacy_list *list;
    size_t size = 0;
    unsigned char *to;

    if (n == 0)
        return NULL;
    sorted = mem_alloc(n * sizeof *sorted);
    for (size_t i = 0; i < n; i++) {
        sorted[i] = &items[i];
        size += room(&items[i]);
    }
    assert(size <= UINT32_MAX);
    qsort(sorted, n, sizeof *sorted, by_order);
    list = mem_zalloc(sizeof *list + size);
    to = list->bytes;
    for (size_t i = 0; i < n; i++) {
        to = put_item(to, sorted[i]);
        if (sorted[i]->type == PRIVACY_GROUP || sorted[i]->type == PRIVACY_SUBSCRIPTION)
            list->needs_roster = true;
    }
    list->n = (uint32_t)n;
    list->size = (uint32_t)(to - list->bytes);
    mem_free(&sorted);
    return mem_realloc(list, sizeof *list + list->size);
}

void
privacy_list_free(struct privacy_list **list)
{
    mem_free(list);
}

size_t
privacy_list_count(const struct privacy_list *list)
{
    return list ? list->n : 0;
}

size_t
privacy_list_size(const struct privacy_list *list)
{
    return list ? sizeof *list + list->size : 0;
}

bool
privacy_list_needs_roster(const struct privacy_list *list)
{
    return list && list->needs_roster;
}

struct str
privacy_list_bytes(const struct privacy_list *list)
{
    return list ? (struct str){ (const char *)list, privacy_list_size(list) }
                : STR_NULL;
}

const struct privacy_list *
privacy_list_view(const void *bytes)
{
    assert((uintptr_t)bytes % _Alignof(struct privacy_list) == 0);
    return bytes;
}

/* Numbers as put_number() writes them; false: it does not end in time. */
static bool
check_number(const unsigned char **at, const unsigned char *end, uint64_t *ret)
{
    const unsigned char *p = *at;

    while (p < end && p - *at < NUMBER_MAX && *p & 0x80)
        p++;
    if (p == end || p - *at == NUMBER_MAX)
        return false;
    *ret = get_number(at);
    return true;
}

/* The lengths of n texts and the texts: do they fit? */
static bool
check_texts(const unsigned char **at, const unsigned char *end, unsigned n)
{
    uint64_t size, sum = 0;

    for (unsigned i = 0; i < n; i++) {
        if (!check_number(at, end, &size) || size > PRIVACY_SIZE_MAX)
            return false;
        sum += size;
    }
    if (sum > (size_t)(end - *at))
        return false;
    *at += sum;
    return true;
}

static bool
check_item(const unsigned char **at, const unsigned char *end, bool *needs_roster)
{
    unsigned head = *(*at)++;
    uint64_t order;

    if (!check_number(at, end, &order))
        return false;
    switch ((enum privacy_type)(head & TYPE_MASK)) {
    case PRIVACY_ANY:
        return true;
    case PRIVACY_JID:
        return check_texts(at, end, 3);
    case PRIVACY_GROUP:
        *needs_roster = true;
        return check_texts(at, end, 1);
    case PRIVACY_SUBSCRIPTION:
        *needs_roster = true;
        return *at < end && *(*at)++ <= SUBSCRIPTION_KIND_BOTH;
    }
    return false;
}

int
privacy_list_from_bytes(struct str bytes, struct privacy_list **ret_list)
{
    struct privacy_list head, *list;
    const unsigned char *at, *end;
    bool needs_roster = false;
    uint32_t n = 0;

    if (bytes.n == 0) {
        *ret_list = NULL;
        return 0;
    }
    if (bytes.n < sizeof head)
        return -EINVAL;
    memcpy(&head.n, bytes.p + offsetof(struct privacy_list, n), sizeof head.n);
    memcpy(&head.size, bytes.p + offsetof(struct privacy_list, size), sizeof head.size);
    at = (const unsigned char *)bytes.p + offsetof(struct privacy_list, bytes);
    if (head.size != bytes.n - sizeof head)
        return -EINVAL;
    for (end = at + head.size; at < end; n++) {
        if (!check_item(&at, end, &needs_roster))
            return -EINVAL;
    }
    if (n == 0 || n != head.n)
        return -EINVAL;
    list = mem_alloc(bytes.n);
    memcpy(list, bytes.p, bytes.n);
    list->needs_roster = needs_roster;
    *ret_list = list;
    return 0;
}

bool
privacy_next(const struct privacy_list *list, size_t *at, struct privacy_item *ret_item)
{
    const unsigned char *p;

    if (!list || *at >= list->size)
        return false;
    p = list->bytes + *at;
    get_item(&p, ret_item);
    *at = (size_t)(p - list->bytes);
    return true;
}

enum privacy_stanza
privacy_stanza_of(const struct xml_el *stanza)
{
    enum presence_type type;

    switch (stanza_kind(stanza)) {
    case STANZA_MESSAGE:
        return PRIVACY_MESSAGE;
    case STANZA_IQ:
        return PRIVACY_IQ;
    case STANZA_PRESENCE:
        if (presence_type(stanza, &type) == 0 &&
                (type == PRESENCE_AVAILABLE || type == PRESENCE_UNAVAILABLE))
            return PRIVACY_NOTIFICATION;
        break;
    case STANZA_OTHER:
        break;
    }
    return PRIVACY_OTHER;
}

bool
privacy_jid_matches(const struct jid *rule, const struct jid *jid)
{
    /* Most rules are told apart by lengths alone. */
    if (rule->domain.n != jid->domain.n ||
            (rule->local.n > 0 && rule->local.n != jid->local.n) ||
            !str_eq(rule->domain, jid->domain))
        return false;
    if (jid_is_domain(rule))
        return true;
    return str_eq(rule->local, jid->local) &&
           (jid_is_bare(rule) || str_eq(rule->resource, jid->resource));
}

/* What a rule must be about to be about this stanza; the children of 2.1. */
static unsigned
match_of(enum privacy_way way, enum privacy_stanza stanza)
{
    switch (stanza) {
    case PRIVACY_MESSAGE:
        return way == PRIVACY_IN ? PRIVACY_MATCH_MESSAGE : 0;
    case PRIVACY_IQ:
        return way == PRIVACY_IN ? PRIVACY_MATCH_IQ : 0;
    case PRIVACY_NOTIFICATION:
        return way == PRIVACY_IN ? PRIVACY_MATCH_PRESENCE_IN
                                 : PRIVACY_MATCH_PRESENCE_OUT;
    case PRIVACY_OTHER:
        break;
    }
    return 0;
}

static bool
item_is_about(const struct privacy_item *item, const struct privacy_peer *peer)
{
    switch (item->type) {
    case PRIVACY_ANY:
        return true;
    case PRIVACY_JID:
        return privacy_jid_matches(&item->jid, &peer->jid);
    case PRIVACY_GROUP:
        return peer->in_group && peer->in_group(peer->arg, item->group);
    case PRIVACY_SUBSCRIPTION:
        return item->subscription == peer->subscription;
    }
    return false;
}

bool
privacy_item_blocks(const struct privacy_item *item)
{
    unsigned each = PRIVACY_MATCH_IQ | PRIVACY_MATCH_MESSAGE |
                    PRIVACY_MATCH_PRESENCE_IN | PRIVACY_MATCH_PRESENCE_OUT;

    return item->type == PRIVACY_JID && item->deny &&
           ((item->match & PRIVACY_MATCH_ALL) || (item->match & each) == each);
}

enum privacy_verdict
privacy_judge(const struct privacy_list *list, const struct jid *user,
        const struct privacy_peer *peer, enum privacy_way way,
        enum privacy_stanza stanza)
{
    unsigned match = PRIVACY_MATCH_ALL | match_of(way, stanza);
    struct privacy_item item;
    size_t at = 0;

    if (!list || jid_eq_bare(&peer->jid, user) ||
            (peer->jid.local.n == 0 && str_eq(peer->jid.domain, user->domain)))
        return PRIVACY_ALLOWED;
    while (privacy_next(list, &at, &item)) {
        if (!(item.match & match) || !item_is_about(&item, peer))
            continue;
        if (!item.deny)
            return PRIVACY_ALLOWED;
        return privacy_item_blocks(&item) ? PRIVACY_BLOCKED : PRIVACY_DENIED;
    }
    return PRIVACY_ALLOWED;
}

static struct xml_el *
refuse_inbound(struct arena *arena, const struct xml_el *stanza)
{
    enum message_type type;

    switch (stanza_kind(stanza)) {
    case STANZA_MESSAGE:
        type = message_type(stanza);
        if (type == MESSAGE_GROUPCHAT || type == MESSAGE_HEADLINE ||
                xml_child(stanza, "x", NS_MUC_USER))
            return NULL;
        break;
    case STANZA_IQ:
        break;
    case STANZA_PRESENCE:
    case STANZA_OTHER:
        return NULL;
    }
    return stanza_reply_error(
            arena, stanza, STANZA_ERROR_SERVICE_UNAVAILABLE, ERROR_TYPE_DEFAULT, NULL);
}

struct xml_el *
privacy_refusal(struct arena *arena, const struct xml_el *stanza, enum privacy_way way,
        enum privacy_verdict verdict)
{
    struct xml_el *reply;

    if (verdict == PRIVACY_ALLOWED)
        return NULL;
    if (way == PRIVACY_IN)
        return refuse_inbound(arena, stanza);
    reply = stanza_reply_error(
            arena, stanza, STANZA_ERROR_NOT_ACCEPTABLE, ERROR_TYPE_CANCEL, NULL);
    if (reply && verdict == PRIVACY_BLOCKED)
        xml_add(xml_child(reply, "error", NULL), "blocked", NS_BLOCKING_ERRORS);
    return reply;
}

int
privacy_item_from_row(struct arena *arena, const struct privacy_row *row,
        struct privacy_item *ret_item)
{
    struct privacy_item item = { .order = row->ord };

    if (row->action != 'a' && row->action != 'd')
        return -EINVAL;
    item.deny = row->action == 'd';
    switch (row->t) {
    case 'n':
        item.type = PRIVACY_ANY;
        break;
    case 'j':
        item.type = PRIVACY_JID;
        if (jid_parse(arena, row->value, &item.jid) < 0)
            return -EINVAL;
        break;
    case 'g':
        item.type = PRIVACY_GROUP;
        item.group = row->value;
        break;
    case 's':
        item.type = PRIVACY_SUBSCRIPTION;
        if (subscription_kind_from(row->value, &item.subscription) < 0)
            return -EINVAL;
        break;
    default:
        return -EINVAL;
    }
    item.match = (row->match_all ? PRIVACY_MATCH_ALL : 0) |
                 (row->match_iq ? PRIVACY_MATCH_IQ : 0) |
                 (row->match_message ? PRIVACY_MATCH_MESSAGE : 0) |
                 (row->match_presence_in ? PRIVACY_MATCH_PRESENCE_IN : 0) |
                 (row->match_presence_out ? PRIVACY_MATCH_PRESENCE_OUT : 0);
    *ret_item = item;
    return 0;
}

struct str
privacy_item_value(struct arena *arena, const struct privacy_item *item)
{
    switch (item->type) {
    case PRIVACY_ANY:
        break;
    case PRIVACY_JID:
        return jid_text(arena, &item->jid);
    case PRIVACY_GROUP:
        return str_dup(arena, item->group);
    case PRIVACY_SUBSCRIPTION:
        return str_from(subscription_kind_name(item->subscription));
    }
    return STR("");
}

void
privacy_item_to_row(struct arena *arena, const struct privacy_item *item,
        struct privacy_row *ret_row)
{
    static const char letters[] = {
        [PRIVACY_ANY] = 'n',
        [PRIVACY_JID] = 'j',
        [PRIVACY_GROUP] = 'g',
        [PRIVACY_SUBSCRIPTION] = 's',
    };
    struct privacy_row row = {
        .t = letters[item->type],
        .action = item->deny ? 'd' : 'a',
        .match_all = item->match & PRIVACY_MATCH_ALL,
        .match_iq = item->match & PRIVACY_MATCH_IQ,
        .match_message = item->match & PRIVACY_MATCH_MESSAGE,
        .match_presence_in = item->match & PRIVACY_MATCH_PRESENCE_IN,
        .match_presence_out = item->match & PRIVACY_MATCH_PRESENCE_OUT,
        .ord = item->order,
        .value = privacy_item_value(arena, item),
    };

    *ret_row = row;
}
