/*
 * prepare.c -- everything that may be refused, before anybody is started
 *
 * It is acquired by the user who may: the directory, the listeners, the shared memory.
 * Or it is taken over, where a master before us has died and its processes go on
 * (adopt.c).
 */
#include "master/master.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Reads the configuration for the first time; what is wrong with it goes to stderr. */
static int
load(struct master *m)
{
    struct conf_report report;
    int r;

    conf_report_init(&report);
    r = conf_load(m->opt->conf_path, &m->opt->loader, &report, &m->conf_next);
    conf_report_print(&report, stderr);
    conf_report_fini(&report);
    if (r < 0 && m->opt->replaced) {
        log_error(NULL,
                "%s has become wrong; the configuration from before stays in force",
                m->opt->conf_path);
        return 0;
    }
    if (r < 0 && adopt_is_possible())
        fprintf(stderr, "stanzad: the processes in %s go on without a master\n",
                m->home.path);
    return r;
}

static void
raise_file_limit(void)
{
    struct rlimit files, more = { 1 << 20, 1 << 20 };

    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        return;
    if (geteuid() == 0 && files.rlim_max < more.rlim_max &&
            setrlimit(RLIMIT_NOFILE, &more) == 0)
        return;
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}

static int
prepare_new(struct master *m, struct buf *error)
{
    int r = home_furnish(&m->home, error);

    m->conf = m->conf_next;
    m->conf_next = NULL;
    return r == 0 ? make_service(m, error) : r;
}

/*
 * Refused like a reload; but then it is us who go, unless we stand in for the master
 * that was here before: nobody has asked for another configuration.
 */
static int
prepare_adopted(struct master *m, struct buf *error)
{
    int r = home_furnish(&m->home, error);

    m->adopted = true;
    if (r == 0 && m->conf_next)
        r = listeners_prepare(m->listeners, m->conf_next, error);
    if (r < 0 && m->opt->replaced) {
        log_error(
                NULL, "the configuration from before stays in force: %s", buf_c(error));
        buf_reset(error, 0);
        conf_free(&m->conf_next);
        r = 0;
    }
    if (m->conf_next && m->conf_next->workers != m->n_workers)
        log_warning(NULL,
                "there are %u workers and not %u until the service is stopped",
                m->n_workers, m->conf_next->workers);
    return r;
}

static int
load_files(struct master *m, struct buf *error)
{
    struct buf problems = { 0 };
    struct str rest, line;
    int r = boot_load(m, &problems);

    for (rest = buf_str(&problems); str_cut(&rest, '\n', &line);) {
        if (line.n > 0)
            log_warning(NULL, "%.*s", STR_ARG(line));
    }
    if (r < 0)
        buf_addf(error, "cannot pack the configuration: %s", strerror(-r));
    buf_fini(&problems);
    return r;
}

int
master_prepare(struct master *m, struct buf *error)
{
    int r;

    m->loop = loop_new();
    m->post = post_new(m->loop, ipc_addr_of(PROC_MASTER, 0));
    r = home_open(&m->home, m->opt->home, m->opt->user, error);
    if (r == 0 && chdir(m->home.path) < 0) {
        r = -errno;
        buf_addf(error, "cannot enter %s: %s", m->home.path, strerror(errno));
    }
    if (r == 0)
        r = load(m);
    if (r < 0)
        return r;
    raise_file_limit();
    r = program_own(m, &m->program);
    if (r < 0) {
        buf_addf(error, "cannot open the program %s: %s", m->exe, strerror(-r));
        return r;
    }
    r = adopt_service(m, error);
    if (r == 0 && !m->conf_next) {
        buf_addf(error, "there is neither a configuration nor somebody to go on with");
        r = -EINVAL;
    }
    if (r >= 0)
        r = r == 0 ? prepare_new(m, error) : prepare_adopted(m, error);
    if (r == 0)
        r = logfile_open(&m->log, m->conf_next ? m->conf_next : m->conf,
                !m->opt->foreground, error);
    if (r == 0)
        r = load_files(m, error);
    if (r == 0)
        r = holders_open(m);
    if (r == 0)
        deaths_load(m);
    if (r == 0)
        roll_load(m);
    if (r == 0)
        r = home_write_pid(&m->home);
    return r;
}
