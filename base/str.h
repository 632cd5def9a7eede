#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct arena;

/* A view of bytes that somebody else owns. Not terminated; may hold any byte. */
struct str {
    const char *p;
    size_t n;
};

#define STR(literal) ((struct str){ "" literal, sizeof(literal) - 1 })
#define STR_NULL     ((struct str){ NULL, 0 })
/* For printf: "%.*s" takes STR_ARG(s). */
#define STR_ARG(s) (int)(s).n, (s).p ? (s).p : ""

/* A view of a terminated string; NULL gives STR_NULL. */
struct str str_from(const char *cstr);

static inline bool
str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* Inline: the lengths of literals are known, and most names differ at once. */
static inline bool
str_eq_c(struct str a, const char *cstr)
{
    if (a.n == 0 || !cstr)
        return a.n == 0 && (!cstr || !*cstr);
    return *a.p == *cstr && a.n == strlen(cstr) && memcmp(a.p, cstr, a.n) == 0;
}

bool str_caseeq(struct str a, struct str b); /* ASCII only */
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
int str_cmp(struct str a, struct str b); /* by bytes, the shorter first */

/* Without leading and trailing ASCII white space. */
struct str str_trim(struct str s);

/* Cuts *rest at the first `sep`: returns what is before it; false at the end. */
bool str_cut(struct str *rest, char sep, struct str *ret_head);

/* Takes the first n bytes of *rest: as a view, or copied; false: there are fewer. */
bool str_take(struct str *rest, size_t n, struct str *ret_head);
bool str_take_into(struct str *rest, void *ret_bytes, size_t n);

/* A decimal number that fills the whole view: 0, -EINVAL or -ERANGE. */
int str_to_u64(struct str s, uint64_t *ret_value);
int str_to_i64(struct str s, int64_t *ret_value);

/* Well-formed UTF-8 (no surrogates, no overlong forms, up to U+10FFFF)? */
bool str_is_utf8(struct str s);

/* Copies that are terminated as well (the terminator is not counted). */
struct str str_dup(struct arena *arena, struct str s);
char *str_dup_c(struct arena *arena, struct str s);
char *str_heap_c(struct str s); /* free() it */

/*
 * Takes the same time for all contents of one length (RFC 5802 secrets and the like).
 */
bool str_eq_secret(struct str a, struct str b);

/* How many single edits turn a into b (Levenshtein), for "did you mean". */
unsigned str_distance(struct str a, struct str b);

#endif
