/*
 * erlterm.c -- a tree of Erlang terms, and how it is written
 */
#include "xmpp/erlterm.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/mem.h"

static bool
holds_terms(const struct erlterm *term)
{
    return term->type == ERLTERM_LIST || term->type == ERLTERM_TUPLE ||
           term->type == ERLTERM_MAP;
}

bool
erlterm_is_atom(const struct erlterm *term, const char *name)
{
    return term && term->type == ERLTERM_ATOM && str_eq_c(term->text, name);
}

bool
erlterm_is_tuple(const struct erlterm *term, const char *name, size_t n)
{
    return term && term->type == ERLTERM_TUPLE && (n == 0 || term->n == n) &&
           (!name || (term->n > 0 && erlterm_is_atom(term->first, name)));
}

struct erlterm *
erlterm_nth(const struct erlterm *term, size_t i)
{
    struct erlterm *at;

    if (!term || !holds_terms(term))
        return NULL;
    for (at = term->first; at && i > 0; i--)
        at = at->next;
    return at;
}

struct erlterm *
erlterm_prop(const struct erlterm *list, const char *name)
{
    static struct erlterm yes = { .type = ERLTERM_ATOM, .text = { "true", 4 } };
    struct erlterm *at = NULL;

    if (list && list->type == ERLTERM_LIST)
        at = list->first;
    for (; at; at = at->next) {
        if (erlterm_is_tuple(at, name, 2))
            return at->first->next;
        if (erlterm_is_atom(at, name))
            return &yes;
    }
    return NULL;
}

static int
bytes_of_list(struct arena *arena, const struct erlterm *list, struct str *ret)
{
    char *p;
    size_t n = 0;

    if (list->tail)
        return -EINVAL;
    p = arena_alloc_unaligned(arena, list->n + 1);
    for (const struct erlterm *at = list->first; at; at = at->next) {
        if (at->type != ERLTERM_INTEGER || at->integer < 0 || at->integer > UINT8_MAX)
            return -EINVAL;
        p[n++] = (char)at->integer;
    }
    *ret = (struct str){ p, n };
    return 0;
}

int
erlterm_text(struct arena *arena, const struct erlterm *term, struct str *ret)
{
    if (!term)
        return -EINVAL;
    switch (term->type) {
    case ERLTERM_ATOM:
    case ERLTERM_BINARY:
    case ERLTERM_STRING:
        *ret = term->text;
        return 0;
    case ERLTERM_LIST:
        return bytes_of_list(arena, term, ret);
    case ERLTERM_INTEGER:
    case ERLTERM_BIG:
    case ERLTERM_FLOAT:
    case ERLTERM_TUPLE:
    case ERLTERM_MAP:
        break;
    }
    return -EINVAL;
}

static struct erlterm *
new_term(struct arena *arena, enum erlterm_type type)
{
    struct erlterm *term = arena_new(arena, struct erlterm);

    term->type = type;
    return term;
}

struct erlterm *
erlterm_atom(struct arena *arena, struct str name)
{
    struct erlterm *term = new_term(arena, ERLTERM_ATOM);

    term->text = name;
    return term;
}

struct erlterm *
erlterm_integer(struct arena *arena, int64_t value)
{
    struct erlterm *term = new_term(arena, ERLTERM_INTEGER);

    term->integer = value;
    return term;
}

struct erlterm *
erlterm_float(struct arena *arena, double value)
{
    struct erlterm *term = new_term(arena, ERLTERM_FLOAT);

    assert(isfinite(value));
    term->number = value;
    return term;
}

struct erlterm *
erlterm_binary(struct arena *arena, struct str bytes)
{
    struct erlterm *term = new_term(arena, ERLTERM_BINARY);

    term->text = bytes;
    return term;
}

struct erlterm *
erlterm_list(struct arena *arena)
{
    return new_term(arena, ERLTERM_LIST);
}

struct erlterm *
erlterm_tuple(struct arena *arena)
{
    return new_term(arena, ERLTERM_TUPLE);
}

struct erlterm *
erlterm_map(struct arena *arena)
{
    return new_term(arena, ERLTERM_MAP);
}

struct erlterm *
erlterm_push(struct erlterm *into, struct erlterm *term)
{
    assert(holds_terms(into) && !term->next);
    if (into->last)
        into->last->next = term;
    else
        into->first = term;
    into->last = term;
    into->n++;
    return term;
}

void
erlterm_push_prop(struct arena *arena, struct erlterm *list, const char *name,
        struct erlterm *value)
{
    struct erlterm *pair = erlterm_push(list, erlterm_tuple(arena));

    erlterm_push(pair, erlterm_atom(arena, str_from(name)));
    erlterm_push(pair, value);
}

/* Writing */

/* What io_lib shows in quotes: Latin-1 that prints, and what has an escape of one
 * letter. */
static bool
is_printable(unsigned char c)
{
    return (c >= ' ' && c < 0x7f) || c >= 0xa0 || (c >= '\b' && c <= '\r') || c == 0x1b;
}

