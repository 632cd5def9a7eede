/*
 * form.c -- data forms (XEP-0004)
 *
 * There is no struct of a form: the tree is one already. Forms have tens of fields, so
 * they are searched, not indexed; form_check() keeps it so.
 */
#include "xmpp/form.h"

#include <errno.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "xml/el.h"
#include "xmpp/jid.h"
#include "xmpp/ns.h"

enum {
    NUMBER_SIZE = 21
};

static const char *const type_names[FORM_TYPES] = {
    [FORM_FORM] = "form",
    [FORM_SUBMIT] = "submit",
    [FORM_CANCEL] = "cancel",
    [FORM_RESULT] = "result",
};

static const struct {
    const char *name;
    bool multi; /* may have several values */
} field_types[FIELD_TYPES] = {
    [FIELD_BOOLEAN] = { "boolean", false },
    [FIELD_FIXED] = { "fixed", true },
    [FIELD_HIDDEN] = { "hidden", true },
    [FIELD_JID_MULTI] = { "jid-multi", true },
    [FIELD_JID_SINGLE] = { "jid-single", false },
    [FIELD_LIST_MULTI] = { "list-multi", true },
    [FIELD_LIST_SINGLE] = { "list-single", false },
    [FIELD_TEXT_MULTI] = { "text-multi", true },
    [FIELD_TEXT_PRIVATE] = { "text-private", false },
    [FIELD_TEXT_SINGLE] = { "text-single", false },
};

struct xml_el *
form_child(const struct xml_el *el, const char *form_type)
{
    xml_for(x, el, "x", NS_DATA)
    {
        if (!form_type || str_eq_c(form_type_of(x), form_type))
            return x;
    }
    return NULL;
}

static bool
has_var_before(const struct xml_el *x, const struct xml_el *field, struct str var)
{
    xml_for(f, x, "field", NS_DATA)
    {
        if (f == field)
            return false;
        if (str_eq(xml_attr(f, "var"), var))
            return true;
    }
    return false;
}

int
form_check(const struct xml_el *x, enum form_type *ret_type)
{
    struct str type = xml_attr(x, "type");
    unsigned i = 0, n = 0;

    while (i < FORM_TYPES && !str_eq_c(type, type_names[i]))
        i++;
    if (!xml_is(x, "x", NS_DATA) || i == FORM_TYPES)
        return -EINVAL;
    xml_for(f, x, "field", NS_DATA)
    {
        struct str var = xml_attr(f, "var");

        if (++n > FORM_FIELDS_MAX)
            return -E2BIG;
        if (var.n == 0 ? form_field_type(f) != FIELD_FIXED : has_var_before(x, f, var))
            return -EINVAL;
    }
    *ret_type = (enum form_type)i;
    return 0;
}

struct str
form_type_of(const struct xml_el *x)
{
    return form_value(x, "FORM_TYPE");
}

static struct xml_el *
field_by(const struct xml_el *x, struct str var)
{
    xml_for(f, x, "field", NS_DATA)
    {
        if (str_eq(xml_attr(f, "var"), var))
            return f;
    }
    return NULL;
}

struct xml_el *
form_field(const struct xml_el *x, const char *var)
{
    return field_by(x, str_from(var));
}

enum form_field_type
form_field_type(const struct xml_el *field)
{
    struct str type = xml_attr(field, "type");

    for (unsigned i = 0; i < FIELD_TYPES; i++)
        if (str_eq_c(type, field_types[i].name))
            return (enum form_field_type)i;
    return FIELD_TEXT_SINGLE;
}

static struct str
first_value(const struct xml_el *field)
{
    struct str value = xml_child_text(field, "value", NS_DATA);

    return field && !value.p ? STR("") : value;
}

struct str
form_value(const struct xml_el *x, const char *var)
{
    return first_value(form_field(x, var));
}

struct str
form_text(const struct xml_el *x, const char *var)
{
    const struct xml_el *field = form_field(x, var);
    const struct xml_el *first = xml_child(field, "value", NS_DATA);
    struct buf joined = { 0 };
    struct str text;

    if (!xml_next(first, "value", NS_DATA))
        return first_value(field);
    form_for_value(v, field)
    {
        if (v != first)
            buf_add_char(&joined, '\n');
        buf_add_str(&joined, xml_text(v));
    }
    text = str_dup(field->arena, buf_str(&joined));
    buf_fini(&joined);
    return text;
}

static bool
is_bool(struct str s, bool *ret)
{
    *ret = str_eq(s, STR("1")) || str_eq(s, STR("true"));
    return *ret || str_eq(s, STR("0")) || str_eq(s, STR("false"));
}

int
form_bool(const struct xml_el *x, const char *var, bool *ret)
{
    struct str value = str_trim(form_value(x, var));
    bool is;

    if (value.n == 0)
        return -ENOENT;
    if (!is_bool(value, &is))
        return -EINVAL;
    *ret = is;
    return 0;
}

int
form_u64(const struct xml_el *x, const char *var, uint64_t *ret)
{
    struct str value = str_trim(form_value(x, var));

    return value.n == 0 ? -ENOENT : str_to_u64(value, ret);
}

static bool
was_offered(const struct xml_el *field, struct str value)
{
    xml_for(o, field, "option", NS_DATA)
    {
        if (str_eq(xml_child_text(o, "value", NS_DATA), value))
            return true;
    }
    return false;
}

