/*
 * datetime.c -- any bytes as a moment: what is accepted is in range, and comes back
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "xmpp/datetime.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(bool ok, const char *what, struct str s)
{
    if (ok)
        return;
    fprintf(stderr, "%s: %.*s\n", what, STR_ARG(s));
    abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf out = { 0 };
    char *copy = malloc(size);
    struct str in = { copy, size };
    int64_t us, again;

    if (!copy && size > 0)
        abort();
    if (size > 0)
        memcpy(copy, data, size);
    if (datetime_parse_legacy(in, &us) == 0) {
        check(us >= DATETIME_MIN && us <= DATETIME_MAX, "out of range", in);
        datetime_write(&out, us, DATETIME_EXACT);
        check(datetime_parse(buf_str(&out), &again) == 0 && again == us, "differs", in);
    }
    if (datetime_parse_date(in, &us) == 0)
        check(us >= DATETIME_MIN && us <= DATETIME_MAX, "date out of range", in);
    if (datetime_parse_time(in, &us) == 0)
        check(us >= 0 && us < DATETIME_DAY_US, "time out of range", in);
    buf_fini(&out);
    free(copy);
    return 0;
}
