#ifndef ADMIN_STATS_H
#define ADMIN_STATS_H

#include "admin/request.h"

/* The parts of `stats` and `stats_host`; each writes the result. */
void stats_of_master(struct request *rq); /* processes, uptimeseconds */
void stats_registered(struct request *rq, struct str host); /* STR_NULL: all hosts */
void stats_online(struct request *rq, struct str host);

#endif
