/*
 * sandbox_linux.c -- the filter of system calls, by libseccomp from syscalls.def
 *
 * A call that is not in the table fails with EPERM rather than killing the process: a
 * library may try something that it can do without. clone3 fails with ENOSYS, which is
 * what makes the C library use clone.
 */
#if defined(__linux__)
#include "proc/sandbox_os.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"

enum limit {
    ANYHOW,
    NO_EXEC,
    SELF,
    OWN,
    BY_FD,
    QUEUES,
    THREAD,
    CLONE_SHARED,
    DIRECTORY,
    TRACE_OWN
};

struct rule {
    const char *name;
    uint32_t roles;
    enum limit limit;
};

static const struct rule rules[] = {
#define SYSCALL(name, roles, limit)    { #name, roles, limit },
#define SYSCALL_SANITIZER(name, limit) { #name, SANDBOX_SANITIZED ? P_ANY : 0, limit },
#include "proc/syscalls.def"
#undef SYSCALL
#undef SYSCALL_SANITIZER
};

static int
allow_values(
        scmp_filter_ctx filter, int nr, unsigned arg, const uint64_t *values, size_t n)
{
    int r = 0;

    for (size_t i = 0; i < n && r == 0; i++)
        r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, nr, 1,
                SCMP_CMP(arg, SCMP_CMP_EQ, values[i], 0));
    return r;
}

static int
allow(scmp_filter_ctx filter, const struct rule *rule)
{
    static const uint64_t queue_requests[] = { FIONREAD, SIOCOUTQ, FIONBIO };
    static const uint64_t trace_requests[] = { PTRACE_ATTACH, PTRACE_DETACH,
        PTRACE_CONT, PTRACE_KILL, PTRACE_GETREGS, PTRACE_GETREGSET, PTRACE_SETOPTIONS };
    const int nr = seccomp_syscall_resolve_name(rule->name);
    const uint64_t pid = (uint64_t)getpid();

    if (nr == __NR_SCMP_ERROR)
        return 0; /* another architecture's */
    switch (rule->limit) {
    case ANYHOW:
        return seccomp_rule_add(filter, SCMP_ACT_ALLOW, nr, 0);
    case NO_EXEC:
        return seccomp_rule_add(filter, SCMP_ACT_ALLOW, nr, 1,
                SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    case SELF:
        return allow_values(filter, nr, 0, &pid, 1);
    case OWN:
        return seccomp_rule_add(filter, SCMP_ACT_ALLOW, nr, 2,
                SCMP_A0(SCMP_CMP_EQ, 0, 0), SCMP_A2(SCMP_CMP_EQ, 0, 0));
    case BY_FD:
        return seccomp_rule_add(filter, SCMP_ACT_ALLOW, nr, 1,
                SCMP_A3(SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, AT_EMPTY_PATH));
    case QUEUES:
        return allow_values(filter, nr, 1, queue_requests, ARRAY_LEN(queue_requests));
    case THREAD:
        return seccomp_rule_add(filter, SCMP_ACT_ALLOW, nr, 1,
                SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD | CLONE_VM,
                        CLONE_THREAD | CLONE_VM));
    case CLONE_SHARED:
        return seccomp_rule_add(filter, SCMP_ACT_ALLOW, nr, 1,
                SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_VM, CLONE_VM));
    case DIRECTORY:
        return seccomp_rule_add(filter, SCMP_ACT_ALLOW, nr, 1,
                SCMP_CMP(rule->name[4] == 'a' ? 2 : 1, SCMP_CMP_MASKED_EQ, O_DIRECTORY,
                        O_DIRECTORY));
    case TRACE_OWN:
        return allow_values(filter, nr, 0, trace_requests, ARRAY_LEN(trace_requests));
    }
    return -EINVAL;
}

static int
filter_load(enum proc_role role)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int r = filter ? 0 : -ENOMEM;

    for (size_t i = 0; i < ARRAY_LEN(rules) && r == 0; i++) {
        if (rules[i].roles & 1u << role)
            r = allow(filter, &rules[i]);
    }
    if (r == 0)
        r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    if (r == 0)
        r = seccomp_load(filter);
    if (filter)
        seccomp_release(filter);
    return r;
}

int
sandbox_os_confine(enum proc_role role, struct buf *missing)
{
    if (SANDBOX_SANITIZED)
        prctl(PR_SET_DUMPABLE, 1); /* changing the user took it away */
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    if (SANDBOX_TRACED || (prctl(PR_GET_SECCOMP) < 0 && errno == EINVAL)) {
        if (missing->n > 0)
            buf_add_c(missing, ", ");
        buf_add_c(missing, SANDBOX_TRACED
                                   ? "no filter of system calls (built to be traced)"
                                   : "no filter of system calls (this kernel has none)");
        return 0;
    }
    return filter_load(role);
}

bool
sandbox_os_is_dumpable(void)
{
    return prctl(PR_GET_DUMPABLE) == 1;
}

/* PTRACE_SEIZE does not stop the parent, should it work. */
int
sandbox_os_try_ptrace(void)
{
    pid_t parent = getppid();
    int status;

    if (ptrace(PTRACE_SEIZE, parent, NULL, NULL) < 0)
        return -errno;
    if (ptrace(PTRACE_INTERRUPT, parent, NULL, NULL) == 0 &&
            waitpid(parent, &status, __WALL) == parent)
        ptrace(PTRACE_DETACH, parent, NULL, NULL);
    return 0;
}
#endif
