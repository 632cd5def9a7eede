/*
 * erlterm_parse.c -- Erlang terms from text: strings, binaries, and what holds terms
 *
 * By recursion, ERLTERM_DEPTH_MAX deep at most.
 */
#include <errno.h>

#include "base/arena.h"
#include "xmpp/erlterm_priv.h"

static int parse_term(struct erlterm_parser *ps, struct erlterm **ret);

/* Strings and binaries. "a" "b" is one string. */

static int
push_integer(struct erlterm_parser *ps, struct erlterm *list, int64_t value)
{
    if (ps->n_terms++ == ERLTERM_TERMS_MAX)
        return -E2BIG;
    erlterm_push(list, erlterm_integer(ps->arena, value));
    return 0;
}

/* The string at the cursor, which has been read before, character by character. */
static int
parse_wide_string(struct erlterm_parser *ps, struct erlterm **ret)
{
    struct erlterm *list = erlterm_list(ps->arena);
    struct str part;
    uint32_t code;
    bool raw;

    while (erlterm_peek(ps) == '"' && erlterm_take_quoted(ps, &part) == 0)
        while (part.n > 0 && erlterm_next_char(&part, &code, &raw) == 0)
            if (push_integer(ps, list, code) < 0)
                return -E2BIG;
    *ret = list;
    return 0;
}

static int
parse_string(struct erlterm_parser *ps, struct erlterm **ret)
{
    const char *from = ps->p;
    struct buf bytes = { 0 };
    struct str part;
    bool wide = false;
    int r = 0;

    while (r == 0 && erlterm_peek(ps) == '"') {
        r = erlterm_take_quoted(ps, &part);
        if (r == 0)
            r = erlterm_unescape(ps, part, false, &wide, &part);
        if (r == 0)
            buf_add_str(&bytes, part);
    }
    if (r == 0 && (wide || bytes.n == 0)) {
        ps->p = from;
        r = parse_wide_string(ps, ret);
    } else if (r == 0) {
        *ret = erlterm_binary(ps->arena, str_dup(ps->arena, buf_str(&bytes)));
        (*ret)->type = ERLTERM_STRING;
    }
    buf_fini(&bytes);
    return r;
}

/* :Size and /Type of a segment: bytes, or UTF-8 if *ret_utf8. */
static int
parse_segment_type(struct erlterm_parser *ps, bool *ret_utf8)
{
    struct erlterm *size;

    *ret_utf8 = false;
    if (erlterm_take(ps, ":")) {
        if (!erlterm_is_digit(erlterm_peek(ps)) ||
                erlterm_parse_number(ps, false, &size) < 0 ||
                size->type != ERLTERM_INTEGER || size->integer != 8)
            return -EINVAL;
    }
    if (!erlterm_take(ps, "/"))
        return 0;
    *ret_utf8 = erlterm_take(ps, "utf8");
    if (!*ret_utf8 && !erlterm_take(ps, "integer"))
        return -EINVAL;
    return ps->p != ps->end && (erlterm_is_name_char(*ps->p) || *ps->p == '-') ? -EINVAL
                                                                               : 0;
}

static int
parse_string_segment(struct erlterm_parser *ps, struct buf *out)
{
    const char *from = ps->p, *end;
    struct str part;
    bool utf8, wide = false;

    while (erlterm_peek(ps) == '"')
        if (erlterm_take_quoted(ps, &part) < 0)
            return -EINVAL;
    if (parse_segment_type(ps, &utf8) < 0)
        return -EINVAL;
    end = ps->p;
    for (ps->p = from; erlterm_peek(ps) == '"';) {
        if (erlterm_take_quoted(ps, &part) < 0 ||
                erlterm_unescape(ps, part, utf8, &wide, &part) < 0)
            return -EINVAL;
        buf_add_str(out, part);
    }
    ps->p = end;
    return 0;
}

static int
parse_integer_segment(struct erlterm_parser *ps, struct buf *out)
{
    struct erlterm *term;
    char bytes[4];
    bool utf8;
    char c = erlterm_peek(ps);
    int r;

    if (c == '$')
        r = erlterm_parse_char(ps, &term);
    else if (c == '-' || c == '+')
        r = erlterm_parse_signed(ps, &term);
    else
        r = erlterm_is_digit(c) ? erlterm_parse_number(ps, false, &term) : -EINVAL;
    if (r < 0 || term->type != ERLTERM_INTEGER || parse_segment_type(ps, &utf8) < 0)
        return -EINVAL;
    if (utf8 && (term->integer < 0 || term->integer > ERLTERM_CODE_MAX ||
                        (term->integer >= 0xd800 && term->integer <= 0xdfff)))
        return -EINVAL;
    if (utf8)
        buf_add(out, bytes,
                (size_t)(erlterm_put_utf8(bytes, (uint32_t)term->integer) - bytes));
    else
        buf_add_char(out, (char)(term->integer & 0xff));
    return 0;
}

