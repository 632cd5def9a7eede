#ifndef XMPP_ERROR_H
#define XMPP_ERROR_H

#include "base/buf.h"
#include "base/str.h"
#include "xml/parser.h"

struct xml_el;

enum stream_error {
#define STREAM_ERROR(id, name, section) STREAM_ERROR_##id,
#include "xmpp/error.def"
    STREAM_ERRORS
};

enum stanza_error {
#define STANZA_ERROR(id, name, type, code, section) STANZA_ERROR_##id,
#include "xmpp/error.def"
    STANZA_ERRORS
};

enum stanza_error_type {
    ERROR_TYPE_DEFAULT, /* what RFC 6120 says for the condition */
    ERROR_TYPE_AUTH,
    ERROR_TYPE_CANCEL,
    ERROR_TYPE_CONTINUE,
    ERROR_TYPE_MODIFY,
    ERROR_TYPE_WAIT
};

enum sasl_error {
#define SASL_ERROR(id, name, section) SASL_ERROR_##id,
#include "xmpp/error.def"
    SASL_ERRORS
};

const char *stream_error_name(enum stream_error e); /* "bad-format" */
const char *stanza_error_name(enum stanza_error e);
const char *stanza_error_type_name(enum stanza_error_type type); /* "cancel" */
const char *sasl_error_name(enum sasl_error e);
enum stanza_error_type stanza_error_default_type(enum stanza_error e);
unsigned stanza_error_code(enum stanza_error e); /* the legacy one: 404 (XEP-0086) */

/* By name: 0 or -EINVAL. */
int stream_error_from(struct str name, enum stream_error *ret);
int stanza_error_from(struct str name, enum stanza_error *ret);
int sasl_error_from(struct str name, enum sasl_error *ret);

/*
 * <stream:error>…</stream:error>, where the prefix stream is declared. text and lang
 * may be empty: without text only the condition; without lang "en".
 */
void stream_error_write(
        struct buf *out, enum stream_error e, struct str text, struct str lang);
/* see-other-host, with the host (and port) to go to. */
void stream_error_write_see_other_host(struct buf *out, struct str host);
/* The condition that a received <stream:error/> holds; undefined-condition if none. */
enum stream_error stream_error_of(const struct xml_el *el);
/* What the peer is told when the parser gave up. e is an error, not OK or STOPPED. */
enum stream_error stream_error_of_xml(enum xml_error e);

/* <failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>…; text may be empty. */
void sasl_error_write(struct buf *out, enum sasl_error e, struct str text);

/*
 * Adds <error type='…'><condition/><text/></error> to a stanza. text may be NULL; it is
 * not copied. Returns the <error/> element, for an application's condition.
 */
struct xml_el *stanza_error_add(struct xml_el *stanza, enum stanza_error e,
        enum stanza_error_type type, const char *text);
/* The condition in a received stanza of type error; undefined-condition if none. */
enum stanza_error stanza_error_of(const struct xml_el *stanza);

#endif
