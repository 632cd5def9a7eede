/*
 * value.c -- the small things of sql.h: values, status names, write ids
 */
#include "sql/sql.h"

#include "base/clock.h"
#include "base/rand.h"

struct sql_value
sql_null(void)
{
    return (struct sql_value){ .kind = SQL_NULL };
}

struct sql_value
sql_int(int64_t i)
{
    return (struct sql_value){ .kind = SQL_INT, .i = i };
}

struct sql_value
sql_text(struct str s)
{
    return (struct sql_value){ .kind = SQL_TEXT, .s = s };
}

const char *
sql_status_name(enum sql_status status)
{
    static const char *const name[] = {
        [SQL_OK] = "ok",
        [SQL_CONFLICT] = "conflict",
        [SQL_NOT_FOUND] = "not found",
        [SQL_UNAVAILABLE] = "unavailable",
        [SQL_ERROR] = "error",
    };

    return (unsigned)status <= SQL_ERROR ? name[status] : "unknown";
}

void
sql_write_id_new(struct sql_write_id *ret_id)
{
    uint64_t ms = clock_wall_us() / 1000;

    rand_bytes(ret_id->b, sizeof ret_id->b);
    for (int i = 5; i >= 0; i--, ms >>= 8)
        ret_id->b[i] = (unsigned char)ms;
}

uint64_t
sql_write_id_ms(const struct sql_write_id *id)
{
    uint64_t ms = 0;

    for (int i = 0; i < 6; i++)
        ms = ms << 8 | id->b[i];
    return ms;
}

bool
sql_write_id_is_set(const struct sql_write_id *id)
{
    static const struct sql_write_id none;

    return memcmp(id->b, none.b, sizeof none.b) != 0;
}
