/*
 * result.c -- answers, formatted
 *
 * Output is text that a terminal shows and scripts read line by line, while its content
 * is partly chosen by users (resources, status texts): control characters come out
 * escaped. JSON is one value and a line end.
 */
#include "admin/result.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/control.h"
#include "admin/json.h"

struct result_row {
    struct result_row *next;
    struct str cell[COMMAND_FIELDS_MAX];
};

void
result_begin(struct result *r, const struct command *c, bool json)
{
    *r = (struct result){ .command = c, .json = json };
    arena_init(&r->arena, 4096);
    r->next_row = &r->row;
}

void
result_fini(struct result *r)
{
    buf_fini(&r->out);
    buf_fini(&r->err);
    arena_fini(&r->arena);
}

static void
text_cell(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c == '\n')
            buf_add_c(out, "\\n");
        else if (c == '\t')
            buf_add_c(out, "\\t");
        else if (c < 0x20 || c == 0x7f)
            buf_addf(out, "\\x%02x", c);
        else
            buf_add_char(out, (char)c);
    }
}

/* The elements of a list are separated by NULs. */
static void
list_cell(struct buf *out, struct str s, bool json, const char *between)
{
    struct str element;

    for (size_t i = 0; s.n > 0 && str_cut(&s, '\0', &element); i++) {
        if (i > 0)
            buf_add_c(out, between);
        if (json)
            json_string(out, element);
        else
            text_cell(out, element);
    }
}

static void
json_cell(struct buf *out, char type, struct str s)
{
    if (type == 'l') {
        buf_add_char(out, '[');
        list_cell(out, s, true, ", ");
        buf_add_char(out, ']');
    } else if (type == 's' || type == 'a')
        json_string(out, s);
    else if (s.n > 0)
        buf_add_str(out, s);
    else
        buf_add_c(out, "null");
}

void
result_duration(struct buf *out, uint64_t s)
{
    if (s >= 86400)
        buf_addf(out, "%llud %lluh", (unsigned long long)(s / 86400),
                (unsigned long long)(s / 3600 % 24));
    else if (s >= 3600)
        buf_addf(out, "%lluh %llum", (unsigned long long)(s / 3600),
                (unsigned long long)(s / 60 % 60));
    else if (s >= 60)
        buf_addf(out, "%llum %llus", (unsigned long long)(s / 60),
                (unsigned long long)(s % 60));
    else
        buf_addf(out, "%llus", (unsigned long long)s);
}

void
result_size(struct buf *out, uint64_t bytes)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
    size_t unit = 0;
    double n = (double)bytes;

    while (n >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
        n /= 1024;
        unit++;
    }
    buf_addf(out, unit && n < 100 ? "%.1f %s" : "%.0f %s", n, units[unit]);
}

static void
table_cell(struct buf *out, char type, struct str s)
{
    uint64_t n;

    if (type == 'd' && str_to_u64(s, &n) == 0)
        result_duration(out, n);
    else if (type == 'b' && str_to_u64(s, &n) == 0)
        result_size(out, n);
    else if (type == 'c')
        buf_addf(out, "%.*ss", STR_ARG(s));
    else
        text_cell(out, s);
}

/* Columns, not bytes, as far as one character is one column. */
static size_t
width(struct str s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return n;
}

static void
table_line(struct result *r, const struct str *cell, const size_t *widths)
{
    const struct command *c = r->command;

    for (size_t i = 0; i < c->n_fields; i++) {
        char type = c->field[i].type;
        bool right = type != 's' && type != 'a', last = i + 1 == c->n_fields;
        size_t pad = widths[i] - width(cell[i]);

        if (right)
            buf_addf(&r->out, "%*s", (int)pad, "");
        buf_add_str(&r->out, cell[i]);
        if (!last)
            buf_addf(&r->out, "%*s", (int)(right ? 0 : pad) + 2, "");
    }
    while (r->out.n > 0 && r->out.p[r->out.n - 1] == ' ')
        r->out.n--;
    buf_add_char(&r->out, '\n');
}

/* A table is as wide as its widest cells, so it is written when all are there. */
static void
table_write(struct result *r)
{
    const struct command *c = r->command;
    struct str head[COMMAND_FIELDS_MAX];
    size_t widths[COMMAND_FIELDS_MAX] = { 0 };
    struct buf b = { 0 };

    for (size_t i = 0; i < c->n_fields; i++) {
        char *name = str_dup_c(&r->arena, c->field[i].name);

        for (char *p = name; *p; p++)
            *p = (char)(*p == '_' ? ' ' : *p >= 'a' && *p <= 'z' ? *p - 32 : *p);
        head[i] = str_from(name);
        widths[i] = head[i].n;
    }
    for (struct result_row *row = r->row; row; row = row->next) {
        for (size_t i = 0; i < c->n_fields; i++) {
            buf_reset(&b, 256);
            table_cell(&b, c->field[i].type, row->cell[i]);
            row->cell[i] = str_dup(&r->arena, buf_str(&b));
            if (width(row->cell[i]) > widths[i])
                widths[i] = width(row->cell[i]);
        }
    }
    buf_fini(&b);
    table_line(r, head, widths);
    for (struct result_row *row = r->row; row; row = row->next)
        table_line(r, row->cell, widths);
}

