/*
 * cmd_process.c -- commands about single processes: status pages, and questions to them
 */
#include <stdio.h>

#include "admin/admin.h"
#include "admin/call.h"
#include "admin/stats.h"
#include "base/mem.h"

/* What a command's optional arguments "role slot" choose. */
struct choice {
    bool any_role, any_slot;
    enum proc_role role;
    unsigned slot;
};

/* false: there is no such role; the result says so. */
static bool
choice_make(struct request *rq, struct choice *ret)
{
    struct str name = rq->arg[0];
    struct buf known = { 0 };
    uint64_t slot;

    *ret = (struct choice){ .any_role = !name.p, .any_slot = !rq->arg[1].p };
    if (!ret->any_slot && str_to_u64(rq->arg[1], &slot) == 0 && slot < IPC_SLOTS_MAX)
        ret->slot = (unsigned)slot;
    else if (!ret->any_slot)
        ret->slot = IPC_SLOTS_MAX;
    if (!name.p)
        return true;
    for (unsigned i = 0; i < PROC_ROLES; i++) {
        if (str_eq_c(name, proc_role_name((enum proc_role)i))) {
            ret->role = (enum proc_role)i;
            buf_fini(&known);
            return true;
        }
        buf_addf(&known, " %s", proc_role_name((enum proc_role)i));
    }
    result_error(&rq->result, NULL, 0, "unknown role '%.*s'; there are:%s",
            STR_ARG(name), buf_c(&known));
    buf_fini(&known);
    return false;
}

static bool
chosen(const struct choice *choice, const struct status_page *page)
{
    return (choice->any_role || ipc_addr_role(page->addr) == choice->role) &&
           (choice->any_slot || ipc_addr_slot(page->addr) == choice->slot);
}

/* Pages in the order of roles and slots; our own is among them. */
static size_t
pages_sorted(const struct proc *p, const struct status_page *ret[PROC_PAGES_MAX + 1])
{
    size_t n = 0;
    bool own = false;

    for (unsigned i = 0; i <= p->n_pages; i++) {
        const struct status_page *page = i < p->n_pages ? p->page[i] : p->status;
        size_t at = n;

        if (!page || page->magic != STATUS_MAGIC || (i == p->n_pages && own))
            continue;
        own |= page->addr == p->addr;
        for (; at > 0 && ret[at - 1]->addr > page->addr; at--)
            ret[at] = ret[at - 1];
        ret[at] = page;
        n++;
    }
    return n;
}

void
cmd_counters(struct request *rq)
{
    const struct status_page *page[PROC_PAGES_MAX + 1];
    size_t n = pages_sorted(rq->p, page);
    struct choice choice;

    if (!choice_make(rq, &choice))
        return;
    for (size_t i = 0; i < n; i++) {
        char slot[16], value[24];

        if (!chosen(&choice, page[i]))
            continue;
        snprintf(slot, sizeof slot, "%u", ipc_addr_slot(page[i]->addr));
        for (unsigned c = 0; c < COUNTERS; c++) {
            struct str cell[] = {
                str_from(proc_role_name(ipc_addr_role(page[i]->addr))), str_from(slot),
                str_from(counter_name((enum counter)c)), str_from(value)
            };

            snprintf(value, sizeof value, "%llu",
                    (unsigned long long)page[i]->counter[c]);
            cell[3] = str_from(value);
            result_row(&rq->result, cell);
        }
    }
    result_end(&rq->result);
}

/* What a role cannot work without, of the names of sandbox_probe. */
static bool
is_needed(enum proc_role role, struct str check)
{
    return (role == PROC_SQL && (str_eq_c(check, "open_file") ||
                                        str_eq_c(check, "connect_database"))) ||
           (role == PROC_ROUTER && str_eq_c(check, "write_routes"));
}

/* The processes that are still to be asked, one after the other. */
struct checks {
    ipc_addr addr[PROC_PAGES_MAX + 1];
    size_t n, next;
};

static void check_next(struct request *rq);

