#ifndef CONF_FOREIGN_H
#define CONF_FOREIGN_H

#include <stddef.h>

#include "base/str.h"
#include "conf/report.h"

/*
 * Modules that are not in conf/modules.def. Beside the shared object NAME.so in the
 * folder of modules lies a file NAME.options, which says of it what modules.def says of
 * ours:
 *
 *     # comments and empty lines
 *     module | mod_echo | Sends messages back
 *     option | host | STRING | echo.@HOST@ | The domain of the service
 *     option | mode | ENUM a|b | a | What it does
 *     needs  | mod_disco
 *
 * The types are those of conf/type.def; an empty default means that there is none.
 */

/* The folder of modules: $STANZAD_MODULES, beside the executable, or where installed.
 */
void conf_modules_dir(char *ret_dir, size_t size);

/*
 * Reads all such files, once, before a configuration is read and before a sandbox
 * closes. What is wrong with them goes to standard error; such a file is left out.
 */
void conf_foreign_load(void);

/* One file's text, for conf_foreign_load() and tests: 0; or -EINVAL with *ret_line. */
int conf_foreign_add(struct str text, unsigned *ret_line);

#endif
