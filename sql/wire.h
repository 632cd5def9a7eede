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

enum ipc_status sql_wire_status(enum sql_status status);
enum sql_status sql_wire_status_get(uint8_t status);

uint64_t sql_wire_id_hi(const struct sql_write_id *id);
uint64_t sql_wire_id_lo(const struct sql_write_id *id);
void sql_wire_id_get(uint64_t hi, uint64_t lo, struct sql_write_id *ret_id);

#endif
