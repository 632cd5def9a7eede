/*
 * vcard.c -- a vCard (XEP-0054) out of a module's option `vcard`
 *
 * ejabberd names the fields in small letters and nests them as the elements are nested;
 * what may be there several times is a list.
 *
 *     vcard:
 *       fn: Example Service
 *       adr:
 *         - work: true
 *           ctry: Italy
 */
#include <ctype.h>

#include "worker/module.h"

enum {
    NAME_SIZE = 32
};

/* Elements that say something by being there. */
static const char *const flags[] = { "HOME", "WORK", "POSTAL", "PARCEL", "DOM", "INTL",
    "PREF", "VOICE", "FAX", "PAGER", "MSG", "CELL", "VIDEO", "BBS", "MODEM", "ISDN",
    "PCS", "INTERNET", "X400" };

/* Where ejabberd's name is not the element's. */
static const struct {
    const char *parent, *key, *name;
} names[] = {
    { "ORG", "name", "ORGNAME" },
    { "ORG", "units", "ORGUNIT" },
    { "vCard", "sort_string", "SORT-STRING" },
};

static struct str
element_name(struct arena *arena, const struct xml_el *parent, struct str key)
{
    char *name = str_dup_c(arena, key);

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_eq_c(parent->name, names[i].parent) && str_eq_c(key, names[i].key))
            return str_from(names[i].name);
    }
    for (size_t i = 0; i < key.n; i++) {
        if (!isalnum((unsigned char)name[i]))
            return STR_NULL;
        name[i] = (char)toupper((unsigned char)name[i]);
    }
    return key.n > 0 && key.n <= NAME_SIZE ? (struct str){ name, key.n } : STR_NULL;
}

static bool
is_flag(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        if (str_eq_c(name, flags[i]))
            return true;
    }
    return false;
}

static bool
is_false(struct str text)
{
    static const char *const words[] = { "false", "no", "off", "n" };

    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (str_caseeq(text, str_from(words[i])))
            return true;
    }
    return false;
}

static void fill(struct xml_el *el, const struct conf_node *map);

static void
add(struct xml_el *parent, struct str name, const struct conf_node *value)
{
    struct xml_el *el;

    if (is_flag(name) && value->kind == CONF_SCALAR && is_false(value->text))
        return;
    el = xml_el_new_str(parent->arena, name, parent->ns);
    xml_add_el(parent, el);
    if (value->kind == CONF_MAP)
        fill(el, value);
    else if (!is_flag(name))
        xml_add_text(el, str_dup(parent->arena, value->text));
}

/* CATEGORIES is one element with many keywords, CLASS has its word as an element. */
static bool
add_special(struct xml_el *parent, struct str name, const struct conf_node *value)
{
    struct xml_el *el;

    if (str_eq(name, STR("CATEGORIES"))) {
        el = xml_add(parent, "CATEGORIES", NULL);
        if (value->kind == CONF_SCALAR)
            add(el, STR("KEYWORD"), value);
        conf_node_for(c, value) add(el, STR("KEYWORD"), c);
        return true;
    }
    if (str_eq(name, STR("CLASS")) && value->kind == CONF_SCALAR) {
        struct str word = element_name(parent->arena, parent, value->text);

        el = xml_add(parent, "CLASS", NULL);
        if (word.n)
            xml_add_el(el, xml_el_new_str(el->arena, word, el->ns));
        return true;
    }
    return false;
}

static void
fill(struct xml_el *el, const struct conf_node *map)
{
    conf_node_for(value, map)
    {
        struct str name = element_name(el->arena, el, value->key->text);

        if (name.n == 0) {
            log_warning(NULL, "the option vcard: no field has the name %.*s",
                    STR_ARG(value->key->text));
        } else if (add_special(el, name, value)) {
            continue;
        } else if (value->kind == CONF_LIST) {
            conf_node_for(item, value) add(el, name, item);
        } else {
            add(el, name, value);
        }
    }
}

struct xml_el *
module_vcard(struct arena *arena, const struct conf_module *options)
{
    const struct conf_node *map = conf_module_node(options, "vcard");
    struct xml_el *vcard;

    if (!map || map->kind != CONF_MAP)
        return NULL;
    vcard = xml_el_new(arena, "vCard", NS_VCARD);
    fill(vcard, map);
    return vcard;
}
