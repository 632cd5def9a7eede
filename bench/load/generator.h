#ifndef BENCH_LOAD_GENERATOR_H
#define BENCH_LOAD_GENERATOR_H

struct options;
struct result;
struct scenario;

/*
 * The life of a process with clients [first, end). It waits on fd for 'l' and logs them
 * in, says 'r' when all are online; 'g': the scenario runs, 's' when its time is over;
 * 'f': what is under way arrives, 'd' when all has; 'q': it ends.
 */
void generator(const struct options *opt, const struct scenario *scenario, int first,
        int end, int fd, struct result *result) __attribute__((noreturn));

#endif