/* Lines "NAME refused|allowed TEXT". */
static void
check_rows(struct request *rq, ipc_addr addr, struct str lines)
{
    struct str line;
    char slot[16];

    snprintf(slot, sizeof slot, "%u", ipc_addr_slot(addr));
    while (lines.n > 0 && str_cut(&lines, '\n', &line)) {
        struct str cell[5] = { str_from(proc_role_name(ipc_addr_role(addr))),
            str_from(slot), STR(""), STR(""), STR("") };

        if (line.n == 0 || !str_cut(&line, ' ', &cell[2]) ||
                !str_cut(&line, ' ', &cell[3]))
            continue;
        if (line.p)
            cell[4] = line;
        result_row(&rq->result, cell);
        if (!str_eq_c(cell[3], "refused") && !is_needed(ipc_addr_role(addr), cell[2]))
            rq->result.exit_status = EXIT_ERROR;
    }
}

static void
on_checked(struct request *rq, ipc_addr from, const struct ipc_reply *reply)
{
    struct buf line = { 0 };

    if (reply->status == IPC_OK) {
        check_rows(rq, from, reply->text);
    } else {
        buf_addf(&line, "answer none %.*s", STR_ARG(reply->text));
        check_rows(rq, from, buf_str(&line));
        buf_fini(&line);
    }
    check_next(rq);
}

static void
check_next(struct request *rq)
{
    struct checks *checks = rq->state;
    struct buf own = { 0 };
    ipc_addr addr;

    while (checks->next < checks->n) {
        addr = checks->addr[checks->next++];
        if (addr != rq->p->addr) {
            call_start(rq, addr, IPC_PROC_CALL, "check_sandbox", NULL, 0, on_checked);
            return;
        }
        sandbox_probe(rq->p->routes.base, &own);
        check_rows(rq, addr, buf_str(&own));
        buf_fini(&own);
    }
    result_end(&rq->result);
}

/* The master is not confined: it is what confines the others. */
void
cmd_check_sandbox(struct request *rq)
{
    const struct status_page *page[PROC_PAGES_MAX + 1];
    size_t n = pages_sorted(rq->p, page);
    struct checks *checks;
    struct choice choice;

    if (!choice_make(rq, &choice))
        return;
    checks = arena_new(&rq->arena, struct checks);
    for (size_t i = 0; i < n; i++)
        if (chosen(&choice, page[i]) && ipc_addr_role(page[i]->addr) != PROC_MASTER)
            checks->addr[checks->n++] = page[i]->addr;
    if (checks->n == 0) {
        result_error(&rq->result, "not_found", 0, "there is no such process to ask");
        return;
    }
    rq->state = checks;
    check_next(rq);
}

void
cmd_stats(struct request *rq)
{
    struct str name = rq->arg[0];

    if (str_eq_c(name, "registeredusers"))
        stats_registered(rq, STR_NULL);
    else if (str_eq_c(name, "onlineusers") || str_eq_c(name, "onlineusersnode"))
        stats_online(rq, STR_NULL);
    else if (str_eq_c(name, "uptimeseconds") || str_eq_c(name, "processes"))
        stats_of_master(rq);
    else
        result_error(&rq->result, NULL, 0,
                "unknown number '%.*s'; there are: registeredusers onlineusers "
                "onlineusersnode uptimeseconds processes",
                STR_ARG(name));
}

void
cmd_stats_host(struct request *rq)
{
    const struct conf_host *host = request_host(rq, rq->arg[1]);
    struct str name = rq->arg[0];

    if (!host)
        result_error(&rq->result, NULL, 0, "\"Unknown virtual host\"");
    else if (str_eq_c(name, "registeredusers"))
        stats_registered(rq, str_dup(&rq->arena, host->name));
    else if (str_eq_c(name, "onlineusers"))
        stats_online(rq, str_dup(&rq->arena, host->name));
    else
        result_error(&rq->result, NULL, 0,
                "unknown number '%.*s'; there are: registeredusers onlineusers",
                STR_ARG(name));
}
