/*
 * privacy_xml.c -- privacy lists as clients write and read them (XEP-0016, 2)
 */
#include "xmpp/privacy.h"

#include <errno.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/mem.h"
#include "xmpp/ns.h"

static const char *const type_names[] = {
    [PRIVACY_ANY] = NULL,
    [PRIVACY_JID] = "jid",
    [PRIVACY_GROUP] = "group",
    [PRIVACY_SUBSCRIPTION] = "subscription",
};

static const struct {
    const char *name;
    enum privacy_match match;
} children[] = {
    { "message", PRIVACY_MATCH_MESSAGE },
    { "iq", PRIVACY_MATCH_IQ },
    { "presence-in", PRIVACY_MATCH_PRESENCE_IN },
    { "presence-out", PRIVACY_MATCH_PRESENCE_OUT },
};

static int
request_get(const struct xml_el *query, struct privacy_request *ret)
{
    const struct xml_el *list = xml_child(query, NULL, NULL);

    if (!list) {
        *ret = (struct privacy_request){ .op = PRIVACY_GET_NAMES };
        return 0;
    }
    /* One at a time (2.3) */
    if (xml_next(list, NULL, NULL) || !xml_is(list, "list", NS_PRIVACY) ||
            xml_attr(list, "name").n == 0)
        return -EINVAL;
    *ret = (struct privacy_request){ .op = PRIVACY_GET_LIST,
        .name = xml_attr(list, "name") };
    return 0;
}

static int
request_set(const struct xml_el *query, struct privacy_request *ret)
{
    const struct xml_el *el = xml_child(query, NULL, NULL);
    struct privacy_request r = { .name = xml_attr(el, "name") };

    if (!el || xml_next(el, NULL, NULL))
        return -EINVAL;
    if (xml_is(el, "active", NS_PRIVACY)) {
        r.op = PRIVACY_SET_ACTIVE;
    } else if (xml_is(el, "default", NS_PRIVACY)) {
        r.op = PRIVACY_SET_DEFAULT;
    } else if (xml_is(el, "list", NS_PRIVACY) && r.name.n > 0) {
        r.op = xml_child(el, NULL, NULL) ? PRIVACY_SET_LIST : PRIVACY_REMOVE_LIST;
        r.list = r.op == PRIVACY_SET_LIST ? el : NULL;
    } else {
        return -EINVAL;
    }
    *ret = r;
    return 0;
}

int
privacy_request(const struct xml_el *query, enum iq_type type,
        struct privacy_request *ret_request)
{
    return type == IQ_GET ? request_get(query, ret_request)
                          : request_set(query, ret_request);
}

static int
read_value(struct arena *arena, struct str type, struct str value,
        struct privacy_item *item)
{
    if (!type.p) {
        item->type = PRIVACY_ANY;
        return 0;
    }
    if (str_eq(type, STR("jid"))) {
        item->type = PRIVACY_JID;
        return jid_parse(arena, value, &item->jid);
    }
    if (str_eq(type, STR("group"))) {
        item->type = PRIVACY_GROUP;
        item->group = value;
        return value.n > 0 ? 0 : -EINVAL;
    }
    if (str_eq(type, STR("subscription"))) {
        item->type = PRIVACY_SUBSCRIPTION;
        return subscription_kind_from(value, &item->subscription);
    }
    return -EINVAL;
}

static int
read_item(struct arena *arena, const struct xml_el *el, struct privacy_item *ret)
{
    struct privacy_item item = { 0 };
    struct str action = xml_attr(el, "action"), order = xml_attr(el, "order");

    if (str_eq(action, STR("deny")))
        item.deny = true;
    else if (!str_eq(action, STR("allow")))
        return -EINVAL;
    if (str_to_u64(str_trim(order), &item.order) < 0 || item.order > UINT32_MAX)
        return -EINVAL;
    if (read_value(arena, xml_attr(el, "type"), xml_attr(el, "value"), &item) < 0)
        return -EINVAL;
    for (size_t i = 0; i < ARRAY_LEN(children); i++)
        if (xml_child(el, children[i].name, NS_PRIVACY))
            item.match |= children[i].match;
    if (item.match == 0)
        item.match = PRIVACY_MATCH_ALL;
    *ret = item;
    return 0;
}

static size_t
count_items(const struct xml_el *list)
{
    size_t n = 0;

    xml_for(el, list, "item", NS_PRIVACY) n++;
    return n;
}

/* The packed list is sorted: equal orders are neighbours. */
static bool
orders_differ(const struct privacy_list *list)
{
    struct privacy_item item;
    uint64_t before = 0;
    size_t at = 0;
    bool first = true;

    while (privacy_next(list, &at, &item)) {
        if (!first && item.order == before)
            return false;
        before = item.order;
        first = false;
    }
    return true;
}

int
privacy_list_read(struct arena *arena, const struct xml_el *list,
        bool (*has_group)(void *arg, struct str group), void *arg,
        struct privacy_list **ret_list, enum stanza_error *ret_error)
{
    enum stanza_error error = STANZA_ERROR_BAD_REQUEST;
    size_t n_items = count_items(list), n = 0;
    struct privacy_list *made = NULL;
    struct privacy_item *items;

    if (n_items == 0)
        goto refused;
    if (n_items > PRIVACY_ITEMS_MAX) {
        error = STANZA_ERROR_RESOURCE_CONSTRAINT;
        goto refused;
    }
    items = arena_zalloc(arena, (n_items + 1) * sizeof *items);
    xml_for(el, list, "item", NS_PRIVACY)
    {
        if (read_item(arena, el, &items[n]) < 0)
            goto refused;
        if (items[n].type == PRIVACY_GROUP && has_group &&
                !has_group(arg, items[n].group)) {
            error = STANZA_ERROR_ITEM_NOT_FOUND;
            goto refused;
        }
        n++;
    }
    made = privacy_list_new(items, n);
    if (!orders_differ(made))
        goto refused;
    if (privacy_list_size(made) > PRIVACY_SIZE_MAX) {
        error = STANZA_ERROR_RESOURCE_CONSTRAINT;
        goto refused;
    }
    *ret_list = made;
    return 0;
refused:
    privacy_list_free(&made);
    *ret_error = error;
    return -EINVAL;
}

static void
set_number(struct xml_el *el, const char *name, uint64_t value)
{
    char digits[24];
    int n = snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);

    xml_set(el, name, str_dup(el->arena, (struct str){ digits, (size_t)n }));
}

static void
write_item(const struct privacy_item *item, struct xml_el *list)
{
    struct xml_el *el = xml_add(list, "item", NULL);

    if (item->type != PRIVACY_ANY) {
        xml_set_c(el, "type", type_names[item->type]);
        xml_set(el, "value", privacy_item_value(el->arena, item));
    }
    xml_set_c(el, "action", item->deny ? "deny" : "allow");
    set_number(el, "order", item->order);
    if (item->match & PRIVACY_MATCH_ALL)
        return;
    for (size_t i = 0; i < ARRAY_LEN(children); i++)
        if (item->match & children[i].match)
            xml_add(el, children[i].name, NULL);
}

struct xml_el *
privacy_list_write(
        const struct privacy_list *list, struct str name, struct xml_el *query)
{
    struct xml_el *el = xml_add(query, "list", NS_PRIVACY);
    struct privacy_item item;
    size_t at = 0;

    xml_set(el, "name", str_dup(el->arena, name));
    while (privacy_next(list, &at, &item))
        write_item(&item, el);
    return el;
}
