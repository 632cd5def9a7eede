/*
 * stanza_id.c -- names of stanzas that do not change (XEP-0359)
 */
#include "xmpp/stanza_id.h"

#include <stdbool.h>

#include "xml/el.h"
#include "xml/writer.h"
#include "xmpp/jid.h"
#include "xmpp/ns.h"

struct xml_el *
stanza_id_add(struct xml_el *stanza, struct str by, struct str id)
{
    struct xml_el *el = xml_add(stanza, "stanza-id", NS_SID);

    xml_set(el, "by", by);
    xml_set(el, "id", id);
    return el;
}

void
stanza_id_write(struct buf *out, struct str by, struct str id)
{
    buf_add_c(out, "<stanza-id xmlns='" NS_SID "'");
    xml_put(out, "by", by);
    xml_put(out, "id", id);
    buf_add_c(out, "/>");
}

static bool
is_by(const struct xml_el *el, const struct jid *by)
{
    struct jid jid;

    return jid_parse(el->arena, xml_attr(el, "by"), &jid) == 0 && jid_eq(&jid, by);
}

struct str
stanza_id_get(const struct xml_el *stanza, const struct jid *by)
{
    xml_for(c, stanza, "stanza-id", NS_SID)
    {
        struct str id = xml_attr(c, "id");

        if (id.n > 0 && is_by(c, by))
            return id;
    }
    return STR_NULL;
}

static bool
gives_id_by(const struct xml_el *el, const void *by)
{
    return (xml_is(el, "stanza-id", NS_SID) || xml_is(el, "archived", NS_MAM_TMP)) &&
           is_by(el, by);
}

size_t
stanza_id_remove(struct xml_el *stanza, const struct jid *by)
{
    return xml_remove_if(stanza, gives_id_by, by);
}

struct str
origin_id_get(const struct xml_el *stanza)
{
    return xml_attr(xml_child(stanza, "origin-id", NS_SID), "id");
}

struct xml_el *
origin_id_add(struct xml_el *stanza, struct str id)
{
    struct xml_el *el = xml_add(stanza, "origin-id", NS_SID);

    xml_set(el, "id", id);
    return el;
}
