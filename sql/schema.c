/*
 * schema.c -- brings a database's tables up to date
 *
 * What is to be done follows from what is there, not from a number alone: a step is
 * needed if its table or column is missing. So it does not matter whether ejabberd, its
 * updater, an administrator or we made the tables. The version of a module, in
 * ejabberd's table schema_version, is written in the transaction that makes it true.
 *
 * One run: read the columns, read the versions, one script per module that needs one,
 * one per index that is missing, read the columns again. That an index was tried is
 * written down first, as the version of a module of ours: nobody waits for it twice.
 */
#include "sql/schema.h"

#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"

struct schema_step {
    int number;
    const char *module;
    int64_t version;
    const char *table, *column; /* column NULL: makes the table */
    const char *text; /* the columns of the table, or what adds it; NULL: an index */
    const char *key, *indexes;
};

#define INDEX_MODULE "stanzad_index"

static const struct schema_step steps[] = {
#define TABLE(n, module, version, table, columns, key, indexes) \
    { n, module, version, table, NULL, columns, key, indexes },
#define COLUMN(n, module, version, table, column, text) \
    { n, module, version, table, column, text, NULL, NULL },
#define INDEX(n, table, index) { n, INDEX_MODULE, n, table, NULL, NULL, NULL, index },
#include "sql/schema.def"
};

enum {
    N_STEPS = ARRAY_LEN(steps)
};

struct sql_schema {
    const struct sql_engine *engine;
    struct sql_conn *conn;
    const struct sql_settings *settings;
    const char *name;
    struct sql_layout *layout; /* as it was before any step */
    struct sql_dialect dialect;
    struct map
            version; /* module -> its version + 1 as a pointer; keys are in the arena */
    size_t at;       /* the next step to look at */
    unsigned n_changed; /* modules that were brought up to date */
    sql_schema_fn fn;
    void *arg;
};

static void schema_next(struct sql_schema *s);

static void
schema_end(struct sql_schema *s, const char *error)
{
    s->fn(s->arg, error);
}

static void
schema_script(struct sql_schema *s, const char *template, sql_script_fn fn)
{
    struct buf text = { 0 };

    sql_text_fill(&text, template, &s->dialect);
    s->engine->script(s->conn, buf_c(&text), fn, s);
    buf_fini(&text);
}

static void
schema_take_layout(struct sql_schema *s, const struct sql_result *rows)
{
    sql_layout_fini(s->layout);
    for (size_t i = 0; i + 1 < rows->n_rows * rows->n_cols; i += rows->n_cols)
        sql_layout_add(s->layout, rows->value[i].s, rows->value[i + 1].s);
}

#define COLUMNS_TEXT                                                                  \
    "{pg|SELECT table_name, column_name FROM information_schema.columns"              \
    " WHERE table_schema = ANY (current_schemas(false)) UNION ALL"                    \
    " SELECT tablename, indexname FROM pg_indexes"                                    \
    " WHERE schemaname = ANY (current_schemas(false))}"                               \
    "{lite|SELECT m.name, c.name FROM sqlite_master AS m, pragma_table_info(m.name) " \
    "AS c WHERE m.type = 'table' UNION ALL"                                           \
    " SELECT tbl_name, name FROM sqlite_master WHERE type = 'index'}"

/* The next column name in a list of column definitions; false at the end. */
static bool
column_next(struct str *rest, struct str *ret_name)
{
    size_t n = 0, at = 0;

    while (rest->n && *rest->p == ' ')
        *rest = (struct str){ rest->p + 1, rest->n - 1 };
    if (rest->n == 0)
        return false;
    while (n < rest->n && rest->p[n] != ' ')
        n++;
    *ret_name = (struct str){ rest->p, n };
    /* No type or default here has a comma in it. */
    while (at < rest->n && rest->p[at] != ',')
        at++;
    at += at < rest->n;
    *rest = (struct str){ rest->p + at, rest->n - at };
    return true;
}

static bool
step_adds(const char *table, struct str column)
{
    for (size_t i = 0; i < N_STEPS; i++) {
        if (steps[i].column && strcmp(steps[i].table, table) == 0 &&
                str_eq_c(column, steps[i].column))
            return true;
    }
    return false;
}

