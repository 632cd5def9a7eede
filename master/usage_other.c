/*
 * usage_other.c -- where a process's use of the machine is not to be had from a file
 */
#if !defined(__linux__)
#include "master/usage.h"

struct usage
usage_of(pid_t pid)
{
    (void)pid;
    return (struct usage){ 0 };
}
#endif
