/*
 * path.c -- values deep in a tree
 */
#include "xml/path.h"

/* Down all elements of the path; *ret_rest: what comes behind them. */
static struct xml_el *
descend(const struct xml_el *el, const struct xml_step *path,
        const struct xml_step **ret_rest)
{
    struct xml_el *found = NULL;

    for (; path->kind == XML_STEP_ELEM; path++) {
        found = xml_child(el, path->name, path->ns);
        el = found;
    }
    *ret_rest = path;
    return found;
}

struct str
xml_path_text(const struct xml_el *el, const struct xml_step *path)
{
    const struct xml_step *rest = path;

    if (path->kind == XML_STEP_ELEM)
        el = descend(el, path, &rest);
    return rest->kind == XML_STEP_ATTR ? xml_attr(el, rest->name) : xml_text(el);
}

struct xml_el *
xml_path_el(const struct xml_el *el, const struct xml_step *path)
{
    const struct xml_step *rest;
    struct xml_el *found = descend(el, path, &rest);

    return rest->kind == XML_STEP_END ? found : NULL;
}

static bool
is_text(const struct xml_el *child, const void *arg)
{
    (void)arg;
    return xml_is_text(child);
}

size_t
xml_remove_cdata(struct xml_el *el)
{
    return xml_remove_if(el, is_text, NULL);
}

static bool
is_namesake(const struct xml_el *child, const void *arg)
{
    const struct xml_el *other = arg;

    return !xml_is_text(child) && str_eq(child->name, other->name) &&
           str_eq(child->ns, other->ns);
}

size_t
xml_replace(struct xml_el *parent, struct xml_el *child)
{
    size_t n = xml_remove_if(parent, is_namesake, child);

    xml_add_el(parent, child);
    return n;
}