/* Reports columns that an existing table lacks and that no step adds. */
static bool
table_is_usable(const struct sql_schema *s, const struct schema_step *step)
{
    struct buf columns = { 0 };
    struct str rest, name;
    bool ok = true;

    sql_text_fill(&columns, step->text, &s->dialect);
    rest = buf_str(&columns);
    while (column_next(&rest, &name)) {
        char cname[64];

        snprintf(cname, sizeof cname, "%.*s", STR_ARG(name));
        if (sql_layout_has(s->layout, step->table, cname) ||
                step_adds(step->table, name))
            continue;
        log_error(NULL,
                "database %s: table %s has no column %s: what needs it will fail",
                s->name, step->table, cname);
        ok = false;
    }
    buf_fini(&columns);
    return ok;
}

/*
 * users.type is a step back for whoever wants to return to an older ejabberd: so it is
 * taken only by those who need it.
 */
static bool
step_is_unwanted(const struct sql_schema *s, const struct schema_step *step)
{
    return !s->settings->password_types && step->column &&
           strcmp(step->table, "users") == 0 && strcmp(step->column, "type") == 0 &&
           sql_layout_has(s->layout, step->table, NULL) &&
           !sql_layout_has(s->layout, step->table, step->column);
}

/* Is this table or column missing? */
static bool
step_is_needed(const struct sql_schema *s, const struct schema_step *step)
{
    bool has_table = sql_layout_has(s->layout, step->table, NULL);

    return step->column
                   ? has_table && !sql_layout_has(s->layout, step->table, step->column)
                   : !has_table;
}

/* "U username jid": one index of a table, for its name and for its columns. */
static void
add_columns(const struct sql_schema *s, struct buf *out, struct str names,
        const char *sep, bool with_host)
{
    struct str name;
    const char *before = "";

    if (with_host && s->dialect.multihost) {
        buf_add_c(out, "server_host");
        before = sep;
    }
    while (str_cut(&names, ' ', &name)) {
        buf_add_c(out, before);
        buf_add_str(out, name);
        before = sep;
    }
}

/* "i_archive_username_timestamp" of "I username timestamp". */
static void
add_index_name(const struct sql_schema *s, struct buf *out, const char *table,
        struct str index)
{
    struct str kind;

    str_cut(&index, ' ', &kind);
    buf_addf(out, "i_%s_", table);
    add_columns(s, out, index, "_", !str_eq_c(kind, "X"));
}

static void
add_index(const struct sql_schema *s, struct buf *out, const char *table,
        struct str index)
{
    struct str columns = index, kind;

    str_cut(&columns, ' ', &kind);
    buf_addf(
            out, "CREATE %sINDEX IF NOT EXISTS ", str_eq_c(kind, "U") ? "UNIQUE " : "");
    add_index_name(s, out, table, index);
    buf_addf(out, " ON %s%s (", table,
            str_eq_c(kind, "B") && s->dialect.engine == SQL_ENGINE_PGSQL ? " USING brin"
                                                                         : "");
    add_columns(s, out, columns, ", ", !str_eq_c(kind, "X"));
    buf_add_c(out, ")");
}

static void
add_indexes(const struct sql_schema *s, struct buf *out, const struct schema_step *step)
{
    struct str rest = str_from(step->indexes), one;

    while (rest.n && str_cut(&rest, ',', &one)) {
        buf_add_c(out, " ");
        add_index(s, out, step->table, str_trim(one));
        buf_add_c(out, ";");
    }
}

static void
add_step(const struct sql_schema *s, struct buf *out, const struct schema_step *step)
{
    struct str key = str_from(step->key), kind;
    bool with_host = true;

    if (step->column) {
        sql_text_fill(out, step->text, &s->dialect);
        buf_add_c(out, ";");
        return;
    }
    buf_addf(out, " CREATE TABLE IF NOT EXISTS %s (", step->table);
    sql_text_fill(out, step->text, &s->dialect);
    if (key.n) {
        if (str_starts(key, STR("X "))) {
            str_cut(&key, ' ', &kind);
            with_host = false;
        }
        buf_add_c(out, ", PRIMARY KEY (");
        add_columns(s, out, key, ", ", with_host);
        buf_add_c(out, ")");
    }
    buf_add_c(out, ");");
    add_indexes(s, out, step);
}

static void
on_module(void *arg, const char *error, const struct sql_result *rows)
{
    struct sql_schema *s = arg;

    (void)rows;
    if (error) {
        schema_end(s, error);
        return;
    }
    s->n_changed++;
    schema_next(s);
}

