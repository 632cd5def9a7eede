#ifndef MASTER_LOADER_H
#define MASTER_LOADER_H

#include "conf/conf.h"

/*
 * How every process of a server reads a configuration: names prepared as XMPP
 * addresses, everything below home.
 */
void loader_init(struct conf_loader *loader, const char *home);

#endif
