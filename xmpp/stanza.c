/*
 * stanza.c -- messages, presences and iqs: what they are, and replies to them
 */
#include "xmpp/stanza.h"

#include <errno.h>

#include "base/arena.h"
#include "base/mem.h"
#include "xmpp/ns.h"

static const char *const kind_names[] = {
    [STANZA_MESSAGE] = "message",
    [STANZA_PRESENCE] = "presence",
    [STANZA_IQ] = "iq",
};

static const char *const message_names[MESSAGE_TYPES] = {
    [MESSAGE_NORMAL] = "normal",
    [MESSAGE_CHAT] = "chat",
    [MESSAGE_GROUPCHAT] = "groupchat",
    [MESSAGE_HEADLINE] = "headline",
    [MESSAGE_ERROR] = "error",
};

static const char *const presence_names[PRESENCE_TYPES] = {
    [PRESENCE_AVAILABLE] = "",
    [PRESENCE_UNAVAILABLE] = "unavailable",
    [PRESENCE_SUBSCRIBE] = "subscribe",
    [PRESENCE_SUBSCRIBED] = "subscribed",
    [PRESENCE_UNSUBSCRIBE] = "unsubscribe",
    [PRESENCE_UNSUBSCRIBED] = "unsubscribed",
    [PRESENCE_PROBE] = "probe",
    [PRESENCE_ERROR] = "error",
};

static const char *const iq_names[IQ_TYPES] = {
    [IQ_GET] = "get",
    [IQ_SET] = "set",
    [IQ_RESULT] = "result",
    [IQ_ERROR] = "error",
};

/* The place of name among n names, or n. */
static unsigned
place(const char *const names[], unsigned n, struct str name)
{
    unsigned i = 0;

    while (i < n && !str_eq_c(name, names[i]))
        i++;
    return i;
}

enum stanza_kind
stanza_kind(const struct xml_el *el)
{
    if (!str_eq(el->ns, STR(NS_CLIENT)) && !str_eq(el->ns, STR(NS_SERVER)) &&
            !str_eq(el->ns, STR(NS_COMPONENT)))
        return STANZA_OTHER;
    return (enum stanza_kind)place(kind_names, ARRAY_LEN(kind_names), el->name);
}

enum message_type
message_type(const struct xml_el *el)
{
    unsigned i = place(message_names, MESSAGE_TYPES, xml_attr(el, "type"));

    return i < MESSAGE_TYPES ? (enum message_type)i : MESSAGE_NORMAL;
}

int
presence_type(const struct xml_el *el, enum presence_type *ret_type)
{
    struct str type = xml_attr(el, "type");
    unsigned i = place(presence_names, PRESENCE_TYPES, type);

    if (i == PRESENCE_TYPES || (i == PRESENCE_AVAILABLE && type.p))
        return -EINVAL;
    *ret_type = (enum presence_type)i;
    return 0;
}

static unsigned
count_children(const struct xml_el *el)
{
    unsigned n = 0;

    xml_for(c, el, NULL, NULL) n++;
    return n;
}

int
iq_type(const struct xml_el *el, enum iq_type *ret_type)
{
    unsigned i = place(iq_names, IQ_TYPES, xml_attr(el, "type"));
    unsigned n = count_children(el);

    if (i == IQ_TYPES || xml_attr(el, "id").n == 0)
        return -EINVAL;
    if (((i == IQ_GET || i == IQ_SET) && n != 1) || (i == IQ_RESULT && n > 1))
        return -EINVAL;
    *ret_type = (enum iq_type)i;
    return 0;
}

const char *
message_type_name(enum message_type type)
{
    return message_names[type];
}

const char *
presence_type_name(enum presence_type type)
{
    return presence_names[type];
}

const char *
iq_type_name(enum iq_type type)
{
    return iq_names[type];
}

bool
stanza_is_error(const struct xml_el *el)
{
    return str_eq(xml_attr(el, "type"), STR("error"));
}

struct xml_el *
iq_payload(const struct xml_el *iq)
{
    xml_for(c, iq, NULL,
            NULL) if (!(xml_is(c, "error", NULL) && str_eq(c->ns, iq->ns))) return c;
    return NULL;
}

int
presence_priority(const struct xml_el *presence, int8_t *ret_priority)
{
    const struct xml_el *el;
    int64_t value = 0;

    for (el = xml_child(presence, "priority", NULL); el;
            el = xml_next(el, "priority", NULL))
        if (str_eq(el->ns, presence->ns))
            break;
    if (el && (str_to_i64(str_trim(xml_text(el)), &value) < 0 || value < INT8_MIN ||
                      value > INT8_MAX))
        return -EINVAL;
    *ret_priority = (int8_t)value;
    return 0;
}

static struct str
dup(struct arena *arena, struct str s)
{
    return s.p ? str_dup(arena, s) : STR_NULL;
}

static struct xml_el *
reply(struct arena *arena, const struct xml_el *stanza, const char *type)
{
    struct xml_el *el =
            xml_el_new_str(arena, str_dup(arena, stanza->name), dup(arena, stanza->ns));

    xml_set_c(el, "type", type);
    xml_set(el, "from", dup(arena, xml_attr(stanza, "to")));
    xml_set(el, "to", dup(arena, xml_attr(stanza, "from")));
    xml_set(el, "id", dup(arena, xml_attr(stanza, "id")));
    return el;
}

struct xml_el *
iq_result(struct arena *arena, const struct xml_el *iq)
{
    return reply(arena, iq, "result");
}

struct xml_el *
iq_result_with(struct arena *arena, const struct xml_el *iq, const char *name,
        const char *ns, struct xml_el **ret_payload)
{
    struct xml_el *el = iq_result(arena, iq);

    *ret_payload = xml_add(el, name, ns);
    return el;
}

struct xml_el *
stanza_reply_error(struct arena *arena, const struct xml_el *stanza,
        enum stanza_error e, enum stanza_error_type type, const char *text)
{
    struct xml_el *el;

    if (stanza_is_error(stanza))
        return NULL;
    if (xml_is(stanza, "iq", NULL) && str_eq(xml_attr(stanza, "type"), STR("result")))
        return NULL;
    el = reply(arena, stanza, "error");
    stanza_error_add(el, e, type, text);
    return el;
}