/* Quoted if all of it prints, and if the text that we write stays UTF-8. */
static bool
is_quotable(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_printable((unsigned char)s.p[i]))
            return false;
    return s.n > 0 && str_is_utf8(s);
}

static void
put_quoted(struct buf *out, char quote, struct str s)
{
    static const char letters[] = "btnvfr"; /* of '\b' to '\r' */
    unsigned char last = str_is_utf8(s) ? 0xff : 0x7e;

    buf_add_char(out, quote);
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c == quote || c == '\\')
            buf_addf(out, "\\%c", c);
        else if (c >= '\b' && c <= '\r')
            buf_addf(out, "\\%c", letters[c - '\b']);
        else if (c == 0x1b)
            buf_add_c(out, "\\e");
        else if (c < ' ' || c == 0x7f || c > last)
            buf_addf(out, "\\x{%x}", c);
        else
            buf_add_char(out, (char)c);
    }
    buf_add_char(out, quote);
}

static void
put_bytes(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        buf_addf(out, i ? ",%u" : "%u", (unsigned)(unsigned char)s.p[i]);
}

static bool
is_reserved(struct str name)
{
    /* The last two are reserved in newer versions only. */
    static const char *const words[] = { "after", "and", "andalso", "band", "begin",
        "bnot", "bor", "bsl", "bsr", "bxor", "case", "catch", "cond", "div", "end",
        "fun", "if", "let", "not", "of", "or", "orelse", "receive", "rem", "try",
        "when", "xor", "maybe", "else" };

    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (str_eq_c(name, words[i]))
            return true;
    return false;
}

static bool
is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static void
put_atom(struct buf *out, struct str name)
{
    bool plain = name.n > 0 && is_lower(name.p[0]) && !is_reserved(name);

    for (size_t i = 0; plain && i < name.n; i++) {
        char c = name.p[i];

        plain = is_lower(c) || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                c == '_' || c == '@';
    }
    if (plain)
        buf_add_str(out, name);
    else
        put_quoted(out, '\'', name);
}

/*
 * The fewest digits that give the same number again. Erlang wants digits on both sides
 * of a point, and writes exponents without plus and zeros.
 */
static void
put_float(struct buf *out, double number)
{
    char text[32];
    char *e;

    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, number);
        if (strtod(text, NULL) == number)
            break;
    }
    e = strchr(text, 'e');
    if (e)
        *e = '\0';
    buf_add_c(out, text);
    if (!strchr(text, '.'))
        buf_add_c(out, ".0");
    if (e)
        buf_addf(out, "e%ld", strtol(e + 1, NULL, 10));
}

/* A list of numbers that are all printable characters is a string to io_lib. */
static bool
list_is_string(struct arena *arena, const struct erlterm *list, struct str *ret)
{
    return bytes_of_list(arena, list, ret) == 0 && is_quotable(*ret);
}

static void put_term(
        struct buf *out, struct arena *scratch, const struct erlterm *term);

static void
put_elements(struct buf *out, struct arena *scratch, const struct erlterm *term)
{
    size_t i = 0;

    for (const struct erlterm *at = term->first; at; at = at->next, i++) {
        if (i > 0)
            buf_add_c(out, term->type == ERLTERM_MAP && i % 2 ? " => " : ",");
        put_term(out, scratch, at);
    }
}

static void
put_term(struct buf *out, struct arena *scratch, const struct erlterm *term)
{
    struct str text;

    switch (term->type) {
    case ERLTERM_ATOM:
        put_atom(out, term->text);
        break;
    case ERLTERM_INTEGER:
        buf_addf(out, "%lld", (long long)term->integer);
        break;
    case ERLTERM_BIG:
        buf_add_str(out, term->text);
        break;
    case ERLTERM_FLOAT:
        put_float(out, term->number);
        break;
    case ERLTERM_BINARY:
        buf_add_c(out, "<<");
        if (is_quotable(term->text))
            put_quoted(out, '"', term->text);
        else
            put_bytes(out, term->text);
        buf_add_c(out, ">>");
        break;
    case ERLTERM_STRING:
        if (is_quotable(term->text)) {
            put_quoted(out, '"', term->text);
            break;
        }
        buf_add_char(out, '[');
        put_bytes(out, term->text);
        buf_add_char(out, ']');
        break;
    case ERLTERM_LIST:
        if (list_is_string(scratch, term, &text)) {
            put_quoted(out, '"', text);
            break;
        }
        buf_add_char(out, '[');
        put_elements(out, scratch, term);
        if (term->tail) {
            buf_add_char(out, '|');
            put_term(out, scratch, term->tail);
        }
        buf_add_char(out, ']');
        break;
    case ERLTERM_TUPLE:
    case ERLTERM_MAP:
        buf_add_c(out, term->type == ERLTERM_MAP ? "#{" : "{");
        put_elements(out, scratch, term);
        buf_add_char(out, '}');
        break;
    }
}

void
erlterm_write(struct buf *out, const struct erlterm *term)
{
    struct arena scratch;

    arena_init(&scratch, 1024);
    put_term(out, &scratch, term);
    arena_fini(&scratch);
}
