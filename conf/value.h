#ifndef CONF_VALUE_H
#define CONF_VALUE_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/bind.h"

/* What the parts of value.c share; nobody else needs it. */

/* Reports "invalid value of option …: expected …, got …"; always -EINVAL. */
int value_fail(struct conf_binder *b, const struct conf_option *opt, const char *where,
        const struct conf_node *node, const char *advice);

/* Is s one of the words, in any case? */
bool value_is_one_of(struct str s, const char *const *words, size_t n);

/* The index of a word among words (separated by |), -1: none; booleans in all forms. */
int value_word(const char *words, const struct conf_node *node);

/* "did you mean X?", or NULL when no word is near. */
const char *value_guess(
        struct conf_binder *b, const char *words, const struct conf_node *node);

/*
 * A value of one of the types that are one or a list of something. `to` is a field of
 * that type, cleared. 0 or -EINVAL (reported).
 */
int value_list(struct conf_binder *b, const struct conf_option *opt, const char *where,
        const struct conf_node *node, void *to);

/* A record or a list of records; nothing is kept of it. 0 or -EINVAL (reported). */
int value_record(struct conf_binder *b, const struct conf_option *opt,
        const char *where, const struct conf_node *node);

#endif
