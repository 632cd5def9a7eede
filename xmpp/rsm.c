/*
 * rsm.c -- pages of long answers (XEP-0059)
 */
#include "xmpp/rsm.h"

#include <errno.h>
#include <stdio.h>

#include "base/arena.h"
#include "xml/el.h"
#include "xml/writer.h"
#include "xmpp/ns.h"

enum {
    NUMBER_SIZE = 21
};

/*
 * Numbers are xs:int there; more than that is as good as all, so it is not refused. 0,
 * -ENOENT or -EINVAL.
 */
static int
number(const struct xml_el *set, const char *name, uint64_t *ret)
{
    const struct xml_el *el = xml_child(set, name, NS_RSM);
    int r;

    if (!el)
        return -ENOENT;
    r = str_to_u64(str_trim(xml_text(el)), ret);
    if (r == -ERANGE) {
        *ret = UINT64_MAX;
        r = 0;
    }
    return r;
}

int
rsm_read(const struct xml_el *el, struct rsm *ret)
{
    const struct xml_el *set = xml_child(el, "set", NS_RSM);
    struct rsm rsm = { 0 };
    int max, index;

    if (!set) {
        *ret = rsm;
        return -ENOENT;
    }
    max = number(set, "max", &rsm.max);
    index = number(set, "index", &rsm.index);
    if (max == -EINVAL || index == -EINVAL)
        return -EINVAL;
    rsm.has_max = max == 0;
    rsm.has_index = index == 0;
    rsm.after = xml_child_text(set, "after", NS_RSM);
    rsm.before = xml_child_text(set, "before", NS_RSM);
    rsm.backwards = rsm.before.p != NULL;
    *ret = rsm;
    return 0;
}

uint64_t
rsm_limit(const struct rsm *rsm, uint64_t usual, uint64_t most)
{
    uint64_t limit = rsm->has_max ? rsm->max : usual;

    return limit < most ? limit : most;
}

int
rsm_window(const struct rsm *rsm, const struct rsm_list *list, size_t *ret_from,
        size_t *ret_n)
{
    uint64_t limit = rsm_limit(rsm, list->usual, list->most);
    size_t from = 0, to = list->n, at;

    if (rsm->after.n > 0) {
        if (list->find(list->arg, rsm->after, &at) < 0)
            return -ENOENT;
        from = at + 1;
    } else if (rsm->has_index) {
        from = rsm->index < list->n ? (size_t)rsm->index : list->n;
    }
    if (rsm->before.n > 0) {
        if (list->find(list->arg, rsm->before, &at) < 0)
            return -ENOENT;
        to = at;
    }
    if (to < from)
        to = from;
    if (to - from > limit) {
        if (rsm->backwards)
            from = to - (size_t)limit;
        else
            to = from + (size_t)limit;
    }
    *ret_from = from;
    *ret_n = to - from;
    return 0;
}

static struct str
decimal(struct arena *arena, uint64_t value)
{
    char text[NUMBER_SIZE];
    int n = snprintf(text, sizeof text, "%llu", (unsigned long long)value);

    return str_dup(arena, (struct str){ text, (size_t)n });
}

struct xml_el *
rsm_add(struct xml_el *parent, const struct rsm_page *page)
{
    struct xml_el *set = xml_add(parent, "set", NS_RSM);

    if (page->first.p && page->last.p) {
        struct xml_el *first = xml_add_leaf(set, "first", NULL, page->first);

        if (page->has_index)
            xml_set(first, "index", decimal(set->arena, page->index));
        xml_add_leaf(set, "last", NULL, page->last);
    }
    if (page->has_count)
        xml_add_leaf(set, "count", NULL, decimal(set->arena, page->count));
    return set;
}

void
rsm_write(struct buf *out, const struct rsm_page *page)
{
    buf_add_c(out, "<set xmlns='" NS_RSM "'>");
    if (page->first.p && page->last.p) {
        buf_add_c(out, "<first");
        if (page->has_index)
            buf_addf(out, " index='%llu'", (unsigned long long)page->index);
        buf_add_char(out, '>');
        xml_escape(out, page->first);
        buf_add_c(out, "</first>");
        xml_leaf(out, "last", page->last);
    }
    if (page->has_count)
        buf_addf(out, "<count>%llu</count>", (unsigned long long)page->count);
    buf_add_c(out, "</set>");
}
