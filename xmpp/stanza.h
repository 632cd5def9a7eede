#ifndef XMPP_STANZA_H
#define XMPP_STANZA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "xml/el.h"
#include "xmpp/error.h"

struct arena;

enum stanza_kind {
    STANZA_MESSAGE,
    STANZA_PRESENCE,
    STANZA_IQ,
    STANZA_OTHER /* not a stanza: an element of stream negotiation or of an extension */
};

enum message_type {
    MESSAGE_NORMAL,
    MESSAGE_CHAT,
    MESSAGE_GROUPCHAT,
    MESSAGE_HEADLINE,
    MESSAGE_ERROR,
    MESSAGE_TYPES
};

enum presence_type {
    PRESENCE_AVAILABLE,
    PRESENCE_UNAVAILABLE,
    PRESENCE_SUBSCRIBE,
    PRESENCE_SUBSCRIBED,
    PRESENCE_UNSUBSCRIBE,
    PRESENCE_UNSUBSCRIBED,
    PRESENCE_PROBE,
    PRESENCE_ERROR,
    PRESENCE_TYPES
};

enum iq_type {
    IQ_GET,
    IQ_SET,
    IQ_RESULT,
    IQ_ERROR,
    IQ_TYPES
};

/*
 * By name, in the namespaces jabber:client, jabber:server and jabber:component:accept.
 */
enum stanza_kind stanza_kind(const struct xml_el *el);

/* Unknown or absent: normal (RFC 6121, 5.2.2). */
enum message_type message_type(const struct xml_el *el);
/* 0, or -EINVAL: a type that RFC 6121, 4.7.1 does not know (answer bad-request). */
int presence_type(const struct xml_el *el, enum presence_type *ret_type);
/*
 * 0, or -EINVAL: no id, an unknown type, or not exactly one child in a get or set, more
 * than one in a result (RFC 6120, 8.2.3): answer bad-request.
 */
int iq_type(const struct xml_el *el, enum iq_type *ret_type);

const char *message_type_name(enum message_type type);   /* "chat" */
const char *presence_type_name(enum presence_type type); /* "" for available */
const char *iq_type_name(enum iq_type type);

/* type='error'? */
bool stanza_is_error(const struct xml_el *el);

/* The one child element of an iq that carries the request; NULL if there is none. */
struct xml_el *iq_payload(const struct xml_el *iq);

/* 0 when absent; -EINVAL when it is no number from -128 to 127. */
int presence_priority(const struct xml_el *presence, int8_t *ret_priority);

/*
 * Replies are new trees in arena: from and to exchanged, id kept, in the stanza's
 * namespace; strings are copied, so that they outlive the request.
 */

/* <iq type='result'/>, to which a payload may be added. */
struct xml_el *iq_result(struct arena *arena, const struct xml_el *iq);
/* <iq type='result'><name xmlns='ns'/></iq>; *ret_payload: the child. */
struct xml_el *iq_result_with(struct arena *arena, const struct xml_el *iq,
        const char *name, const char *ns, struct xml_el **ret_payload);

/*
 * The error that answers a stanza, or NULL where none may be sent: in reply to an error
 * or to an iq result (RFC 6120, 8.3.1). The payload is not echoed: it may be large, and
 * the sender knows it by its id. type: usually ERROR_TYPE_DEFAULT; text may be NULL.
 */
struct xml_el *stanza_reply_error(struct arena *arena, const struct xml_el *stanza,
        enum stanza_error e, enum stanza_error_type type, const char *text);

#endif
