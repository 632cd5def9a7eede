/*
 * regex.c -- regular expressions of access control lists
 *
 * ejabberd has PCRE, we have POSIX extended expressions: what differs is refused with
 * the POSIX way to say it, never taken to mean something else. Repetitions are bounded,
 * because regcomp() expands them.
 */
#include "conf/regex.h"

#include <errno.h>

#include "base/mem.h"

#define PATTERN_MAX    1024
#define REPETITION_MAX 1000

static void
regex_end(void *arg)
{
    regfree(arg);
}

/* The product of the upper ends of all {m,n}: what regcomp() may expand to. */
static bool
is_too_repetitive(struct str s)
{
    uint64_t product = 1;

    for (size_t i = 0; i < s.n; i++) {
        uint64_t n = 0, most = 0;

        if (s.p[i] != '{')
            continue;
        for (i++; i < s.n && s.p[i] != '}'; i++) {
            if (s.p[i] >= '0' && s.p[i] <= '9')
                n = n < 100000 ? n * 10 + (uint64_t)(s.p[i] - '0') : n;
            else
                n = 0;
            most = n > most ? n : most;
        }
        product *= most ? most : 1;
        if (product > REPETITION_MAX)
            return true;
    }
    return false;
}

static const char *
why_not_posix(struct str s)
{
    bool bracket = false;

    for (size_t i = 0; i + 1 < s.n; i++) {
        char next = s.p[i + 1];

        if (s.p[i] == '[' && !bracket) {
            bracket = true;
            i += next == '^' || next == ']';
        } else if (s.p[i] == ']') {
            bracket = false;
        } else if (s.p[i] == '(' && next == '?' && !bracket) {
            return "(? is PCRE, this is POSIX; write a plain group";
        } else if (s.p[i] == '\\') {
            if (next == 'd' || next == 'D' || next == 'h' || next == 'R' || next == 'p')
                return "this is POSIX, not PCRE; write [0-9] for \\d and the like";
            i += !bracket;
        } else if ((s.p[i] == '*' || s.p[i] == '+' || s.p[i] == '?') && !bracket &&
                   (next == '?' || next == '+')) {
            return "lazy and possessive repetitions are PCRE, this is POSIX";
        }
    }
    return NULL;
}

int
conf_regex(struct arena *conf_arena, struct str pattern, regex_t **ret,
        const char **ret_why)
{
    regex_t *re;
    char why[128];
    int e;

    *ret = NULL;
    if (pattern.n == 0)
        return 0;
    *ret_why = why_not_posix(pattern);
    if (!*ret_why && pattern.n > PATTERN_MAX)
        *ret_why = "it is longer than 1024 bytes";
    if (!*ret_why && is_too_repetitive(pattern))
        *ret_why = "its repetitions multiply to more than 1000";
    if (*ret_why)
        return -EINVAL;
    re = arena_new(conf_arena, regex_t);
    e = regcomp(re, str_dup_c(conf_arena, pattern), REG_EXTENDED | REG_NOSUB);
    if (e != 0) {
        regerror(e, re, why, sizeof why);
        *ret_why = str_dup_c(conf_arena, str_from(why));
        return -EINVAL;
    }
    arena_on_end(conf_arena, regex_end, re);
    *ret = re;
    return 0;
}