/* The version of a module that is on record; -1: none. */
static int64_t
recorded_version(const struct sql_schema *s, const char *module)
{
    return (int64_t)(intptr_t)map_get(&s->version, str_from(module)) - 1;
}

/* Writes what the steps from..to, all of one module, need; false: nothing. */
static bool
module_script(struct sql_schema *s, size_t from, size_t to, struct buf *out)
{
    const char *module = steps[from].module;
    int64_t version = steps[from].version, recorded = recorded_version(s, module);
    bool needed = false, usable = true;

    for (size_t i = from; i < to; i++) {
        if (step_is_unwanted(s, &steps[i])) {
            usable = false; /* the module's version stays what it is */
        } else if (step_is_needed(s, &steps[i])) {
            if (s->settings->update_schema)
                log_debug(NULL, "database %s: schema step %d: %s %s%s%s", s->name,
                        steps[i].number, steps[i].column ? "column" : "table",
                        steps[i].table, steps[i].column ? "." : "",
                        steps[i].column ? steps[i].column : "");
            else
                log_warning(NULL,
                        "database %s: schema step %d (%s %s%s%s) is missing,"
                        " and update_sql_schema is false",
                        s->name, steps[i].number, steps[i].column ? "column" : "table",
                        steps[i].table, steps[i].column ? "." : "",
                        steps[i].column ? steps[i].column : "");
            add_step(s, out, &steps[i]);
            needed = true;
        } else if (!steps[i].column) {
            usable &= table_is_usable(s, &steps[i]);
        }
    }
    if (recorded > version)
        log_warning(NULL,
                "database %s: the schema of %s is version %lld, newer than"
                " the %lld known here",
                s->name, module, (long long)recorded, (long long)version);
    if (usable && version > 0 && recorded < version) {
        buf_addf(out,
                " INSERT INTO schema_version (module, version) VALUES ('%s', %lld)"
                " ON CONFLICT (module) DO UPDATE SET version = excluded.version"
                " WHERE schema_version.version < excluded.version;",
                module, (long long)version);
        needed = true;
    }
    return needed && s->settings->update_schema;
}

static void index_next(struct sql_schema *s);

static void
index_warn(const struct sql_schema *s, const char *error)
{
    const struct schema_step *step = &steps[s->at];
    struct buf text = { 0 };

    add_index(s, &text, step->table, str_from(step->indexes));
    log_warning(NULL,
            "database %s: table %s lacks an index, which makes it slow%s%s;"
            " when there is time for it: %s",
            s->name, step->table, error ? ": " : "", error ? error : "", buf_c(&text));
    buf_fini(&text);
}

static void
on_index(void *arg, const char *error, const struct sql_result *rows)
{
    struct sql_schema *s = arg;

    (void)rows;
    if (error)
        index_warn(s, error);
    s->at++;
    index_next(s);
}

static void
on_index_noted(void *arg, const char *error, const struct sql_result *rows)
{
    struct sql_schema *s = arg;
    const struct schema_step *step = &steps[s->at];
    struct buf text = { 0 };

    if (error) {
        on_index(s, error, rows);
        return;
    }
    add_index(s, &text, step->table, str_from(step->indexes));
    log_notice(NULL,
            "database %s: schema step %d: an index of %s; this may take a while",
            s->name, step->number, step->table);
    s->engine->script(s->conn, buf_c(&text), on_index, s);
    buf_fini(&text);
}

static bool
index_is_missing(const struct sql_schema *s, const struct schema_step *step)
{
    struct buf name = { 0 };
    bool missing;

    if (step->text || !sql_layout_has(s->layout, step->table, NULL))
        return false;
    add_index_name(s, &name, step->table, str_from(step->indexes));
    missing = !sql_layout_has(s->layout, step->table, buf_c(&name));
    buf_fini(&name);
    return missing;
}

/* Tries the next index that is missing; after the last one the run is over. */
static void
index_next(struct sql_schema *s)
{
    int64_t tried = recorded_version(s, INDEX_MODULE);
    char text[200];

    for (; s->at < N_STEPS; s->at++) {
        const struct schema_step *step = &steps[s->at];

        if (!index_is_missing(s, step))
            continue;
        if (!s->settings->update_schema || step->version <= tried) {
            index_warn(s, NULL);
            continue;
        }
        snprintf(text, sizeof text,
                "INSERT INTO schema_version (module, version)"
                " VALUES ('" INDEX_MODULE "', %d) ON CONFLICT (module)"
                " DO UPDATE SET version = excluded.version",
                step->number);
        s->engine->script(s->conn, text, on_index_noted, s);
        return;
    }
    schema_end(s, NULL);
}

