#ifndef XMPP_RSM_H
#define XMPP_RSM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

struct xml_el;

/*
 * Result set management (XEP-0059): which page of a long answer is wanted, and where in
 * the whole the page lies that is given.
 *
 * What goes wrong has these answers: a <set/> that cannot be read bad-request, a UID
 * that is unknown and has no place in the order item-not-found (2.5), an index where
 * pages cannot be counted feature-not-implemented (2.7).
 */

/* What was asked for. Views of the request's tree. */
struct rsm {
    struct str
            after; /* the UID before the page; n == 0: the page begins at the start */
    struct str before; /* the UID behind the page; p == NULL: not given */
    bool backwards; /* <before/> was given: the page that ends there; empty: at the end
                     */
    bool has_max, has_index;
    uint64_t max; /* 0: only the count is wanted (2.8) */
    uint64_t index;
};

/* What is given. first and last with p == NULL: an empty page. */
struct rsm_page {
    struct str first, last;
    bool has_index, has_count;
    uint64_t index; /* of first in the whole */
    uint64_t count; /* of the whole */
};

/*
 * The <set/> in el (a query). 0; -ENOENT: there is none, *ret is a request for all; or
 * -EINVAL: bad-request.
 */
int rsm_read(const struct xml_el *el, struct rsm *ret);

/* How many items the page may have: what is asked for, at most most; else usual. */
uint64_t rsm_limit(const struct rsm *rsm, uint64_t usual, uint64_t most);

/*
 * The page of an answer that lies in memory, n items in order: items [*ret_from,
 * *ret_from + *ret_n). find says where a UID stands. 0, or -ENOENT: a UID that find
 * does not know (item-not-found).
 */
struct rsm_list {
    size_t n;
    int (*find)(void *arg, struct str uid, size_t *ret_at); /* 0 or -ENOENT */
    void *arg;
    uint64_t usual, most; /* as for rsm_limit() */
};
int rsm_window(const struct rsm *rsm, const struct rsm_list *list, size_t *ret_from,
        size_t *ret_n);

/* The <set/> of an answer, as the last child, and as bytes. Views are not copied. */
struct xml_el *rsm_add(struct xml_el *parent, const struct rsm_page *page);
void rsm_write(struct buf *out, const struct rsm_page *page);

#endif
