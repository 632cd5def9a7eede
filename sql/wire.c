/*
 * wire.c -- requests and results in frames
 */
#include "sql/wire.h"

#include <errno.h>
#include <stdio.h>

void
sql_wire_put(struct buf *list, const struct sql_value *value)
{
    char number[24];

    switch (value->kind) {
    case SQL_NULL:
        ipc_list_add(list, STR_NULL);
        return;
    case SQL_INT:
        snprintf(number, sizeof number, "%lld", (long long)value->i);
        ipc_list_add(list, str_from(number));
        return;
    case SQL_TEXT:
        /* An empty text is not NULL. */
        ipc_list_add(list, value->s.p ? value->s : STR(""));
        return;
    }
}

int
sql_wire_get(struct str s, char type, struct sql_value *ret_value)
{
    int64_t i;
    int r;

    if (!s.p) {
        *ret_value = sql_null();
        return 0;
    }
    if (type != 'i' && type != 'b') {
        *ret_value = sql_text(s);
        return 0;
    }
    r = str_to_i64(s, &i);
    if (r < 0)
        return -EINVAL;
    *ret_value = sql_int(i);
    return 0;
}

int
sql_wire_params(struct arena *arena, const struct sql_op_def *def, struct ipc_list list,
        struct sql_value **ret_param)
{
    struct sql_value *param;
    struct str s;
    size_t n = list.n;
    int r;

    if (n > SQL_PARAMS_MAX + (size_t)SQL_ROWS_MAX * SQL_PARAMS_MAX)
        return -EINVAL;
    if (n > def->n_fixed && def->n_each == 0)
        return -EINVAL;
    param = arena_alloc(arena, n * sizeof *param);
    for (size_t i = 0; i < n && ipc_list_next(&list, &s); i++) {
        size_t k =
                i < def->n_fixed ? i : def->n_fixed + (i - def->n_fixed) % def->n_each;

        r = sql_wire_get(s, def->param[k].type, &param[i]);
        if (r < 0)
            return r;
    }
    r = sql_op_check(def, param, n);
    if (r < 0)
        return r;
    *ret_param = param;
    return 0;
}

enum {
    WIRE_NULL = 0xffffffffu,
    WIRE_INT = 0xfffffffeu,
    CELLS_MAX = 8 << 20 /* of one result */
};

void
sql_wire_row_put(struct buf *rows, const struct sql_value *value, size_t n)
{
    size_t size = 1;
    char *p, *start;
    uint32_t word;

    while (n > 0 && value[n - 1].kind == SQL_NULL)
        n--;
    for (size_t i = 0; i < n; i++)
        size += sizeof word + sizeof value->i + value[i].s.n;
    start = p = buf_reserve(rows, size);
    *p++ = (char)n;
    for (size_t i = 0; i < n; i++) {
        const struct sql_value *v = &value[i];

        word = v->kind == SQL_NULL  ? WIRE_NULL
               : v->kind == SQL_INT ? WIRE_INT
                                    : (uint32_t)v->s.n;
        memcpy(p, &word, sizeof word);
        p += sizeof word;
        if (v->kind == SQL_INT) {
            memcpy(p, &v->i, sizeof v->i);
            p += sizeof v->i;
        } else if (v->kind == SQL_TEXT) {
            if (v->s.n)
                memcpy(p, v->s.p, v->s.n);
            p += v->s.n;
            *p++ = '\0';
        }
    }
    buf_added(rows, (size_t)(p - start));
}

/* One value of the type, cut from *rest. */
static int
value_get(struct str *rest, char type, struct sql_value *ret_value)
{
    bool number = type == 'i' || type == 'b';
    uint32_t word;
    int64_t i;

    if (rest->n < sizeof word)
        return -EBADMSG;
    memcpy(&word, rest->p, sizeof word);
    rest->p += sizeof word;
    rest->n -= sizeof word;
    if (word == WIRE_NULL) {
        *ret_value = sql_null();
    } else if (word == WIRE_INT) {
        if (!number || rest->n < sizeof i)
            return -EBADMSG;
        memcpy(&i, rest->p, sizeof i);
        *ret_value = sql_int(i);
        rest->p += sizeof i;
        rest->n -= sizeof i;
    } else {
        if (number || rest->n <= word || rest->p[word] != '\0')
            return -EBADMSG;
        *ret_value = sql_text((struct str){ rest->p, word });
        rest->p += word + 1;
        rest->n -= word + 1;
    }
    return 0;
}

int
sql_wire_rows_get(struct arena *arena, const struct sql_op_def *def, struct str packed,
        size_t n_rows, struct sql_result *ret)
{
    struct sql_value *value, *v;

    if (n_rows > packed.n || n_rows * def->n_cols > CELLS_MAX)
        return -EBADMSG;
    v = value = arena_zalloc(arena, n_rows * def->n_cols * sizeof *value); /* NULLs */
    for (size_t row = 0; row < n_rows; row++) {
        size_t n = packed.n > 0 ? (uint8_t)*packed.p++ : SIZE_MAX;

        if (n > def->n_cols)
            return -EBADMSG;
        packed.n--;
        for (size_t i = 0; i < n; i++) {
            if (value_get(&packed, def->cols[i], v++) < 0)
                return -EBADMSG;
        }
        v += def->n_cols - n;
    }
    if (packed.n > 0)
        return -EBADMSG;
    ret->n_cols = def->n_cols;
    ret->n_rows = n_rows;
    ret->value = value;
    return 0;
}

enum ipc_status
sql_wire_status(enum sql_status status)
{
    switch (status) {
    case SQL_OK:
        return IPC_OK;
    case SQL_CONFLICT:
        return IPC_CONFLICT;
    case SQL_NOT_FOUND:
        return IPC_NOT_FOUND;
    case SQL_UNAVAILABLE:
        return IPC_UNAVAILABLE;
    case SQL_ERROR:
        break;
    }
    return IPC_FAILED;
}

enum sql_status
sql_wire_status_get(uint8_t status)
{
    for (enum sql_status s = SQL_OK; s < SQL_ERROR; s++) {
        if (sql_wire_status(s) == (enum ipc_status)status)
            return s;
    }
    return SQL_ERROR;
}

uint64_t
sql_wire_id_hi(const struct sql_write_id *id)
{
    uint64_t v = 0;

    for (int i = 0; i < 8; i++)
        v = v << 8 | id->b[i];
    return v;
}

uint64_t
sql_wire_id_lo(const struct sql_write_id *id)
{
    uint64_t v = 0;

    for (int i = 8; i < 16; i++)
        v = v << 8 | id->b[i];
    return v;
}

void
sql_wire_id_get(uint64_t hi, uint64_t lo, struct sql_write_id *ret_id)
{
    for (int i = 7; i >= 0; i--, hi >>= 8, lo >>= 8) {
        ret_id->b[i] = (unsigned char)hi;
        ret_id->b[8 + i] = (unsigned char)lo;
    }
}
