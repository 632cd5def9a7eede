#ifndef XMPP_ERLTERM_PRIV_H
#define XMPP_ERLTERM_PRIV_H

#include "xmpp/erlterm.h"

/* What erlterm_parse.c and erlterm_literal.c share; nobody else includes it. */

#define ERLTERM_CODE_MAX 0x10ffff /* of a character */

/* The cursor in the text. */
struct erlterm_parser {
    struct arena *arena;
    const char *p, *end;
    unsigned depth;
    size_t n_terms;
};

/* The next byte behind white space and comments; NUL at the end. */
char erlterm_peek(struct erlterm_parser *ps);
/* Whether it begins this token; then the cursor is behind that. */
bool erlterm_take(struct erlterm_parser *ps, const char *token);
bool erlterm_is_name_char(char c);
bool erlterm_is_digit(char c);

/* From a quote: the text up to the next one, as it stands there. 0 or -EINVAL. */
int erlterm_take_quoted(struct erlterm_parser *ps, struct str *ret);
/*
 * The next byte of such a text, or the character that an escape stands for; *ret_raw:
 * it is the byte. s is not empty. 0 or -EINVAL.
 */
int erlterm_next_char(struct str *s, uint32_t *ret, bool *ret_raw);
/*
 * Such a text as bytes. utf8: as <<"…"/utf8>> means it, where an escape is a character
 * and other bytes are UTF-8 already; else a code above 0xff has only its last byte, and
 * *wide is set. 0 or -EINVAL.
 */
int erlterm_unescape(struct erlterm_parser *ps, struct str s, bool utf8, bool *wide,
        struct str *ret);
/* Returns where the next byte goes; there must be room for four. */
char *erlterm_put_utf8(char *at, uint32_t code);

/*
 * The cursor stands on the first byte: a lower-case letter or quote, a digit, a sign, a
 * dollar. 0 or -EINVAL.
 */
int erlterm_parse_atom(struct erlterm_parser *ps, struct erlterm **ret);
int erlterm_parse_number(
        struct erlterm_parser *ps, bool negative, struct erlterm **ret);
int erlterm_parse_signed(struct erlterm_parser *ps, struct erlterm **ret);
int erlterm_parse_char(struct erlterm_parser *ps, struct erlterm **ret);

#endif