static void
on_last_columns(void *arg, const char *error, const struct sql_result *rows)
{
    struct sql_schema *s = arg;

    if (error) {
        schema_end(s, error);
        return;
    }
    schema_take_layout(s, rows);
    log_notice(NULL, "database %s: brought the tables of %u modules up to date",
            s->name, s->n_changed);
    index_next(s);
}

static void
schema_next(struct sql_schema *s)
{
    struct buf script = { 0 };

    while (s->at < N_STEPS) {
        size_t from = s->at;

        while (s->at < N_STEPS && strcmp(steps[s->at].module, steps[from].module) == 0)
            s->at++;
        if (!steps[from].text)
            continue;
        buf_reset(&script, SIZE_MAX);
        /* Several processes may start at once: one after the other, then. */
        sql_text_fill(&script,
                "{pg|BEGIN; SELECT pg_advisory_xact_lock(8319381538787648561);}"
                "{lite|BEGIN IMMEDIATE;}",
                &s->dialect);
        if (!module_script(s, from, s->at, &script))
            continue;
        buf_add_c(&script, " COMMIT");
        s->engine->script(s->conn, buf_c(&script), on_module, s);
        buf_fini(&script);
        return;
    }
    buf_fini(&script);
    s->at = 0;
    if (s->n_changed)
        schema_script(s, COLUMNS_TEXT, on_last_columns);
    else
        index_next(s);
}

static void
on_versions(void *arg, const char *error, const struct sql_result *rows)
{
    struct sql_schema *s = arg;

    for (size_t i = 0; !error && i + 1 < rows->n_rows * rows->n_cols;
            i += rows->n_cols) {
        int64_t version;

        if (str_to_i64(rows->value[i + 1].s, &version) == 0 && version >= 0)
            map_set(&s->version, str_dup(s->layout->arena, rows->value[i].s),
                    (void *)(intptr_t)(version + 1));
    }
    if (error)
        schema_end(s, error);
    else
        schema_next(s);
}

/* The tables that have a host in one of the shapes only: is it the right shape? */
static const char *
schema_wrong_shape(const struct sql_schema *s)
{
    for (size_t i = 0; i < N_STEPS; i++) {
        if (steps[i].column || !steps[i].text || !strstr(steps[i].text, "{def}") ||
                !sql_layout_has(s->layout, steps[i].table, NULL))
            continue;
        if (sql_layout_has(s->layout, steps[i].table, "server_host") !=
                s->dialect.multihost)
            return steps[i].table;
    }
    return NULL;
}

static void
on_columns(void *arg, const char *error, const struct sql_result *rows)
{
    struct sql_schema *s = arg;
    const char *table;
    char text[200];

    if (error) {
        schema_end(s, error);
        return;
    }
    schema_take_layout(s, rows);
    table = schema_wrong_shape(s);
    if (table) {
        snprintf(text, sizeof text,
                "table %s has %s column server_host, but"
                " sql_schema_multihost is %s",
                table, s->dialect.multihost ? "no" : "a",
                s->dialect.multihost ? "true" : "false");
        schema_end(s, text);
    } else if (sql_layout_has(s->layout, "schema_version", "version")) {
        schema_script(s, "SELECT module, version FROM schema_version", on_versions);
    } else {
        schema_next(s);
    }
}

struct sql_schema *
sql_schema_new(const struct sql_engine *engine, struct sql_conn *conn,
        const struct sql_settings *settings, const char *name,
        struct sql_layout *layout, sql_schema_fn fn, void *arg)
{
    struct sql_schema *s = mem_zalloc(sizeof *s);

    s->engine = engine;
    s->conn = conn;
    s->settings = settings;
    s->name = name;
    s->layout = layout;
    s->dialect = (struct sql_dialect){
        .engine = settings->type, .multihost = settings->multihost, .layout = layout
    };
    s->fn = fn;
    s->arg = arg;
    return s;
}

void
sql_schema_start(struct sql_schema *s)
{
    schema_script(s, COLUMNS_TEXT, on_columns);
}

void
sql_schema_free(struct sql_schema **ps)
{
    if (!*ps)
        return;
    map_fini(&(*ps)->version);
    mem_free(ps);
}
