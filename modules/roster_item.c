/*
 * roster_item.c -- items of a roster as XML (RFC 6121, 2.1.2)
 *
 * Of what a client sends, only the address, the name, the groups and the wish to remove
 * count; what it says of subscriptions is ignored (2.1.2.2, 2.1.2.5).
 */
#include "base/rand.h"
#include "modules/roster.h"

static void
attr_write(struct buf *out, const struct contact *c)
{
    struct subscription s = roster_subscription(c);

    xml_put(out, "subscription",
            str_from(subscription_kind_name(subscription_kind(s))));
    if (subscription_pending_out(s))
        xml_put(out, "ask", STR("subscribe"));
    if (s.approved)
        xml_put(out, "approved", STR("true"));
}

void
roster_item_write(struct buf *out, const struct contact *c, bool gone)
{
    struct str groups = c->groups, group;

    xml_open(out, "item");
    xml_put(out, "jid", c->jid);
    if (gone) {
        xml_put(out, "subscription", STR("remove"));
        buf_add_c(out, "/>");
        return;
    }
    if (c->name.n)
        xml_put(out, "name", c->name);
    attr_write(out, c);
    if (groups.n == 0) {
        buf_add_c(out, "/>");
        return;
    }
    buf_add_char(out, '>');
    while (contact_group_next(&groups, &group))
        xml_leaf(out, "group", group);
    buf_add_c(out, "</item>");
}

/* From the account itself, as clients check (2.1.6). */
void
roster_push_write(struct buf *out, struct str full, struct str version,
        const struct contact *c, bool gone)
{
    struct str bare = full;
    const char *slash = memchr(full.p, '/', full.n);
    char id[17];

    if (slash)
        bare.n = (size_t)(slash - full.p);
    rand_text(id, sizeof id - 1);
    xml_open(out, "iq");
    xml_put(out, "type", STR("set"));
    xml_put(out, "id", str_from(id));
    xml_put(out, "from", bare);
    xml_put(out, "to", full);
    buf_add_c(out, "><query xmlns='" NS_ROSTER "'");
    xml_put(out, "ver", version);
    buf_add_char(out, '>');
    roster_item_write(out, c, gone);
    buf_add_c(out, "</query></iq>");
}

/* --- What a client sends --- */

static int
fail(enum stanza_error e, enum stanza_error *ret)
{
    *ret = e;
    return -1;
}

static bool
has_group(const struct buf *groups, struct str name)
{
    return contact_in_group(&(struct contact){ .groups = buf_str(groups) }, name);
}

/* 2.3.3 */
static int
groups_read(const struct xml_el *item, struct buf *groups, enum stanza_error *ret_error)
{
    size_t n = 0;

    xml_for(el, item, "group", NS_ROSTER)
    {
        struct str name = xml_text(el);

        if (name.n == 0 || name.n > ROSTER_GROUP_MAX || ++n > ROSTER_GROUPS_MAX)
            return fail(STANZA_ERROR_NOT_ACCEPTABLE, ret_error);
        if (has_group(groups, name))
            return fail(STANZA_ERROR_BAD_REQUEST, ret_error);
        contact_group_add(groups, name);
    }
    return 0;
}

int
roster_item_read(struct arena *arena, const struct xml_el *query, struct jid own,
        struct buf *groups, struct contact *ret, enum stanza_error *ret_error)
{
    struct xml_el *item = xml_child(query, NULL, NULL);
    struct contact c = { .name = xml_attr(item, "name") };
    struct str text = xml_attr(item, "jid");
    struct jid jid;

    if (!xml_is(item, "item", NS_ROSTER) || xml_next(item, NULL, NULL) || !text.p)
        return fail(STANZA_ERROR_BAD_REQUEST, ret_error);
    if (jid_parse(arena, text, &jid) < 0)
        return fail(STANZA_ERROR_JID_MALFORMED, ret_error);
    if (jid_eq_bare(&jid, &own))
        return fail(STANZA_ERROR_NOT_ALLOWED, ret_error);
    c.jid = jid_text(arena, &jid);
    if (str_eq_c(xml_attr(item, "subscription"), "remove")) {
        *ret = c;
        return 1;
    }
    if (c.name.n > ROSTER_NAME_MAX)
        return fail(STANZA_ERROR_NOT_ACCEPTABLE, ret_error);
    if (groups_read(item, groups, ret_error) < 0)
        return -1;
    c.groups = buf_str(groups);
    *ret = c;
    return 0;
}
