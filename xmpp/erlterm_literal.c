/*
 * erlterm_literal.c -- Erlang terms from text: atoms, numbers, characters in quotes
 *
 * Bytes above 0x7f may stand in quotes and comments only: Erlang has unquoted atoms of
 * them, but in Latin-1, which no database has.
 */
#include "xmpp/erlterm_priv.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/arena.h"

enum {
    RADIX_MAX = 36,
    FLOAT_SIZE = 400 /* characters; the longest float without exponent has some 330 */
};

bool
erlterm_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

bool
erlterm_is_name_char(char c)
{
    return is_lower(c) || (c >= 'A' && c <= 'Z') || erlterm_is_digit(c) || c == '_' ||
           c == '@';
}

/* The value of a letter or digit in the highest radix; RADIX_MAX: it is neither. */
static unsigned
digit_of(char c)
{
    if (erlterm_is_digit(c))
        return (unsigned)(c - '0');
    if (is_lower(c))
        return (unsigned)(c - 'a') + 10;
    if (c >= 'A' && c <= 'Z')
        return (unsigned)(c - 'A') + 10;
    return RADIX_MAX;
}

/* White space and comments. */
static void
skip(struct erlterm_parser *ps)
{
    while (ps->p != ps->end) {
        if (*ps->p == '%') {
            while (ps->p != ps->end && *ps->p != '\n')
                ps->p++;
        } else if ((unsigned char)*ps->p <= ' ') {
            ps->p++;
        } else {
            break;
        }
    }
}

char
erlterm_peek(struct erlterm_parser *ps)
{
    skip(ps);
    return ps->p == ps->end ? '\0' : *ps->p;
}

bool
erlterm_take(struct erlterm_parser *ps, const char *token)
{
    size_t n = strlen(token);

    skip(ps);
    if ((size_t)(ps->end - ps->p) < n || memcmp(ps->p, token, n) != 0)
        return false;
    ps->p += n;
    return true;
}

/* Characters in quotes */

static int
next_digits(
        struct str *s, unsigned radix, unsigned n_min, unsigned n_max, uint32_t *ret)
{
    uint32_t code = 0;
    unsigned n = 0;

    for (; n < n_max && s->n > 0 && digit_of(*s->p) < radix; n++, s->p++, s->n--) {
        code = code * radix + digit_of(*s->p);
        if (code > ERLTERM_CODE_MAX)
            return -EINVAL;
    }
    *ret = code;
    return n < n_min ? -EINVAL : 0;
}

/* What follows a backslash; *ret_raw: it stands for its very byte. */
static int
next_escape(struct str *s, uint32_t *ret, bool *ret_raw)
{
    static const char letters[] = "bdefnrstv";
    static const char codes[] = "\b\x7f\x1b\f\n\r \t\v";
    const char *letter;
    char c;
    int r;

    *ret_raw = false;
    if (s->n == 0)
        return -EINVAL;
    c = *s->p;
    if (c >= '0' && c <= '7')
        return next_digits(s, 8, 1, 3, ret);
    s->p++;
    s->n--;
    if (c == 'x' && s->n > 0 && *s->p == '{') {
        s->p++;
        s->n--;
        r = next_digits(s, 16, 1, 8, ret);
        if (r < 0 || s->n == 0 || *s->p != '}')
            return -EINVAL;
        s->p++;
        s->n--;
        return 0;
    }
    if (c == 'x')
        return next_digits(s, 16, 2, 2, ret);
    if (c == '^') {
        if (s->n == 0)
            return -EINVAL;
        *ret = (unsigned char)*s->p & 0x1fu;
        s->p++;
        s->n--;
        return 0;
    }
    letter = c ? strchr(letters, c) : NULL;
    *ret = letter ? (unsigned char)codes[letter - letters] : (unsigned char)c;
    *ret_raw = !letter;
    return 0;
}

int
erlterm_next_char(struct str *s, uint32_t *ret, bool *ret_raw)
{
    char c = *s->p;

    s->p++;
    s->n--;
    if (c == '\\')
        return next_escape(s, ret, ret_raw);
    *ret = (unsigned char)c;
    *ret_raw = true;
    return 0;
}