static bool
value_fits(const struct xml_el *offered, enum form_field_type type, struct str value)
{
    struct jid jid;
    bool is;

    switch (type) {
    case FIELD_BOOLEAN:
        return is_bool(str_trim(value), &is);
    case FIELD_JID_MULTI:
    case FIELD_JID_SINGLE:
        return jid_parse(offered->arena, str_trim(value), &jid) == 0;
    case FIELD_LIST_MULTI:
    case FIELD_LIST_SINGLE:
        return was_offered(offered, value);
    case FIELD_FIXED:
    case FIELD_HIDDEN:
    case FIELD_TEXT_MULTI:
    case FIELD_TEXT_PRIVATE:
    case FIELD_TEXT_SINGLE:
    case FIELD_TYPES:
        break;
    }
    return true;
}

static bool
field_fits(const struct xml_el *offered, const struct xml_el *given)
{
    enum form_field_type type = form_field_type(offered);
    unsigned n = 0, n_filled = 0;

    form_for_value(v, given)
    {
        struct str value = xml_text(v);

        if (++n > 1 && !field_types[type].multi)
            return false;
        if (value.n == 0)
            continue;
        n_filled++;
        if (!value_fits(offered, type, value))
            return false;
    }
    return n_filled > 0 || !xml_child(offered, "required", NS_DATA);
}

int
form_fits(const struct xml_el *form, const struct xml_el *submit, struct str *ret_var)
{
    xml_for(f, form, "field", NS_DATA)
    {
        struct str var = xml_attr(f, "var");
        const struct xml_el *given = var.n > 0 ? field_by(submit, var) : NULL;

        if (given ? !field_fits(f, given)
                  : var.n > 0 && xml_child(f, "required", NS_DATA) != NULL) {
            *ret_var = var;
            return -EINVAL;
        }
    }
    return 0;
}

static struct xml_el *
begin(struct xml_el *x, enum form_type type, const char *form_type)
{
    xml_set_c(x, "type", type_names[type]);
    if (form_type)
        form_put(form_add_field(x, FIELD_HIDDEN, "FORM_TYPE", STR_NULL),
                str_from(form_type));
    return x;
}

struct xml_el *
form_new(struct arena *arena, enum form_type type, const char *form_type)
{
    return begin(xml_el_new(arena, "x", NS_DATA), type, form_type);
}

struct xml_el *
form_add(struct xml_el *parent, enum form_type type, const char *form_type)
{
    return begin(xml_add(parent, "x", NS_DATA), type, form_type);
}

/* The schema wants them in front of the fields. */
static void
add_before_fields(struct xml_el *x, const char *name, struct str text)
{
    struct xml_el *el = xml_add_leaf(x, name, NS_DATA, text);
    struct xml_el **at = &x->first;

    while (*at != el && !xml_is(*at, "field", NS_DATA))
        at = &(*at)->next;
    if (*at == el)
        return;
    xml_unlink(el);
    el->parent = x;
    el->next = *at;
    *at = el;
}

void
form_title(struct xml_el *x, struct str title)
{
    add_before_fields(x, "title", title);
}

void
form_instructions(struct xml_el *x, struct str text)
{
    add_before_fields(x, "instructions", text);
}

struct xml_el *
form_add_field(
        struct xml_el *x, enum form_field_type type, const char *var, struct str label)
{
    struct xml_el *field = xml_add(x, "field", NS_DATA);

    xml_set_c(field, "var", var);
    xml_set_c(field, "type", field_types[type].name);
    xml_set(field, "label", label);
    return field;
}

struct xml_el *
form_add_value(struct xml_el *x, const char *var, struct str value)
{
    struct xml_el *field = xml_add(x, "field", NS_DATA);

    xml_set_c(field, "var", var);
    form_put(field, value);
    return field;
}

struct xml_el *
form_add_fixed(struct xml_el *x, struct str text)
{
    struct xml_el *field = form_add_field(x, FIELD_FIXED, NULL, STR_NULL);

    form_put(field, text);
    return field;
}

void
form_put(struct xml_el *field, struct str value)
{
    xml_add_leaf(field, "value", NS_DATA, value);
}

void
form_put_bool(struct xml_el *field, bool value)
{
    form_put(field, value ? STR("1") : STR("0"));
}

void
form_put_u64(struct xml_el *field, uint64_t value)
{
    char text[NUMBER_SIZE];
    int n = snprintf(text, sizeof text, "%llu", (unsigned long long)value);

    form_put(field, str_dup(field->arena, (struct str){ text, (size_t)n }));
}

void
form_put_lines(struct xml_el *field, struct str text)
{
    struct str line;

    while (str_cut(&text, '\n', &line)) {
        if (line.n > 0 && line.p[line.n - 1] == '\r')
            line.n--;
        form_put(field, line);
    }
}

void
form_option(struct xml_el *field, struct str label, struct str value)
{
    struct xml_el *option = xml_add(field, "option", NS_DATA);

    xml_set(option, "label", label);
    xml_add_leaf(option, "value", NS_DATA, value);
}

void
form_required(struct xml_el *field)
{
    xml_add(field, "required", NS_DATA);
}

void
form_desc(struct xml_el *field, struct str text)
{
    xml_add_leaf(field, "desc", NS_DATA, text);
}

struct xml_el *
form_add_reported(struct xml_el *x)
{
    return xml_add(x, "reported", NS_DATA);
}

struct xml_el *
form_add_item(struct xml_el *x)
{
    return xml_add(x, "item", NS_DATA);
}
