/*
 * cmd_server.c -- commands about the service as a whole: the master's business
 *
 * The master knows who runs; master/calls.def says what its answers look like.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "admin/admin.h"
#include "admin/call.h"
#include "admin/stats.h"
#include "base/clock.h"
#include "base/mem.h"

static const ipc_addr master = PROC_MASTER << 10;

enum process_field {
    FIELD_PID,
    FIELD_ROLE,
    FIELD_SLOT,
    FIELD_UPTIME,
    FIELD_RESTARTS,
    FIELD_CONNECTIONS,
    FIELD_CPU_MS,
    FIELD_MEMORY_KIB,
    PROCESS_FIELDS
};

static const char *const field_names[PROCESS_FIELDS] = { "pid", "role", "slot",
    "uptime", "restarts", "connections", "cpu_ms", "memory_kib" };

/*
 * Fields that a master of another version does not send are 0, others are passed over.
 */
static void
process_split(struct str line, struct str ret[PROCESS_FIELDS])
{
    struct str value, name;

    for (size_t i = 0; i < PROCESS_FIELDS; i++)
        ret[i] = STR("0");
    while (str_cut(&line, '\t', &value))
        if (str_cut(&value, '=', &name) && value.p)
            for (size_t i = 0; i < PROCESS_FIELDS; i++)
                if (str_eq_c(name, field_names[i]))
                    ret[i] = value;
}

static uint64_t
number(struct str s)
{
    uint64_t n;

    return str_to_u64(s, &n) == 0 ? n : 0;
}

/* A holder clears the page of a master that has died. */
static bool
master_is_there(const struct request *rq)
{
    for (unsigned i = 0; i < rq->p->n_pages; i++) {
        if (rq->p->page[i]->addr == master)
            return rq->p->page[i]->pid != 0;
    }
    return true;
}

static void
ask_master(struct request *rq, const char *name, size_t n_args, call_fn fn)
{
    if (!master_is_there(rq)) {
        call_failed(rq, IPC_UNAVAILABLE,
                STR("the master process has died. The service goes on, but nothing "
                    "that ends is replaced.\nStart stanzad again as it was started "
                    "before: it goes on with the running processes"));
        return;
    }
    call_start(rq, master, IPC_MASTER_CALL, name, rq->arg, n_args, fn);
}

/*
 * Commands that the master does by itself: nothing (and perhaps warnings), or why not.
 */
static void
on_done(struct request *rq, ipc_addr from, const struct ipc_reply *reply)
{
    (void)from;
    if (reply->status == IPC_OK)
        result_ok(&rq->result);
    else if (reply->text.n > 0 && reply->status != IPC_UNAVAILABLE)
        result_error(&rq->result, NULL, 0, "%.*s", STR_ARG(str_trim(reply->text)));
    else
        call_failed(rq, reply->status, reply->text);
}

/* Without a master: when the holders let go, everybody ends in order. */
static void
stop_without_master(struct request *rq)
{
    for (unsigned i = 0; i < rq->p->n_pages; i++) {
        ipc_addr addr = rq->p->page[i]->addr;

        if (ipc_addr_role(addr) == PROC_HOLDER)
            proc_send(rq->p, addr, IPC_ABANDON, &(struct ipc_nothing){ 0 });
    }
    result_ok(&rq->result);
}

void
cmd_stop(struct request *rq)
{
    if (!master_is_there(rq)) {
        stop_without_master(rq);
        return;
    }
    ask_master(rq, "stop", 0, on_done);
}

void
cmd_restart(struct request *rq)
{
    if (rq->arg[0].p)
        ask_master(rq, "replace", rq->arg[1].p ? 2 : 1, on_done);
    else
        ask_master(rq, "restart", 0, on_done);
}

void
cmd_upgrade(struct request *rq)
{
    ask_master(rq, "upgrade", rq->arg[0].p ? 1 : 0, on_done);
}

enum {
    PROGRESS_TIME,
    PROGRESS_TOOK = 4,
    PROGRESS_FIELDS = 6
};

