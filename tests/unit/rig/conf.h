#ifndef TESTS_UNIT_RIG_CONF_H
#define TESTS_UNIT_RIG_CONF_H

#include <stdbool.h>

#include "conf/conf.h"

/* Of no service: its directories are /h, /db and /log, its version is 1.2.3. */
extern const struct conf_loader loader;

#define H "hosts: [a.example, b.example]\nauth_password_format: scram\n"

/* The configuration of a text, which must be good. */
struct conf *load(const char *yaml);

/* Is there a problem of this severity whose text has this in it? */
bool says(const struct conf_report *rep, enum conf_severity severity, const char *text);

#define assert_str(s, wanted)                                        \
    do {                                                             \
        struct str s_ = (s);                                         \
        if (!str_eq_c(s_, wanted))                                   \
            fail_msg("\"%.*s\" is not \"%s\"", STR_ARG(s_), wanted); \
    } while (0)

#endif