static void
table_keep(struct result *r, const struct str *cell)
{
    struct result_row *row = arena_new(&r->arena, struct result_row);

    for (size_t i = 0; i < r->command->n_fields; i++)
        row->cell[i] = str_dup(&r->arena, cell[i]);
    *r->next_row = row;
    r->next_row = &row->next;
}

static bool
is_many(const struct result *r)
{
    return r->command->shape == SHAPE_LIST || r->command->shape == SHAPE_RECORDS ||
           r->command->shape == SHAPE_TABLE;
}

static bool
is_record(const struct result *r)
{
    return r->command->shape == SHAPE_RECORD || r->command->shape == SHAPE_RECORDS ||
           r->command->shape == SHAPE_TABLE;
}

static void
row_json(struct result *r, const struct str *cell)
{
    const struct command *c = r->command;

    if (is_many(r))
        buf_add_c(&r->out, r->n_rows ? ",\n " : "[");
    if (is_record(r))
        buf_add_char(&r->out, '{');
    for (size_t i = 0; i < c->n_fields; i++) {
        if (i > 0)
            buf_add_c(&r->out, ", ");
        if (is_record(r)) {
            json_string(&r->out, c->field[i].name);
            buf_add_c(&r->out, ": ");
        }
        json_cell(&r->out, c->field[i].type, cell[i]);
    }
    if (is_record(r))
        buf_add_char(&r->out, '}');
}

void
result_row(struct result *r, const struct str *cell)
{
    const struct command *c = r->command;

    assert(!r->ended && c->n_fields > 0 && (is_many(r) || r->n_rows == 0));
    if (r->json) {
        row_json(r, cell);
    } else if (c->shape == SHAPE_TABLE) {
        table_keep(r, cell);
    } else {
        for (size_t i = 0; i < c->n_fields; i++) {
            if (i > 0)
                buf_add_char(&r->out, '\t');
            if (c->field[i].type == 'l')
                list_cell(&r->out, cell[i], false,
                        c->since == 0 && command_is_replaced(c) ? ";" : ",");
            else
                text_cell(&r->out, cell[i]);
        }
        buf_add_char(&r->out, '\n');
    }
    r->n_rows++;
}

void
result_ok(struct result *r)
{
    assert(!r->ended && r->command->shape == SHAPE_RESCODE);
    if (r->json)
        buf_add_c(&r->out, "0\n");
    r->ended = true;
}

void
result_text(struct result *r, struct str text)
{
    assert(!r->ended && r->command->shape == SHAPE_RESTUPLE);
    if (r->json) {
        json_string(&r->out, text);
        buf_add_char(&r->out, '\n');
    } else if (text.n > 0) {
        buf_add_str(&r->out, text);
        buf_add_char(&r->out, '\n');
    }
    r->ended = true;
}

void
result_error(struct result *r, const char *kind, unsigned code, const char *fmt, ...)
{
    struct buf text = { 0 }, *to = &r->out;
    va_list ap;

    assert(!r->ended);
    va_start(ap, fmt);
    buf_vaddf(&text, fmt, ap);
    va_end(ap);
    if (r->n_rows > 0) {
        result_end(r);
        to = &r->err;
    }
    if (r->json && to == &r->out) {
        buf_addf(to, "{\"status\": \"error\", \"code\": %u, \"kind\": ", code);
        json_string(to, str_from(kind ? kind : "error"));
        buf_add_c(to, ", \"message\": ");
        json_string(to, buf_str(&text));
        buf_add_c(to, "}\n");
    } else {
        buf_addf(to, "Error: %s%s%s\n", kind ? kind : "", kind ? ": " : "",
                buf_c(&text));
    }
    buf_fini(&text);
    r->exit_status = EXIT_ERROR;
    r->ended = true;
}

void
result_end(struct result *r)
{
    assert(!r->ended);
    if (r->json && is_many(r))
        buf_add_c(&r->out, r->n_rows ? "]\n" : "[]\n");
    else if (r->json)
        buf_add_char(&r->out, '\n');
    else if (r->command->shape == SHAPE_TABLE)
        table_write(r);
    r->ended = true;
}

void
result_number(struct result *r, uint64_t n)
{
    char text[32];
    struct str cell;

    snprintf(text, sizeof text, "%llu", (unsigned long long)n);
    cell = str_from(text);
    result_row(r, &cell);
    result_end(r);
}
