#ifndef XMPP_DATETIME_H
#define XMPP_DATETIME_H

#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

struct arena;

/*
 * Dates and times as XMPP writes them (XEP-0082). A moment is a number of microseconds
 * since 1970-01-01T00:00:00Z, negative before; the calendar is the Gregorian one, and
 * years are those of four digits, 0000 to 9999.
 */
#define DATETIME_MIN    INT64_C(-62167219200000000) /* 0000-01-01T00:00:00Z */
#define DATETIME_MAX    INT64_C(253402300799999999) /* 9999-12-31T23:59:59.999999Z */
#define DATETIME_DAY_US INT64_C(86400000000)

/*
 * All return 0; -EINVAL: not of this form; or -ERANGE: of this form, but there is no
 * such month, day, hour, offset … No white space is skipped. Fractions may have any
 * number of digits, those behind microseconds are cut off. Offsets go from -14:00 to
 * +14:00, and 24:00:00 is the end of a day, as in XML Schema; leap seconds are out of
 * range there.
 */

/* DateTime: CCYY-MM-DDThh:mm:ss[.sss](Z|+hh:mm|-hh:mm). */
int datetime_parse(struct str text, int64_t *ret_us);
/*
 * The same, or CCYYMMDDThh:mm:ss (taken as UTC): for namespaces older than XEP-0082,
 * such as jabber:x:delay and jabber:iq:time, and for XML-RPC.
 */
int datetime_parse_legacy(struct str text, int64_t *ret_us);
/* Date: CCYY-MM-DD with an optional zone; the moment when that day begins. */
int datetime_parse_date(struct str text, int64_t *ret_us);
/*
 * Time: hh:mm:ss[.sss] with an optional zone (absent: UTC); microseconds since midnight
 * UTC, less than DATETIME_DAY_US.
 */
int datetime_parse_time(struct str text, int64_t *ret_us);

/*
 * Always in UTC. digits: of the fraction, 0 (none) to 6; DATETIME_EXACT: 6, or none
 * when it is zero. What is cut off is not rounded: a time never comes out later than it
 * is. Moments that the four digits cannot express become the nearest that they can.
 */
enum {
    DATETIME_SECONDS = 0,
    DATETIME_MILLISECONDS = 3,
    DATETIME_MICROSECONDS = 6,
    DATETIME_EXACT = 7
};
void datetime_write(struct buf *out, int64_t us, unsigned digits);
struct str datetime_text(struct arena *arena, int64_t us, unsigned digits);
void datetime_write_date(struct buf *out, int64_t us);
void datetime_write_legacy(struct buf *out, int64_t us); /* CCYYMMDDThh:mm:ss */

#endif
