/*
 * privacy_push.c -- what the user's other sessions hear of a change
 *
 * Pushes go out in the transaction in which the change is told to the workers, so they
 * come in the order of the changes.
 */
#include "modules/privacy.h"

#include <stdio.h>

#include "base/hash.h"
#include "xmpp/blocking.h"

static bool
to_all(const struct route_entry *entry, void *arg)
{
    (void)entry, (void)arg;
    return true;
}

static bool
to_those_who_asked(const struct route_entry *entry, void *arg)
{
    (void)arg;
    return entry->flags & ROUTE_BLOCKLIST;
}

static void
push(struct job *j, struct xml_el *payload,
        bool (*fits)(const struct route_entry *entry, void *arg))
{
    struct xml_el *iq = xml_el_new(j->arena, "iq", NS_CLIENT);
    char id[40];

    snprintf(id, sizeof id, "push-%llx", (unsigned long long)worker_stamp_us(j->w));
    xml_set_c(iq, "type", "set");
    xml_set(iq, "id", str_dup(j->arena, str_from(id)));
    xml_set(iq, "from", account_bare(j->account));
    xml_add_el(iq, payload);
    route_to_sessions(j->w, account_bare(j->account), iq, fits, NULL);
}

/* XEP-0016, 2.2, 10: the name only. */
void
privacy_push_list(struct job *j, struct str name)
{
    struct xml_el *query = xml_el_new(j->arena, "query", NS_PRIVACY);

    xml_set(xml_add(query, "list", NULL), "name", name);
    push(j, query, to_all);
}

/* --- The block list --- */

static struct xml_el *
blocked(struct job *j, struct str bytes)
{
    struct xml_el *el = xml_el_new(j->arena, "blocklist", NS_BLOCKING);
    struct privacy_list *list = NULL;

    privacy_list_from_bytes(bytes, &list);
    blocking_write(list, el);
    privacy_list_free(&list);
    return el;
}

/* The items that are not in the other block list. */
static void
push_difference(struct job *j, const char *name, const struct xml_el *of,
        const struct xml_el *other)
{
    struct xml_el *el = xml_el_new(j->arena, name, NS_BLOCKING);
    struct map there = { 0 };

    xml_for(item, other, NULL, NULL) map_set(&there, xml_attr(item, "jid"), j);
    xml_for(item, of, NULL, NULL)
    {
        struct str jid = xml_attr(item, "jid");

        if (!map_get(&there, jid))
            xml_set(xml_add(el, "item", NULL), "jid", jid);
    }
    map_fini(&there);
    if (xml_child(el, NULL, NULL))
        push(j, el, to_those_who_asked);
}

/*
 * A request of XEP-0191 is told as it was made (3.3 to 3.5); what has come by XEP-0016,
 * as the difference that it makes (XEP-0191, 5).
 */
void
privacy_push_blocks(struct job *j, const struct privacy_note *note)
{
    struct blocking_request request;
    enum stanza_error error;
    struct xml_el *before, *after;

    if (xml_is(j->payload, NULL, NS_BLOCKING)) {
        if (blocking_request(
                    j->arena, j->payload, (enum iq_type)j->type, &request, &error) == 0)
            push(j, blocking_push(j->arena, &request), to_those_who_asked);
        return;
    }
    before = blocked(j, note->before);
    after = blocked(j, note->after);
    push_difference(j, "unblock", before, after);
    push_difference(j, "block", after, before);
}
