/*
 * admin_command.c -- the table of commands: names, arguments, help, and the manual
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "admin/command.h"
#include "admin/help.h"
#include "base/mem.h"

static void
names_are_found_with_dash_or_underscore(void **state)
{
    static const struct {
        const char *name;
        unsigned api;
        const char *found; /* NULL: none */
        enum command_shape shape;
    } cases[] = {
        { "register", 3, "register", SHAPE_RESTUPLE },
        { "reload-config", 3, "reload_config", SHAPE_RESCODE },
        { "reload_config", 0, "reload_config", SHAPE_RESCODE },
        { "connected-users_info", 3, "connected_users_info", SHAPE_RECORDS },
        { "registered_users", 3, "registered_users", SHAPE_LIST },
        { "get_presence", 3, "get_presence", SHAPE_RECORD },
        { "processes", 3, "processes", SHAPE_TABLE },
        { "kick_user", 0, "kick_user", SHAPE_SCALAR },
        { "kick_user", 1, "kick_user", SHAPE_SCALAR },
        { "kick_user", 2, "kick_user", SHAPE_RESTUPLE },
        { "kick_user", 3, "kick_user", SHAPE_RESTUPLE },
        { "Register", 3, NULL, SHAPE_RESCODE },
        { "registe", 3, NULL, SHAPE_RESCODE },
        { "", 3, NULL, SHAPE_RESCODE },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct command *c = command_find(str_from(cases[i].name), cases[i].api);

        print_message("case: %s, api %u\n", cases[i].name, cases[i].api);
        assert_int_equal(c != NULL, cases[i].found != NULL);
        if (!c)
            continue;
        assert_string_equal(c->name, cases[i].found);
        assert_int_equal(c->shape, cases[i].shape);
    }
}

static void
the_nearest_name_is_suggested(void **state)
{
    static const char *const cases[][2] = {
        { "registre", "register" },
        { "kick-users", "kick_user" },
        { "connected_user", "connected_users" },
        { "change_passwort", "change_password" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("case: %s\n", cases[i][0]);
        assert_string_equal(command_nearest(str_from(cases[i][0])), cases[i][1]);
    }
}

static void
arguments_are_checked(void **state)
{
    static const struct {
        const char *command, *arg[5];
        const char *error; /* NULL: they fit */
    } cases[] = {
        { "register", { "a", "b", "c" }, NULL },
        { "register", { NULL }, "the command 'register' requires 3 more argument." },
        { "register", { "a", "b" },
                "the command 'register' requires 1 more argument." },
        { "status", { "a" }, "the command 'status' requires 1 less argument." },
        { "restart_process", { "worker" }, NULL },
        { "restart_process", { "worker", "1" }, NULL },
        { "restart_process", { "worker", "one" },
                "argument 'slot' must be an integer." },
        { "restart_process", { "worker", "1", "2" },
                "the command 'restart_process' requires 1 less argument." },
        { "resource_num", { "a", "b", "-1" }, NULL },
        { "resource_num", { "a", "b", "1x" }, "argument 'num' must be an integer." },
        { "check_account", { "a\xff", "b" }, "argument 'user' is not UTF-8 text." },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct command *c = command_find(str_from(cases[i].command), 3);
        struct buf error = { 0 };
        struct str arg[5];
        size_t n = 0;
        int r;

        print_message("case: %zu %s\n", i, cases[i].command);
        for (; n < 5 && cases[i].arg[n]; n++)
            arg[n] = str_from(cases[i].arg[n]);
        r = command_check(c, arg, n, &error);
        assert_int_equal(r == 0, cases[i].error == NULL);
        assert_string_equal(buf_c(&error), cases[i].error ? cases[i].error : "");
        buf_fini(&error);
    }
}

static void
every_row_is_explained(void **state)
{
    (void)state;
    for (size_t i = 0; i < COMMANDS; i++) {
        const struct command *c = command_at((enum command_id)i);
        struct buf text = { 0 };

        print_message("case: %s\n", c->name);
        for (size_t k = 0; k < c->n_args; k++) {
            assert_non_null(argument_sentence(c, c->arg[k].name));
            assert_non_null(argument_example(c, c->arg[k].name));
        }
        help_command(&text, c);
        assert_non_null(strstr(buf_c(&text), c->sentence));
        buf_fini(&text);
    }
}

static void
help_knows_commands_tags_and_patterns(void **state)
{
    static const struct {
        const char *what, *contains;
        bool known;
    } cases[] = {
        { NULL, "Usage: stanzactl", true },
        { "register", "Command Name: register", true },
        { "kick-user", "Command Name: kick_user", true },
        { "accounts", "change_password user host newpass", true },
        { "tags", "statistics", true },
        { "commands", "check_sandbox [role] [slot]", true },
        { "*password", "check_password", true },
        { "regster", "Did you mean 'register'?", false },
        { "", "No tag or command matches ''", false },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf text = { 0 };
        int r = help_write(&text, str_from(cases[i].what), 3);

        print_message("case: %s\n", cases[i].what ? cases[i].what : "(nothing)");
        assert_int_equal(r == 0, cases[i].known);
        assert_non_null(strstr(buf_c(&text), cases[i].contains));
        buf_fini(&text);
    }
}

/* Its list is put in with: stanzactl --man-commands */
static void
the_manual_is_up_to_date(void **state)
{
    FILE *f = fopen("man/stanzactl.8", "r");
    struct buf page = { 0 }, list = { 0 };
    char part[4096];
    size_t n;

    (void)state;
    assert_non_null(f);
    while ((n = fread(part, 1, sizeof part, f)) > 0)
        buf_add(&page, part, n);
    fclose(f);
    buf_add_c(&list, ".\\\" commands: written by stanzactl --man-commands\n");
    help_manual(&list);
    buf_add_c(&list, ".\\\" commands: end\n");
    assert_non_null(strstr(buf_c(&page), buf_c(&list)));
    buf_fini(&page);
    buf_fini(&list);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_found_with_dash_or_underscore),
        cmocka_unit_test(the_nearest_name_is_suggested),
        cmocka_unit_test(arguments_are_checked),
        cmocka_unit_test(every_row_is_explained),
        cmocka_unit_test(help_knows_commands_tags_and_patterns),
        cmocka_unit_test(the_manual_is_up_to_date),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
