/*
 * help.c -- the table of commands for people: help texts and the manual's list
 */
#include "admin/help.h"

#include <errno.h>
#include <fnmatch.h>
#include <string.h>

#include "base/mem.h"

enum {
    PATTERN_MAX = 128,
    TAGS_MAX = 32,
    MANUAL_WIDTH = 72
};

/* The current row of each name, by name. */
static size_t
commands_sorted(const struct command *ret[COMMANDS], unsigned api_version)
{
    size_t n = 0;

    for (size_t i = 0; i < COMMANDS; i++) {
        const struct command *c = command_at((enum command_id)i);
        size_t at = n;

        if (command_find(str_from(c->name), api_version) != c)
            continue;
        for (; at > 0 && strcmp(ret[at - 1]->name, c->name) > 0; at--)
            ret[at] = ret[at - 1];
        ret[at] = c;
        n++;
    }
    return n;
}

void
help_usage(struct buf *out, const struct command *c)
{
    buf_add_c(out, c->name);
    for (size_t i = 0; i < c->n_args; i++)
        buf_addf(
                out, c->arg[i].optional ? " [%.*s]" : " %.*s", STR_ARG(c->arg[i].name));
}

static void
list_lines(struct buf *out, const struct command *const *list, size_t n)
{
    struct buf usage = { 0 };

    for (size_t i = 0; i < n; i++) {
        buf_reset(&usage, 256);
        help_usage(&usage, list[i]);
        if (usage.n <= 26)
            buf_addf(out, "  %-26s  %s\n", buf_c(&usage), list[i]->sentence);
        else
            buf_addf(out, "  %s\n  %-26s  %s\n", buf_c(&usage), "", list[i]->sentence);
    }
    buf_fini(&usage);
}

static void
help_overview(struct buf *out, unsigned api_version)
{
    const struct command *list[COMMANDS];
    size_t n = commands_sorted(list, api_version);

    buf_add_c(out,
            "Usage: stanzactl [-d DIR] [--json] [--timeout S] [--version N] COMMAND "
            "[ARGUMENT ...]\n"
            "\n"
            "  -d, --dir DIR    directory of the service: that of stanzad -d\n"
            "  -j, --json       print the result as JSON\n"
            "  -t, --timeout S  wait so many seconds for an answer (--no-timeout: for "
            "ever)\n"
            "  --version N      version of ejabberd's API, 0 to 3\n"
            "\n"
            "Commands, with - or _ in their names:\n"
            "\n");
    list_lines(out, list, n);
    buf_add_c(out,
            "\n`stanzactl help COMMAND` explains one, `stanzactl help tags` lists "
            "them by subject.\n");
}

static const char *
type_name(char type)
{
    switch (type) {
    case 'i':
        return "integer";
    case 'a':
        return "atom";
    case 'd':
    case 'c':
    case 'b':
    case 'u':
        return "number";
    case 'l':
        return "list";
    case 'f':
        return "file";
    default:
        return "string";
    }
}

void
help_command(struct buf *out, const struct command *c)
{
    struct str tags = str_from(c->tags), tag;

    buf_addf(out, "  Command Name: %s\n\n  Arguments:", c->name);
    for (size_t i = 0; i < c->n_args; i++) {
        struct str name = c->arg[i].name;

        buf_addf(out, "%s%.*s::%s%s : %s\n", i ? "             " : " ", STR_ARG(name),
                type_name(c->arg[i].type), c->arg[i].optional ? ", optional" : "",
                argument_sentence(c, name));
    }
    buf_addf(out, "%s\n  Result: %s\n\n  Example: stanzactl %s", c->n_args ? "" : "\n",
            c->result_spec, c->name);
    for (size_t i = 0; i < c->n_args_min; i++)
        buf_addf(out, " %s", argument_example(c, c->arg[i].name));
    buf_add_c(out, "\n\n  Tags:");
    while (str_cut(&tags, ',', &tag))
        buf_addf(out, " %.*s", STR_ARG(tag));
    buf_addf(out, "\n\n  Description: %s\n", c->sentence);
}

