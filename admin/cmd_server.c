/*
 * cmd_server.c -- commands about the service as a whole: the master's business
 *
 * The master knows who runs; what it answers to "processes" is one text per process with
 * the fields of master/calls.def between tabs.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "admin/admin.h"
#include "admin/call.h"
#include "admin/stats.h"
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
    FIELD_READY,
    PROCESS_FIELDS
};

/* false: a line of another shape than ours, from a master of another version. */
static bool
process_split(struct str line, struct str ret[PROCESS_FIELDS])
{
    size_t n = 0;

    while (n < PROCESS_FIELDS && str_cut(&line, '\t', &ret[n]))
        n++;
    return n == PROCESS_FIELDS;
}

static uint64_t
number(struct str s)
{
    uint64_t n;

    return str_to_u64(s, &n) == 0 ? n : 0;
}

static void
ask_master(struct request *rq, const char *name, size_t n_args, call_fn fn)
{
    call_start(rq, master, IPC_MASTER_CALL, name, rq->arg, n_args, fn);
}

/* Commands that the master does by itself: nothing, or why not. */
static void
on_done(struct request *rq, ipc_addr from, const struct ipc_reply *reply)
{
    (void)from;
    if (reply->status == IPC_OK)
        result_ok(&rq->result);
    else if (reply->text.n > 0 && reply->status != IPC_UNAVAILABLE)
        result_error(&rq->result, NULL, 0, "%.*s", STR_ARG(reply->text));
    else
        call_failed(rq, reply->status, reply->text);
}

void
cmd_stop(struct request *rq)
{
    ask_master(rq, "stop", 0, on_done);
}

void
cmd_restart(struct request *rq)
{
    ask_master(rq, "restart", 0, on_done);
}

void
cmd_reload_config(struct request *rq)
{
    ask_master(rq, "reload_config", 0, on_done);
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
    struct str field[PROCESS_FIELDS], line;
    struct ipc_list list = reply->results;
    struct buf text = { 0 }, awaited = { 0 };

    (void)from;
    if (reply->status != IPC_OK) {
        call_failed(rq, reply->status, reply->text);
        return;
    }
    while (ipc_list_next(&list, &line))
        if (process_split(line, field) && number(field[FIELD_READY]) == 0)
            buf_addf(&awaited, " %.*s %.*s,", STR_ARG(field[FIELD_ROLE]),
                    STR_ARG(field[FIELD_SLOT]));
    buf_addf(&text, "The node %s is %s with status: %s\n", admin_node(rq->admin),
            awaited.n ? "starting" : "started", awaited.n ? "starting" : "started");
    if (awaited.n == 0)
        buf_add_c(&text, "stanzad " STANZAD_VERSION " is running in that node");
    else
        buf_addf(&text, "stanzad " STANZAD_VERSION " is not ready in that node; awaited:%.*s",
                (int)awaited.n - 1, awaited.p);
    result_text(&rq->result, buf_str(&text));
    rq->result.exit_status = awaited.n ? EXIT_ERROR : EXIT_OK;
    buf_fini(&text);
    buf_fini(&awaited);
}

void
cmd_status(struct request *rq)
{
    ask_master(rq, "processes", 0, on_status);
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

        if (!process_split(line, field))
            continue;
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
        if (!process_split(line, field))
            continue;
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
