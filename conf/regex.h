#ifndef CONF_REGEX_H
#define CONF_REGEX_H

#include <regex.h>

#include "base/arena.h"
#include "base/str.h"

/*
 * Compiles a POSIX extended expression that lives as long as the arena. *ret is NULL
 * for the empty one, which matches everything. 0, or -EINVAL with a static or arena
 * text that says why in *ret_why.
 */
int conf_regex(struct arena *conf_arena, struct str pattern, regex_t **ret,
        const char **ret_why);

#endif
