#ifndef SQL_WIRE_H
#define SQL_WIRE_H

#include "base/arena.h"
#include "base/buf.h"
#include "ipc/ipc.h"
#include "sql/op.h"

/*
 * Values as byte strings, as frames carry them: numbers in decimal, what is NULL
 * absent. The operation says which type each has, on both sides.
 */
void sql_wire_put(struct buf *list, const struct sql_value *value);

/* type: a letter of op.def. 0 or -EINVAL; a text stays a view. */
int sql_wire_get(struct str s, char type, struct sql_value *ret_value);

/*
 * The parameters of an operation, in the arena: 0 or -EINVAL (sql_op_check is called).
 */
int sql_wire_params(struct arena *arena, const struct sql_op_def *def,
        struct ipc_list list, struct sql_value **ret_param);

/*
 * The rows of a result, one after the other. Each: how many values (u8), NULLs at its
 * end left out; then each value: the length of a text (u32), the text, and a byte 0; or
 * a word that is no length, and behind SQL_WIRE_INT the number (s64).
 */
void sql_wire_row_put(struct buf *rows, const struct sql_value *value, size_t n);

/*
 * n_rows rows, with as many columns as the operation has; values in the arena, texts as
 * views of `packed`, with that byte 0. 0 or -EBADMSG.
 */
int sql_wire_rows_get(struct arena *arena, const struct sql_op_def *def,
        struct str packed, size_t n_rows, struct sql_result *ret);

enum ipc_status sql_wire_status(enum sql_status status);
enum sql_status sql_wire_status_get(uint8_t status);

uint64_t sql_wire_id_hi(const struct sql_write_id *id);
uint64_t sql_wire_id_lo(const struct sql_write_id *id);
void sql_wire_id_get(uint64_t hi, uint64_t lo, struct sql_write_id *ret_id);

#endif
