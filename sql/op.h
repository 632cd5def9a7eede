#ifndef SQL_OP_H
#define SQL_OP_H

#include "sql/sql.h"

enum {
    SQL_STEPS_MAX = 20,
    SQL_PARAMS_MAX = 32, /* fixed and one row of repeated ones together */
    SQL_COLS_MAX = 32,
    SQL_ROWS_MAX = 5000, /* repeated rows */
};

enum sql_step_kind {
    SQL_STEP_NONE,
    SQL_STEP_ROWS,
    SQL_STEP_ROWS_EACH,
    SQL_STEP_DO,
    SQL_STEP_EACH,
    SQL_STEP_NEED,
    SQL_STEP_HIT
};

bool sql_step_gives_rows(enum sql_step_kind kind);
bool sql_step_is_each(enum sql_step_kind kind); /* runs once per repeated row */

struct sql_step_def {
    enum sql_step_kind kind;
    enum sql_status otherwise;
    const char *text;
};

struct sql_param_def {
    struct str name;
    char type; /* t, i, b or u */
};

/* A row of op.def, its parameters taken apart. */
struct sql_op_def {
    const char *name; /* "user_get" */
    bool writes, each_min_one;
    bool later; /* a change that may wait for more, but not ... */
    bool meets; /* ... for one of these, which deal with the table of such a change */
    bool twice; /* a change that may be done twice */
    struct sql_param_def param[SQL_PARAMS_MAX];
    size_t n_fixed, n_each;
    const char *cols;
    size_t n_cols, n_steps;
    const struct sql_step_def *step;
};

const struct sql_op_def *sql_op_def(enum sql_op op); /* NULL: there is none */

/* Do these parameters fit? 0 or -EINVAL. */
int sql_op_check(const struct sql_op_def *def, const struct sql_value *param, size_t n);

/*
 * Does it only make what is not there yet (its one step is a HIT of SQL_CONFLICT)? Then
 * it may be repeated without its write id.
 */
bool sql_op_makes_once(const struct sql_op_def *def);

/* How many rows of repeated parameters n parameters hold. */
size_t sql_op_rows(const struct sql_op_def *def, size_t n);

#endif