/* A line of master/calls.def, progress. */
static void
progress_row(struct request *rq, struct str line)
{
    struct str field[PROGRESS_FIELDS], rest = line;
    char at[CLOCK_TEXT_SIZE], took[40];

    for (size_t i = 0; i < PROGRESS_FIELDS; i++) {
        if (!str_cut(&rest, '\t', &field[i]))
            return; /* of another version */
    }
    clock_text(number(field[PROGRESS_TIME]), at);
    snprintf(took, sizeof took, "%llu.%03llu",
            (unsigned long long)(number(field[PROGRESS_TOOK]) / 1000),
            (unsigned long long)(number(field[PROGRESS_TOOK]) % 1000));
    field[PROGRESS_TIME] = str_from(at);
    field[PROGRESS_TOOK] = str_from(took);
    result_row(&rq->result, field);
}

static void
on_progress(struct request *rq, ipc_addr from, const struct ipc_reply *reply)
{
    struct ipc_list list = reply->results;
    struct str state = STR("none"), line;

    (void)from;
    if (reply->status != IPC_OK) {
        call_failed(rq, reply->status, reply->text);
        rq->result.exit_status = EXIT_UNDER_WAY; /* the master is just being replaced */
        return;
    }
    ipc_list_next(&list, &state);
    while (ipc_list_next(&list, &line))
        progress_row(rq, line);
    result_end(&rq->result);
    rq->result.exit_status = str_eq_c(state, "under way") ? EXIT_UNDER_WAY
                             : str_eq_c(state, "failed")  ? EXIT_ERROR
                                                          : EXIT_OK;
}

enum {
    CRASH_TIME,
    CRASH_FIELDS = 5
};

static void
on_crashes(struct request *rq, ipc_addr from, const struct ipc_reply *reply)
{
    struct ipc_list list = reply->results;
    struct str line;

    (void)from;
    if (reply->status != IPC_OK) {
        call_failed(rq, reply->status, reply->text);
        return;
    }
    while (ipc_list_next(&list, &line)) {
        struct str field[CRASH_FIELDS] = { STR_NULL };
        char at[CLOCK_TEXT_SIZE];
        size_t n = 0;

        while (n < CRASH_FIELDS && str_cut(&line, '\t', &field[n]))
            n++;
        if (n < CRASH_FIELDS - 1)
            continue;
        clock_text(number(field[CRASH_TIME]), at);
        field[CRASH_TIME] = str_from(at);
        result_row(&rq->result, field);
    }
    result_end(&rq->result);
}

void
cmd_crashes(struct request *rq)
{
    ask_master(rq, "crashes", 0, on_crashes);
}

void
cmd_progress(struct request *rq)
{
    ask_master(rq, "progress", 0, on_progress);
}

/* A configuration that works may have warnings: not part of the result. */
static void
on_reloaded(struct request *rq, ipc_addr from, const struct ipc_reply *reply)
{
    struct str text = str_trim(reply->text);

    if (reply->status == IPC_OK && text.n > 0)
        buf_addf(&rq->result.err, "%.*s\n", STR_ARG(text));
    on_done(rq, from, reply);
}

void
cmd_reload_config(struct request *rq)
{
    ask_master(rq, "reload_config", 0, on_reloaded);
}

void
cmd_reopen_log(struct request *rq)
{
    ask_master(rq, "reopen_log", 0, on_done);
}

void
cmd_restart_process(struct request *rq)
{
    ask_master(rq, "restart_process", rq->arg[1].p ? 2 : 1, on_done);
}

void
cmd_set_loglevel(struct request *rq)
{
    enum log_level level;

    if (log_level_from(rq->arg[0], &level) < 0) {
        result_error(&rq->result, NULL, 0, "\"Invalid log level\"");
        return;
    }
    rq->arg[0] = str_from(log_level_name(level));
    ask_master(rq, "set_loglevel", 1, on_done);
}