/* Behind <<. */
static int
parse_binary(struct erlterm_parser *ps, struct erlterm **ret)
{
    struct buf out = { 0 };
    int r = 0;

    if (!erlterm_take(ps, ">>")) {
        do
            r = erlterm_peek(ps) == '"' ? parse_string_segment(ps, &out)
                                        : parse_integer_segment(ps, &out);
        while (r == 0 && erlterm_take(ps, ","));
        if (r == 0 && !erlterm_take(ps, ">>"))
            r = -EINVAL;
    }
    if (r == 0)
        *ret = erlterm_binary(ps->arena, str_dup(ps->arena, buf_str(&out)));
    buf_fini(&out);
    return r;
}

/* What holds terms. The opening bracket has been taken. */

static int
parse_elements(struct erlterm_parser *ps, struct erlterm *into)
{
    struct erlterm *term;
    int r;

    do {
        r = parse_term(ps, &term);
        if (r < 0)
            return r;
        erlterm_push(into, term);
    } while (erlterm_take(ps, ","));
    return 0;
}

/* [a|[b]] is [a,b]. */
static int
parse_tail(struct erlterm_parser *ps, struct erlterm *list)
{
    struct erlterm *tail;
    int r;

    r = parse_term(ps, &tail);
    if (r < 0)
        return r;
    if (tail->type == ERLTERM_LIST && tail->first) {
        list->last->next = tail->first;
        list->last = tail->last;
        list->n += tail->n;
        tail = tail->tail;
    } else if (tail->type == ERLTERM_LIST) {
        tail = NULL;
    } else if (tail->type == ERLTERM_STRING) {
        for (size_t i = 0; i < tail->text.n; i++)
            if (push_integer(ps, list, (unsigned char)tail->text.p[i]) < 0)
                return -E2BIG;
        tail = NULL;
    }
    list->tail = tail;
    return 0;
}

static int
parse_list(struct erlterm_parser *ps, struct erlterm **ret)
{
    struct erlterm *list = erlterm_list(ps->arena);
    int r;

    if (!erlterm_take(ps, "]")) {
        r = parse_elements(ps, list);
        if (r == 0 && erlterm_take(ps, "|"))
            r = parse_tail(ps, list);
        if (r == 0 && !erlterm_take(ps, "]"))
            r = -EINVAL;
        if (r < 0)
            return r;
    }
    *ret = list;
    return 0;
}

static int
parse_tuple(struct erlterm_parser *ps, struct erlterm **ret)
{
    struct erlterm *tuple = erlterm_tuple(ps->arena);
    int r;

    if (!erlterm_take(ps, "}")) {
        r = parse_elements(ps, tuple);
        if (r == 0 && !erlterm_take(ps, "}"))
            r = -EINVAL;
        if (r < 0)
            return r;
    }
    *ret = tuple;
    return 0;
}

static int
parse_map(struct erlterm_parser *ps, struct erlterm **ret)
{
    struct erlterm *map = erlterm_map(ps->arena), *term;
    int r;

    if (erlterm_take(ps, "}")) {
        *ret = map;
        return 0;
    }
    do {
        r = parse_term(ps, &term);
        if (r < 0)
            return r;
        erlterm_push(map, term);
        if (!erlterm_take(ps, "=>"))
            return -EINVAL;
        r = parse_term(ps, &term);
        if (r < 0)
            return r;
        erlterm_push(map, term);
    } while (erlterm_take(ps, ","));
    *ret = map;
    return erlterm_take(ps, "}") ? 0 : -EINVAL;
}

static int
parse_one(struct erlterm_parser *ps, struct erlterm **ret)
{
    char c = erlterm_peek(ps);

    if ((c >= 'a' && c <= 'z') || c == '\'')
        return erlterm_parse_atom(ps, ret);
    if (erlterm_is_digit(c))
        return erlterm_parse_number(ps, false, ret);
    if (c == '-' || c == '+')
        return erlterm_parse_signed(ps, ret);
    if (c == '$')
        return erlterm_parse_char(ps, ret);
    if (c == '"')
        return parse_string(ps, ret);
    if (erlterm_take(ps, "<<"))
        return parse_binary(ps, ret);
    if (erlterm_take(ps, "["))
        return parse_list(ps, ret);
    if (erlterm_take(ps, "{"))
        return parse_tuple(ps, ret);
    if (erlterm_take(ps, "#") && erlterm_take(ps, "{"))
        return parse_map(ps, ret);
    return -EINVAL;
}

static int
parse_term(struct erlterm_parser *ps, struct erlterm **ret)
{
    int r;

    if (ps->depth == ERLTERM_DEPTH_MAX || ps->n_terms++ == ERLTERM_TERMS_MAX)
        return -E2BIG;
    ps->depth++;
    r = parse_one(ps, ret);
    ps->depth--;
    return r;
}

int
erlterm_parse(struct arena *arena, struct str text, struct erlterm **ret)
{
    struct erlterm_parser ps = { .arena = arena, .p = text.p, .end = text.p };
    struct erlterm *term = NULL;
    int r;

    if (text.n == 0)
        return -EINVAL;
    if (text.n > ERLTERM_SIZE_MAX)
        return -E2BIG;
    ps.end += text.n;
    r = parse_term(&ps, &term);
    if (r < 0)
        return r;
    if (erlterm_peek(&ps))
        return -EINVAL;
    *ret = term;
    return 0;
}
