/*
 * el.c -- a tree of elements
 *
 * Elements and runs of text are nodes of one kind, chained as siblings. Nothing here
 * recurses: trees are walked along their parent pointers, so a deep one costs no stack.
 */
#include "xml/el.h"

#include <assert.h>

#include "base/arena.h"

static bool
eq_c(struct str s, const char *cstr)
{
    if (s.n == 0)
        return !*cstr;
    return *s.p == *cstr && strncmp(s.p, cstr, s.n) == 0 && !cstr[s.n];
}

/* Views of literals are often the very same. */
static bool
eq(struct str a, struct str b)
{
    return a.n == b.n && (a.p == b.p || a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool
xml_is_text(const struct xml_el *el)
{
    return el && el->name.n == 0;
}

bool
xml_is(const struct xml_el *el, const char *name, const char *ns)
{
    return el && el->name.n > 0 && (!name || eq_c(el->name, name)) &&
           (!ns || eq_c(el->ns, ns));
}

static struct xml_attr *
attr_find(const struct xml_el *el, const char *name, const char *ns)
{
    for (struct xml_attr *a = el ? el->attrs : NULL; a; a = a->next)
        if ((!name || eq_c(a->name, name)) && (!ns || eq_c(a->ns, ns)))
            return a;
    return NULL;
}

struct str
xml_attr_ns(const struct xml_el *el, const char *name, const char *ns)
{
    const struct xml_attr *a = attr_find(el, name, ns);

    return a ? a->value : STR_NULL;
}

struct str
xml_attr(const struct xml_el *el, const char *name)
{
    return xml_attr_ns(el, name, "");
}

struct str
xml_lang(const struct xml_el *el)
{
    for (; el; el = el->parent) {
        const struct xml_attr *a = attr_find(el, "lang", XML_NS);

        if (a)
            return a->value;
    }
    return STR_NULL;
}

static struct xml_el *
first_that_is(struct xml_el *el, const char *name, const char *ns)
{
    while (el && !xml_is(el, name, ns))
        el = el->next;
    return el;
}

struct xml_el *
xml_child(const struct xml_el *el, const char *name, const char *ns)
{
    return el ? first_that_is(el->first, name, ns) : NULL;
}

struct xml_el *
xml_next(const struct xml_el *el, const char *name, const char *ns)
{
    return el ? first_that_is(el->next, name, ns) : NULL;
}

static struct xml_el *
child_by_str(const struct xml_el *el, struct str name, const char *ns)
{
    struct xml_el *c = el->first;

    while (c && !(c->name.n > 0 && eq(c->name, name) && (!ns || eq_c(c->ns, ns))))
        c = c->next;
    return c;
}

struct xml_el *
xml_path(const struct xml_el *el, const char *ns, const char *path)
{
    struct str rest = str_from(path), step;
    struct xml_el *found = NULL;

    while (el && str_cut(&rest, '/', &step)) {
        found = child_by_str(el, step, ns);
        el = found;
    }
    return found;
}

struct str
xml_text(const struct xml_el *el)
{
    const struct xml_el *only = NULL;
    size_t n = 0, n_runs = 0;
    char *joined, *at;

    if (!el)
        return STR_NULL;
    for (const struct xml_el *t = el->first; t; t = t->next) {
        if (!xml_is_text(t))
            continue;
        only = t;
        n += t->text.n;
        n_runs++;
    }
    if (n == 0)
        return STR("");
    if (n_runs == 1)
        return only->text;
    at = joined = arena_alloc_unaligned(el->arena, n);
    for (const struct xml_el *t = el->first; t; t = t->next) {
        if (xml_is_text(t) && t->text.n > 0) {
            memcpy(at, t->text.p, t->text.n);
            at += t->text.n;
        }
    }
    return (struct str){ joined, n };
}

struct str
xml_child_text(const struct xml_el *el, const char *name, const char *ns)
{
    return xml_text(xml_child(el, name, ns));
}

/*
 * Names come from code, or from what a parser has checked; one that is neither must not
 * break out of its tag.
 */
static void
name_check(struct str name)
{
    /* clang-format off */
    static const bool bad[256] = {
        [0 ... ' '] = true, ['"'] = true, ['&' ... '\''] = true, ['/'] = true,
        [':'] = true, ['<' ... '>'] = true,
    };
    /* clang-format on */

    assert(name.n > 0);
    for (size_t i = 0; i < name.n; i++)
        assert(!bad[(unsigned char)name.p[i]]);
}

struct xml_el *
xml_el_new_str(struct arena *arena, struct str name, struct str ns)
{
    struct xml_el *el = arena_new(arena, struct xml_el);

    name_check(name);
    assert(!eq_c(ns, XML_NS));
    el->name = name;
    el->ns = ns;
    el->arena = arena;
    return el;
}

struct xml_el *
xml_el_new(struct arena *arena, const char *name, const char *ns)
{
    return xml_el_new_str(arena, str_from(name), str_from(ns));
}

void
xml_add_el(struct xml_el *parent, struct xml_el *child)
{
    assert(!child->parent && parent->name.n > 0);
    child->parent = parent;
    child->next = NULL;
    if (parent->last)
        parent->last->next = child;
    else
        parent->first = child;
    parent->last = child;
}

struct xml_el *
xml_add(struct xml_el *parent, const char *name, const char *ns)
{
    struct xml_el *el = xml_el_new_str(
            parent->arena, str_from(name), ns ? str_from(ns) : parent->ns);

    xml_add_el(parent, el);
    return el;
}

void
xml_add_text(struct xml_el *el, struct str text)
{
    struct xml_el *t;

    if (text.n == 0)
        return;
    t = arena_new(el->arena, struct xml_el);
    t->text = text;
    t->arena = el->arena;
    xml_add_el(el, t);
}

struct xml_el *
xml_add_leaf(struct xml_el *parent, const char *name, const char *ns, struct str text)
{
    struct xml_el *el = xml_add(parent, name, ns);

    xml_add_text(el, text);
    return el;
}

void
xml_set_ns(struct xml_el *el, const char *name, const char *ns, struct str value)
{
    struct xml_attr **at = &el->attrs;

    assert(strcmp(name, "xmlns") != 0 || (ns && *ns));
    while (*at && !(eq_c((*at)->name, name) && eq_c((*at)->ns, ns ? ns : "")))
        at = &(*at)->next;
    if (!value.p) {
        if (*at)
            *at = (*at)->next;
        return;
    }
    if (!*at) {
        *at = arena_new(el->arena, struct xml_attr);
        (*at)->name = str_from(name);
        (*at)->ns = str_from(ns);
        name_check((*at)->name);
    }
    (*at)->value = value;
}

void
xml_set(struct xml_el *el, const char *name, struct str value)
{
    xml_set_ns(el, name, NULL, value);
}

void
xml_set_c(struct xml_el *el, const char *name, const char *value)
{
    xml_set_ns(el, name, NULL, str_from(value));
}

void
xml_unlink(struct xml_el *el)
{
    struct xml_el *parent = el->parent, *before = NULL;

    if (!parent)
        return;
    for (struct xml_el *e = parent->first; e != el; e = e->next)
        before = e;
    if (before)
        before->next = el->next;
    else
        parent->first = el->next;
    if (parent->last == el)
        parent->last = before;
    el->parent = el->next = NULL;
}

/* One pass: a stanza with ten thousand children must not cost their square. */
size_t
xml_remove_if(struct xml_el *parent,
        bool (*fits)(const struct xml_el *child, const void *arg), const void *arg)
{
    struct xml_el **at = &parent->first, *last = NULL;
    size_t n = 0;

    while (*at) {
        struct xml_el *el = *at;

        if (fits(el, arg)) {
            *at = el->next;
            el->parent = el->next = NULL;
            n++;
        } else {
            last = el;
            at = &el->next;
        }
    }
    parent->last = last;
    return n;
}

struct qname {
    const char *name, *ns;
};

static bool
has_qname(const struct xml_el *el, const void *arg)
{
    const struct qname *q = arg;

    return xml_is(el, q->name, q->ns);
}

size_t
xml_remove(struct xml_el *parent, const char *name, const char *ns)
{
    struct qname q = { name, ns };

    return xml_remove_if(parent, has_qname, &q);
}

/* Values and texts that are absent (p == NULL) must not come out absent of str_dup. */
static struct str
dup(struct arena *arena, struct str s)
{
    return s.n > 0 ? str_dup(arena, s) : s.p ? STR("") : STR_NULL;
}

static struct xml_el *
copy_one(struct arena *arena, const struct xml_el *el,
        const struct xml_el *copied_parent)
{
    struct xml_el *to = arena_new(arena, struct xml_el);
    struct xml_attr **at = &to->attrs;

    to->arena = arena;
    to->name = dup(arena, el->name);
    to->text = dup(arena, el->text);
    /* Most children have their parent's namespace. */
    if (copied_parent && eq(copied_parent->ns, el->ns))
        to->ns = copied_parent->ns;
    else
        to->ns = dup(arena, el->ns);
    for (const struct xml_attr *a = el->attrs; a; a = a->next) {
        *at = arena_new(arena, struct xml_attr);
        (*at)->name = dup(arena, a->name);
        (*at)->ns = dup(arena, a->ns);
        (*at)->value = dup(arena, a->value);
        at = &(*at)->next;
    }
    return to;
}

struct xml_el *
xml_copy(struct arena *arena, const struct xml_el *el)
{
    struct xml_el *root = copy_one(arena, el, NULL), *to = root;
    const struct xml_el *from = el;

    for (;;) {
        if (from->first) {
            from = from->first;
        } else {
            while (from != el && !from->next) {
                from = from->parent;
                to = to->parent;
            }
            if (from == el)
                return root;
            from = from->next;
            to = to->parent;
        }
        xml_add_el(to, copy_one(arena, from, to));
        to = to->last;
    }
}

static bool
attrs_equal(const struct xml_el *a, const struct xml_el *b)
{
    size_t n = 0;

    for (const struct xml_attr *x = a->attrs; x; x = x->next, n++) {
        const struct xml_attr *y = b->attrs;

        while (y && !(eq(x->name, y->name) && eq(x->ns, y->ns)))
            y = y->next;
        if (!y || !eq(x->value, y->value))
            return false;
    }
    for (const struct xml_attr *y = b->attrs; y; y = y->next)
        n--;
    return n == 0;
}

bool
xml_equal(const struct xml_el *a, const struct xml_el *b)
{
    const struct xml_el *root = a;

    for (;;) {
        if (!eq(a->name, b->name) || !eq(a->ns, b->ns) || !eq(a->text, b->text) ||
                !attrs_equal(a, b) || !a->first != !b->first)
            return false;
        if (a->first) {
            a = a->first;
            b = b->first;
            continue;
        }
        while (a != root && !a->next) {
            if (b->next)
                return false;
            a = a->parent;
            b = b->parent;
        }
        if (a == root)
            return true;
        if (!b->next)
            return false;
        a = a->next;
        b = b->next;
    }
}