/* All tags, each once, in the table's order. */
static size_t
tags_all(struct str ret[TAGS_MAX])
{
    size_t n = 0;

    for (size_t i = 0; i < COMMANDS; i++) {
        struct str rest = str_from(command_at((enum command_id)i)->tags), tag;

        while (str_cut(&rest, ',', &tag)) {
            bool seen = false;

            for (size_t k = 0; k < n; k++)
                seen |= str_eq(ret[k], tag);
            if (!seen && n < TAGS_MAX)
                ret[n++] = tag;
        }
    }
    return n;
}

static void
help_tags(struct buf *out, unsigned api_version)
{
    const struct command *list[COMMANDS];
    size_t n = commands_sorted(list, api_version), n_tags;
    struct str tags[TAGS_MAX];

    n_tags = tags_all(tags);
    for (size_t i = 0; i < n_tags; i++) {
        buf_addf(out, "%.*s\n ", STR_ARG(tags[i]));
        for (size_t k = 0; k < n; k++)
            if (command_has_tag(list[k], tags[i]))
                buf_addf(out, " %s", list[k]->name);
        buf_add_char(out, '\n');
    }
}

static bool
pattern_matches(struct str pattern, const char *name)
{
    char text[PATTERN_MAX];

    if (pattern.n >= sizeof text)
        return false;
    for (size_t i = 0; i < pattern.n; i++)
        text[i] = (char)(pattern.p[i] == '-' ? '_' : pattern.p[i]);
    text[pattern.n] = '\0';
    return fnmatch(text, name, 0) == 0;
}

int
help_write(struct buf *out, struct str what, unsigned api_version)
{
    const struct command *all[COMMANDS], *list[COMMANDS] = { NULL };
    const struct command *c = command_find(what, api_version);
    size_t n_all = commands_sorted(all, api_version), n = 0;

    if (!what.p) {
        help_overview(out, api_version);
        return 0;
    }
    if (str_eq_c(what, "tags")) {
        help_tags(out, api_version);
        return 0;
    }
    if (c) {
        help_command(out, c);
        return 0;
    }
    for (size_t i = 0; i < n_all; i++)
        if (str_eq_c(what, "commands") || command_has_tag(all[i], what) ||
                (memchr(what.p, '*', what.n) && pattern_matches(what, all[i]->name)))
            list[n++] = all[i];
    list_lines(out, list, n);
    if (n > 0)
        return 0;
    buf_addf(out, "No tag or command matches '%.*s'. Did you mean '%s'?\n",
            STR_ARG(what), command_nearest(what));
    return -ENOENT;
}

/* A sentence in mdoc, in lines of MANUAL_WIDTH. */
static void
manual_text(struct buf *out, const char *text)
{
    struct str rest = str_from(text), word;
    size_t column = 0;

    while (str_cut(&rest, ' ', &word)) {
        if (column > 0 && column + word.n + 1 > MANUAL_WIDTH) {
            buf_add_char(out, '\n');
            column = 0;
        }
        if (column > 0)
            buf_add_char(out, ' ');
        for (size_t i = 0; i < word.n; i++) {
            if (word.p[i] == '`')
                buf_add_c(out, "\\(ga");
            else if (word.p[i] == '\\')
                buf_add_c(out, "\\e");
            else
                buf_add_char(out, word.p[i]);
        }
        column += word.n + 1;
    }
    buf_add_c(out, ".\n");
}

void
help_manual(struct buf *out)
{
    const struct command *list[COMMANDS];
    size_t n = commands_sorted(list, COMMAND_API_LATEST);

    buf_add_c(out, ".Bl -tag -width Ds\n");
    for (size_t i = 0; i < n; i++) {
        const struct command *c = list[i];

        buf_addf(out, ".It Ic %s", c->name);
        for (size_t k = 0; k < c->n_args; k++)
            buf_addf(out, c->arg[k].optional ? " Op Ar %.*s" : " Ar %.*s",
                    STR_ARG(c->arg[k].name));
        buf_add_char(out, '\n');
        manual_text(out, c->sentence);
    }
    buf_add_c(out, ".El\n");
}