int
erlterm_take_quoted(struct erlterm_parser *ps, struct str *ret)
{
    char quote = *ps->p++;
    const char *from = ps->p;

    while (ps->p != ps->end && *ps->p != quote)
        ps->p += *ps->p == '\\' && ps->end - ps->p > 1 ? 2 : 1;
    if (ps->p == ps->end)
        return -EINVAL;
    *ret = (struct str){ from, (size_t)(ps->p - from) };
    ps->p++;
    return 0;
}

char *
erlterm_put_utf8(char *at, uint32_t code)
{
    static const unsigned char lead[] = { 0, 0xc0, 0xe0, 0xf0 };
    unsigned n = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;

    *at++ = (char)(lead[n] | code >> 6 * n);
    while (n-- > 0)
        *at++ = (char)(0x80 | (code >> 6 * n & 0x3f));
    return at;
}

/* In place: no escape is shorter than what it becomes. */
int
erlterm_unescape(
        struct erlterm_parser *ps, struct str s, bool utf8, bool *wide, struct str *ret)
{
    char *bytes, *at;

    if (s.n == 0 || !memchr(s.p, '\\', s.n)) {
        *ret = s;
        return 0;
    }
    at = bytes = arena_alloc_unaligned(ps->arena, s.n);
    while (s.n > 0) {
        uint32_t code;
        bool raw;

        if (erlterm_next_char(&s, &code, &raw) < 0)
            return -EINVAL;
        if (code > 0xff)
            *wide = true;
        if (utf8 && code >= 0xd800 && code <= 0xdfff)
            return -EINVAL;
        if (utf8 && !raw)
            at = erlterm_put_utf8(at, code);
        else
            *at++ = (char)(code & 0xff);
    }
    *ret = (struct str){ bytes, (size_t)(at - bytes) };
    return 0;
}

/* Atoms and numbers */

int
erlterm_parse_atom(struct erlterm_parser *ps, struct erlterm **ret)
{
    struct str name;
    bool wide = false;

    if (*ps->p == '\'') {
        if (erlterm_take_quoted(ps, &name) < 0 ||
                erlterm_unescape(ps, name, false, &wide, &name) < 0 || wide)
            return -EINVAL;
    } else {
        name.p = ps->p;
        while (ps->p != ps->end && erlterm_is_name_char(*ps->p))
            ps->p++;
        name.n = (size_t)(ps->p - name.p);
    }
    *ret = erlterm_atom(ps->arena, name);
    return 0;
}

/* The digits at the cursor, without the underscores that may stand between them. */
static int
take_digits(struct erlterm_parser *ps, unsigned radix, struct str *ret)
{
    const char *from = ps->p;
    char *digits, *at;

    while (ps->p != ps->end &&
            (digit_of(*ps->p) < radix ||
                    (*ps->p == '_' && ps->p != from && ps->p[-1] != '_')))
        ps->p++;
    if (ps->p == from || ps->p[-1] == '_')
        return -EINVAL;
    *ret = (struct str){ from, (size_t)(ps->p - from) };
    if (!memchr(from, '_', ret->n))
        return 0;
    digits = at = arena_alloc_unaligned(ps->arena, ret->n);
    for (; from != ps->p; from++)
        if (*from != '_')
            *at++ = *from;
    *ret = (struct str){ digits, (size_t)(at - digits) };
    return 0;
}

static int
radix_integer(struct str digits, unsigned radix, bool negative, int64_t *ret)
{
    uint64_t v = 0;

    for (size_t i = 0; i < digits.n; i++) {
        unsigned d = digit_of(digits.p[i]);

        if (v > (UINT64_MAX - d) / radix)
            return -ERANGE;
        v = v * radix + d;
    }
    if (v > (uint64_t)INT64_MAX + negative)
        return -ERANGE;
    *ret = negative ? (int64_t)(0 - v) : (int64_t)v;
    return 0;
}

