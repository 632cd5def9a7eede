/*
 * error.c -- conditions of errors, by name and on the wire
 */
#include "xmpp/error.h"

#include <assert.h>
#include <errno.h>

#include "base/mem.h"
#include "xml/el.h"
#include "xml/writer.h"
#include "xmpp/ns.h"

static const char *const stream_names[] = {
#define STREAM_ERROR(id, name, section) name,
#include "xmpp/error.def"
};

#define AUTH   ERROR_TYPE_AUTH
#define CANCEL ERROR_TYPE_CANCEL
#define MODIFY ERROR_TYPE_MODIFY
#define WAIT   ERROR_TYPE_WAIT
static const struct {
    const char *name;
    enum stanza_error_type type;
    unsigned code;
} stanza_conditions[] = {
#define STANZA_ERROR(id, name, type, code, section) { name, type, code },
#include "xmpp/error.def"
};

static const char *const sasl_names[] = {
#define SASL_ERROR(id, name, section) name,
#include "xmpp/error.def"
};

const char *
stream_error_name(enum stream_error e)
{
    return stream_names[e];
}

const char *
stanza_error_name(enum stanza_error e)
{
    return stanza_conditions[e].name;
}

const char *
sasl_error_name(enum sasl_error e)
{
    return sasl_names[e];
}

enum stanza_error_type
stanza_error_default_type(enum stanza_error e)
{
    return stanza_conditions[e].type;
}

unsigned
stanza_error_code(enum stanza_error e)
{
    return stanza_conditions[e].code;
}

const char *
stanza_error_type_name(enum stanza_error_type type)
{
    static const char *const names[] = {
        [ERROR_TYPE_DEFAULT] = "",
        [ERROR_TYPE_AUTH] = "auth",
        [ERROR_TYPE_CANCEL] = "cancel",
        [ERROR_TYPE_CONTINUE] = "continue",
        [ERROR_TYPE_MODIFY] = "modify",
        [ERROR_TYPE_WAIT] = "wait",
    };

    return names[type];
}

int
stream_error_from(struct str name, enum stream_error *ret)
{
    for (unsigned i = 0; i < STREAM_ERRORS; i++) {
        if (str_eq_c(name, stream_names[i])) {
            *ret = (enum stream_error)i;
            return 0;
        }
    }
    return -EINVAL;
}

int
stanza_error_from(struct str name, enum stanza_error *ret)
{
    for (unsigned i = 0; i < STANZA_ERRORS; i++) {
        if (str_eq_c(name, stanza_conditions[i].name)) {
            *ret = (enum stanza_error)i;
            return 0;
        }
    }
    return -EINVAL;
}

int
sasl_error_from(struct str name, enum sasl_error *ret)
{
    for (unsigned i = 0; i < SASL_ERRORS; i++) {
        if (str_eq_c(name, sasl_names[i])) {
            *ret = (enum sasl_error)i;
            return 0;
        }
    }
    return -EINVAL;
}

void
stream_error_write(
        struct buf *out, enum stream_error e, struct str text, struct str lang)
{
    buf_add_c(out, "<stream:error><");
    buf_add_c(out, stream_error_name(e));
    buf_add_c(out, " xmlns='" NS_STREAM_ERROR "'/>");
    if (text.n > 0) {
        buf_add_c(out, "<text xmlns='" NS_STREAM_ERROR "'");
        xml_put(out, "xml:lang", lang.n > 0 ? lang : STR("en"));
        buf_add_char(out, '>');
        xml_escape(out, text);
        buf_add_c(out, "</text>");
    }
    buf_add_c(out, "</stream:error>");
}

void
stream_error_write_see_other_host(struct buf *out, struct str host)
{
    buf_add_c(out, "<stream:error><see-other-host xmlns='" NS_STREAM_ERROR "'>");
    xml_escape(out, host);
    buf_add_c(out, "</see-other-host></stream:error>");
}

enum stream_error
stream_error_of(const struct xml_el *el)
{
    enum stream_error e;

    xml_for(c, el, NULL,
            NS_STREAM_ERROR) if (stream_error_from(c->name, &e) == 0) return e;
    return STREAM_ERROR_UNDEFINED_CONDITION;
}

enum stream_error
stream_error_of_xml(enum xml_error e)
{
    assert(e != XML_OK && e != XML_STOPPED);
    switch (e) {
    case XML_ERR_NOT_WELL_FORMED:
    case XML_ERR_NAMESPACE:
        return STREAM_ERROR_NOT_WELL_FORMED;
    case XML_ERR_RESTRICTED:
        return STREAM_ERROR_RESTRICTED_XML;
    case XML_ERR_BAD_ENCODING:
        return STREAM_ERROR_UNSUPPORTED_ENCODING;
    case XML_ERR_TEXT:
        return STREAM_ERROR_BAD_FORMAT;
    case XML_ERR_PREFIX:
        return STREAM_ERROR_BAD_NAMESPACE_PREFIX;
    case XML_ERR_TOO_BIG:
    case XML_ERR_TOO_DEEP:
    case XML_ERR_TOO_MANY:
        return STREAM_ERROR_POLICY_VIOLATION;
    case XML_OK:
    case XML_STOPPED:
        break;
    }
    return STREAM_ERROR_UNDEFINED_CONDITION;
}

void
sasl_error_write(struct buf *out, enum sasl_error e, struct str text)
{
    buf_add_c(out, "<failure xmlns='" NS_SASL "'><");
    buf_add_c(out, sasl_error_name(e));
    buf_add_c(out, "/>");
    if (text.n > 0) {
        buf_add_c(out, "<text xml:lang='en'>");
        xml_escape(out, text);
        buf_add_c(out, "</text>");
    }
    buf_add_c(out, "</failure>");
}

struct xml_el *
stanza_error_add(struct xml_el *stanza, enum stanza_error e,
        enum stanza_error_type type, const char *text)
{
    struct xml_el *el = xml_add(stanza, "error", NULL);

    if (type == ERROR_TYPE_DEFAULT)
        type = stanza_error_default_type(e);
    xml_set_c(el, "type", stanza_error_type_name(type));
    xml_add(el, stanza_error_name(e), NS_STANZA_ERROR);
    if (text) {
        struct xml_el *t = xml_add_leaf(el, "text", NS_STANZA_ERROR, str_from(text));

        xml_set_ns(t, "lang", XML_NS, STR("en"));
    }
    return el;
}

enum stanza_error
stanza_error_of(const struct xml_el *stanza)
{
    const struct xml_el *el = xml_child(stanza, "error", NULL);
    enum stanza_error e;

    xml_for(c, el, NULL,
            NS_STANZA_ERROR) if (stanza_error_from(c->name, &e) == 0) return e;
    return STANZA_ERROR_UNDEFINED_CONDITION;
}
