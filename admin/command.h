#ifndef ADMIN_COMMAND_H
#define ADMIN_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/str.h"

/*
 * The rows of commands.def, taken apart. Both ends know the table: stanzactl explains
 * and asks for passwords, the admin process checks and runs.
 */
enum {
    COMMAND_ARGS_MAX = 8,
    COMMAND_FIELDS_MAX = 12,
    COMMAND_API_LATEST = 3 /* ejabberd's API version */
};

enum command_id {
#define COMMAND(name, where, args, result, since, tags, sentence) \
    COMMAND_##name##_##since,
#include "admin/commands.def"
#undef COMMAND
    COMMANDS
};

struct command_arg {
    struct str name;
    char type; /* s, i, p, l, f or h */
    bool optional;
};

enum command_shape {
    SHAPE_RESCODE,
    SHAPE_RESTUPLE,
    SHAPE_SCALAR,
    SHAPE_LIST,
    SHAPE_RECORD,
    SHAPE_RECORDS,
    SHAPE_TABLE
};

struct command_field {
    struct str name;
    char type; /* s, i, a, l; in tables d, c, b, u too */
};

struct command {
    enum command_id id;
    const char *name, *args_spec, *result_spec, *tags, *sentence;
    bool at_client;
    unsigned since;
    struct command_arg arg[COMMAND_ARGS_MAX];
    size_t n_args, n_args_min;
    enum command_shape shape;
    struct command_field field[COMMAND_FIELDS_MAX];
    size_t n_fields;
};

const struct command *command_at(enum command_id id);

/* As an administrator writes it: `-` and `_` are equal. NULL: there is none. */
const struct command *command_find(struct str name, unsigned api_version);
bool command_name_eq(struct str a, struct str b);
bool command_has_tag(const struct command *c, struct str tag);

/* Is there a later row of the same name? */
bool command_is_replaced(const struct command *c);

/* The name closest to this one. */
const char *command_nearest(struct str name);

/* What an argument of this command means; NULL: it is not in arguments.def. */
const char *argument_sentence(const struct command *c, struct str name);
const char *argument_example(const struct command *c, struct str name);

/*
 * Do the arguments fit? 0; or -EINVAL with the text of the error, without "Error: ", in
 * *ret_error. Arguments that were left out come as STR_NULL.
 */
int command_check(const struct command *c, const struct str *arg, size_t n,
        struct buf *ret_error);

#endif