void
cmd_get_loglevel(struct request *rq)
{
    struct str name = str_from(log_level_name(log_get_level()));

    result_row(&rq->result, &name);
    result_end(&rq->result);
}

void
cmd_version(struct request *rq)
{
    struct str version = STR(STANZAD_VERSION);

    result_row(&rq->result, &version);
    result_end(&rq->result);
}

/* ejabberd's two lines, and who is awaited when it is not ready yet. */
static void
on_status(struct request *rq, ipc_addr from, const struct ipc_reply *reply)
{
    struct str state = STR("starting"), seconds, version = STR(STANZAD_VERSION), pid,
               name;
    struct ipc_list list = reply->results;
    struct buf text = { 0 }, awaited = { 0 };
    bool ready;

    (void)from;
    if (reply->status != IPC_OK) {
        call_failed(rq, reply->status, reply->text);
        return;
    }
    if (ipc_list_next(&list, &state) && ipc_list_next(&list, &seconds) &&
            ipc_list_next(&list, &version) && ipc_list_next(&list, &pid))
        while (ipc_list_next(&list, &name))
            buf_addf(&awaited, "%s%.*s", awaited.n ? ", " : "", STR_ARG(name));
    ready = str_eq_c(state, "ready");
    if (ready)
        state = STR("started");
    buf_addf(&text, "The node %s is %.*s with status: %.*s\n", admin_node(rq->admin),
            STR_ARG(state), STR_ARG(state));
    if (ready)
        buf_addf(&text, "stanzad %.*s is running in that node", STR_ARG(version));
    else
        buf_addf(&text, "stanzad %.*s is not ready in that node%s%s", STR_ARG(version),
                awaited.n ? "; not there yet: " : "", buf_c(&awaited));
    result_text(&rq->result, buf_str(&text));
    rq->result.exit_status = ready ? EXIT_OK : EXIT_ERROR;
    buf_fini(&text);
    buf_fini(&awaited);
}

void
cmd_status(struct request *rq)
{
    ask_master(rq, "status", 0, on_status);
}

static void
on_processes(struct request *rq, ipc_addr from, const struct ipc_reply *reply)
{
    struct str field[PROCESS_FIELDS], line;
    struct ipc_list list = reply->results;
    char cpu[40], memory[40];

    (void)from;
    if (reply->status != IPC_OK) {
        call_failed(rq, reply->status, reply->text);
        return;
    }
    while (ipc_list_next(&list, &line)) {
        uint64_t ms;

        process_split(line, field);
        ms = number(field[FIELD_CPU_MS]);
        snprintf(cpu, sizeof cpu, "%llu.%03llu", (unsigned long long)(ms / 1000),
                (unsigned long long)(ms % 1000));
        snprintf(memory, sizeof memory, "%llu",
                (unsigned long long)number(field[FIELD_MEMORY_KIB]) * 1024);
        field[FIELD_CPU_MS] = str_from(cpu);
        field[FIELD_MEMORY_KIB] = str_from(memory);
        result_row(&rq->result, field);
    }
    result_end(&rq->result);
}

void
cmd_processes(struct request *rq)
{
    ask_master(rq, "processes", 0, on_processes);
}

/* Numbers of `stats` that the master knows. */
static void
on_stats(struct request *rq, ipc_addr from, const struct ipc_reply *reply)
{
    struct str field[PROCESS_FIELDS], line;
    struct ipc_list list = reply->results;
    uint64_t n = 0, uptime = 0;

    (void)from;
    if (reply->status != IPC_OK) {
        call_failed(rq, reply->status, reply->text);
        return;
    }
    while (ipc_list_next(&list, &line)) {
        process_split(line, field);
        n++;
        if (str_eq_c(field[FIELD_ROLE], "master"))
            uptime = number(field[FIELD_UPTIME]);
    }
    result_number(&rq->result, str_eq_c(rq->arg[0], "processes") ? n : uptime);
}

void
stats_of_master(struct request *rq)
{
    ask_master(rq, "processes", 0, on_stats);
}
