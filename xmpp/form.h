#ifndef XMPP_FORM_H
#define XMPP_FORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct arena;
struct xml_el;

/*
 * Data forms (XEP-0004) as trees: x is always an <x xmlns='jabber:x:data'/>. As in
 * xml/el.h, look-ups accept NULL, and builders copy no strings.
 */

enum form_type {
    FORM_FORM,   /* to be filled in */
    FORM_SUBMIT, /* filled in */
    FORM_CANCEL,
    FORM_RESULT,
    FORM_TYPES
};

enum form_field_type {
    FIELD_BOOLEAN,
    FIELD_FIXED,
    FIELD_HIDDEN,
    FIELD_JID_MULTI,
    FIELD_JID_SINGLE,
    FIELD_LIST_MULTI,
    FIELD_LIST_SINGLE,
    FIELD_TEXT_MULTI,
    FIELD_TEXT_PRIVATE,
    FIELD_TEXT_SINGLE, /* also when no type is given, or one that nobody knows */
    FIELD_TYPES
};

enum {
    FORM_FIELDS_MAX = 500
};

/* Reading */

/*
 * The form in el (a query, command, message) whose FORM_TYPE is form_type; NULL: the
 * first form, of any.
 */
struct xml_el *form_child(const struct xml_el *el, const char *form_type);

/*
 * Whether x is a form: 0; -EINVAL: its type is none, a field other than fixed has no
 * var, or two have the same; -E2BIG: more than FORM_FIELDS_MAX fields. A form from
 * outside is checked once, before its fields are read.
 */
int form_check(const struct xml_el *x, enum form_type *ret_type);

/* The value of FORM_TYPE (XEP-0068); p == NULL: none. */
struct str form_type_of(const struct xml_el *x);

struct xml_el *form_field(const struct xml_el *x, const char *var);
enum form_field_type form_field_type(const struct xml_el *field);

/*
 * The first value of a field: p == NULL when there is no such field, n == 0 when it is
 * empty (<field/> or <field><value/></field>: XEP-0004 lets both mean it, 3.6).
 */
struct str form_value(const struct xml_el *x, const char *var);

/* All values of a field, joined by newlines (text-multi). p == NULL: no such field. */
struct str form_text(const struct xml_el *x, const char *var);

/* Every <value/> of a field: form_for_value(v, field) use(xml_text(v)); */
#define form_for_value(v, field) xml_for(v, (field), "value", NS_DATA)

/*
 * The first value as true, false, 1 or 0, and as a number: 0; -ENOENT: no such field,
 * or an empty one; -EINVAL (not-acceptable): something else is in it; -ERANGE.
 */
int form_bool(const struct xml_el *x, const char *var, bool *ret);
int form_u64(const struct xml_el *x, const char *var, uint64_t *ret);

/*
 * Whether what was submitted fits the form that was offered (3.2, 3.3): required fields
 * have a value, lists only values that were options, single fields one value at most,
 * booleans a boolean, addresses an address. Fields that were not offered are ignored,
 * as are those left out. 0, or -EINVAL (not-acceptable) with *ret_var: the field.
 */
int form_fits(
        const struct xml_el *form, const struct xml_el *submit, struct str *ret_var);

/* Building */

/* form_type: the value of a hidden FORM_TYPE, which is the first field then; or NULL.
 */
struct xml_el *form_new(
        struct arena *arena, enum form_type type, const char *form_type);
/* The same as the last child of parent. */
struct xml_el *form_add(
        struct xml_el *parent, enum form_type type, const char *form_type);

/* These come before all fields, whenever they are added. */
void form_title(struct xml_el *x, struct str title);
void form_instructions(
        struct xml_el *x, struct str text); /* a line; as often as needed */

/*
 * A field with type, var and label (p == NULL: none), in a form or in <reported/>;
 * values and options are added to what is returned.
 */
struct xml_el *form_add_field(
        struct xml_el *x, enum form_field_type type, const char *var, struct str label);
/* <field var=''><value/></field>, without type: in submit, result and <item/>. */
struct xml_el *form_add_value(struct xml_el *x, const char *var, struct str value);
/* Text between fields. */
struct xml_el *form_add_fixed(struct xml_el *x, struct str text);

void form_put(struct xml_el *field, struct str value);
void form_put_bool(struct xml_el *field, bool value); /* 1 or 0 */
void form_put_u64(struct xml_el *field, uint64_t value);
void form_put_lines(struct xml_el *field, struct str text); /* text-multi: by newline */
void form_option(struct xml_el *field, struct str label, struct str value);
void form_required(struct xml_el *field);
void form_desc(struct xml_el *field, struct str text);

/*
 * A table of results (3.4): <reported/> gets its columns by form_add_field(), then each
 * <item/> its cells by form_add_value(). A form with a table has no other fields but
 * FORM_TYPE, which XEP-0068 wants.
 */
struct xml_el *form_add_reported(struct xml_el *x);
struct xml_el *form_add_item(struct xml_el *x);

#endif