static struct erlterm *
big_integer(struct erlterm_parser *ps, struct str digits, bool negative)
{
    struct erlterm *term = erlterm_integer(ps->arena, 0);
    char *text = arena_alloc_unaligned(ps->arena, digits.n + 1);

    term->type = ERLTERM_BIG;
    text[0] = '-';
    memcpy(text + negative, digits.p, digits.n);
    term->text = (struct str){ text, digits.n + negative };
    return term;
}

/* The cursor stands on the point behind whole. */
static int
parse_float(struct erlterm_parser *ps, struct str whole, bool negative,
        struct erlterm **ret)
{
    char text[FLOAT_SIZE + 2];
    struct str fraction, exponent = STR("0");
    bool down = false;
    double number;

    ps->p++;
    if (take_digits(ps, 10, &fraction) < 0)
        return -EINVAL;
    if (ps->p != ps->end && (*ps->p == 'e' || *ps->p == 'E')) {
        ps->p++;
        if (ps->p != ps->end && (*ps->p == '-' || *ps->p == '+'))
            down = *ps->p++ == '-';
        if (take_digits(ps, 10, &exponent) < 0)
            return -EINVAL;
    }
    if (whole.n + fraction.n + exponent.n + 4 > FLOAT_SIZE)
        return -EINVAL;
    text[0] = negative ? '-' : '+';
    memcpy(text + 1, whole.p, whole.n);
    text[1 + whole.n] = '.';
    memcpy(text + 2 + whole.n, fraction.p, fraction.n);
    text[2 + whole.n + fraction.n] = 'e';
    text[3 + whole.n + fraction.n] = down ? '-' : '+';
    memcpy(text + 4 + whole.n + fraction.n, exponent.p, exponent.n);
    text[4 + whole.n + fraction.n + exponent.n] = '\0';
    number = strtod(text, NULL);
    if (!isfinite(number))
        return -EINVAL;
    *ret = erlterm_float(ps->arena, number);
    return 0;
}

static bool
is_point(const struct erlterm_parser *ps)
{
    return ps->end - ps->p > 1 && *ps->p == '.' && erlterm_is_digit(ps->p[1]);
}

/* Digits, with a radix or a fraction. */
int
erlterm_parse_number(struct erlterm_parser *ps, bool negative, struct erlterm **ret)
{
    struct str digits;
    unsigned radix = 10;
    int64_t value;
    int r;

    if (take_digits(ps, 10, &digits) < 0)
        return -EINVAL;
    if (is_point(ps))
        return parse_float(ps, digits, negative, ret);
    if (ps->p != ps->end && *ps->p == '#') {
        if (radix_integer(digits, 10, false, &value) < 0 || value < 2 ||
                value > RADIX_MAX)
            return -EINVAL;
        radix = (unsigned)value;
        ps->p++;
        if (take_digits(ps, radix, &digits) < 0)
            return -EINVAL;
    }
    if (ps->p != ps->end && erlterm_is_name_char(*ps->p))
        return -EINVAL;
    r = radix_integer(digits, radix, negative, &value);
    if (r == 0)
        *ret = erlterm_integer(ps->arena, value);
    else if (radix == 10)
        *ret = big_integer(ps, digits, negative);
    else
        return -EINVAL;
    return 0;
}

int
erlterm_parse_char(struct erlterm_parser *ps, struct erlterm **ret)
{
    struct str rest;
    uint32_t code;
    bool raw;

    ps->p++;
    rest = (struct str){ ps->p, (size_t)(ps->end - ps->p) };
    if (rest.n == 0 || erlterm_next_char(&rest, &code, &raw) < 0)
        return -EINVAL;
    ps->p = rest.p;
    *ret = erlterm_integer(ps->arena, code);
    return 0;
}

int
erlterm_parse_signed(struct erlterm_parser *ps, struct erlterm **ret)
{
    bool negative = *ps->p++ == '-';

    return erlterm_is_digit(erlterm_peek(ps)) ? erlterm_parse_number(ps, negative, ret)
                                              : -EINVAL;
}
