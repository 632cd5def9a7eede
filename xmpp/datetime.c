/*
 * datetime.c -- dates and times as text (XEP-0082)
 *
 * Not by timegm() and strftime(): their range depends on the system, they normalise
 * what should be refused, and strptime() follows the locale.
 */
#include "xmpp/datetime.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>

#include "base/arena.h"

#define SECOND_US INT64_C(1000000)

enum {
    OFFSET_MAX = 14 * 60 /* minutes */
};

/* What is still to be read; once something did not fit, nothing fits any more. */
struct reader {
    const char *p, *end;
    bool bad;
};

static struct reader
reader_of(struct str text)
{
    return (struct reader){ text.p, text.n ? text.p + text.n : text.p, false };
}

static bool
take(struct reader *r, char c)
{
    if (r->p == r->end || *r->p != c)
        return false;
    r->p++;
    return true;
}

static void
need(struct reader *r, char c)
{
    if (!take(r, c))
        r->bad = true;
}

static bool
at_digit(const struct reader *r)
{
    return r->p != r->end && *r->p >= '0' && *r->p <= '9';
}

/* Exactly n digits. */
static int
number(struct reader *r, unsigned n)
{
    int value = 0;

    while (n-- > 0) {
        if (!at_digit(r)) {
            r->bad = true;
            return 0;
        }
        value = value * 10 + (*r->p++ - '0');
    }
    return value;
}

static int64_t
fraction_us(struct reader *r)
{
    int64_t us = 0, unit = SECOND_US / 10;

    if (!take(r, '.'))
        return 0;
    if (!at_digit(r))
        r->bad = true;
    for (; at_digit(r); r->p++, unit /= 10)
        us += (*r->p - '0') * unit;
    return us;
}

/* Days from 1970-01-01. Years begin in March, so that the odd day is their last. */
static int64_t
days_of(int year, int month, int day)
{
    int64_t y = month > 2 ? year : year - 1;
    int64_t era = (y >= 0 ? y : y - 399) / 400, of_era = y - era * 400;
    int64_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int
days_in_month(int year, int month)
{
    static const unsigned char days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30,
        31 };
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap);
}

/* The readers of parts return -ERANGE when the form is right and the value is not. */

static int
read_date(struct reader *r, bool dashes, int64_t *ret_us)
{
    int year, month, day;

    year = number(r, 4);
    if (dashes)
        need(r, '-');
    month = number(r, 2);
    if (dashes)
        need(r, '-');
    day = number(r, 2);
    if (r->bad)
        return 0;
    if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month))
        return -ERANGE;
    *ret_us = days_of(year, month, day) * DATETIME_DAY_US;
    return 0;
}

static int
read_time(struct reader *r, bool fraction, int64_t *ret_us)
{
    int hour, minute, second;
    int64_t us = 0;

    hour = number(r, 2);
    need(r, ':');
    minute = number(r, 2);
    need(r, ':');
    second = number(r, 2);
    if (fraction)
        us = fraction_us(r);
    if (r->bad)
        return 0;
    if (hour > 24 || minute > 59 || second > 59)
        return -ERANGE;
    us += ((hour * 60 + minute) * 60 + second) * SECOND_US;
    if (us > DATETIME_DAY_US)
        return -ERANGE;
    *ret_us = us;
    return 0;
}

/* How far the zone is ahead of UTC. */
static int
read_zone(struct reader *r, bool needed, int64_t *ret_us)
{
    int sign = 1, hour, minute;

    *ret_us = 0;
    if (take(r, 'Z') || (!needed && r->p == r->end))
        return 0;
    if (take(r, '-'))
        sign = -1;
    else
        need(r, '+');
    hour = number(r, 2);
    need(r, ':');
    minute = number(r, 2);
    if (r->bad)
        return 0;
    if (minute > 59 || hour * 60 + minute > OFFSET_MAX)
        return -ERANGE;
    *ret_us = sign * (hour * 60 + minute) * 60 * SECOND_US;
    return 0;
}

/* -EINVAL goes before -ERANGE: the form must fit to the last byte. */
static int
finish(const struct reader *r, int error, int64_t us, int64_t *ret_us)
{
    if (r->bad || r->p != r->end)
        return -EINVAL;
    if (error < 0)
        return error;
    if (us < DATETIME_MIN || us > DATETIME_MAX)
        return -ERANGE;
    *ret_us = us;
    return 0;
}

static int
first_of(int a, int b, int c)
{
    return a < 0 ? a : b < 0 ? b : c;
}

int
datetime_parse(struct str text, int64_t *ret_us)
{
    struct reader r = reader_of(text);
    int64_t date = 0, time = 0, ahead = 0;
    int a, b, c;

    a = read_date(&r, true, &date);
    need(&r, 'T');
    b = read_time(&r, true, &time);
    c = read_zone(&r, true, &ahead);
    return finish(&r, first_of(a, b, c), date + time - ahead, ret_us);
}

int
datetime_parse_legacy(struct str text, int64_t *ret_us)
{
    struct reader r = reader_of(text);
    int64_t date = 0, time = 0;
    int a, b;

    a = read_date(&r, false, &date);
    if (r.bad)
        return datetime_parse(text, ret_us);
    need(&r, 'T');
    b = read_time(&r, false, &time);
    return finish(&r, first_of(a, b, 0), date + time, ret_us);
}

int
datetime_parse_date(struct str text, int64_t *ret_us)
{
    struct reader r = reader_of(text);
    int64_t date = 0, ahead = 0;
    int a, b;

    a = read_date(&r, true, &date);
    b = read_zone(&r, false, &ahead);
    return finish(&r, first_of(a, b, 0), date - ahead, ret_us);
}

int
datetime_parse_time(struct str text, int64_t *ret_us)
{
    struct reader r = reader_of(text);
    int64_t time = 0, ahead = 0;
    int a, b;

    a = read_time(&r, true, &time);
    b = read_zone(&r, false, &ahead);
    time = (time - ahead + DATETIME_DAY_US) % DATETIME_DAY_US;
    return finish(&r, first_of(a, b, 0), time, ret_us);
}

struct parts {
    int year, month, day, hour, minute, second, us;
};

static struct parts
parts_of(int64_t us)
{
    int64_t days, z, era, of_era, year, of_year, month, rest;

    us = us < DATETIME_MIN ? DATETIME_MIN : us > DATETIME_MAX ? DATETIME_MAX : us;
    rest = us % DATETIME_DAY_US;
    if (rest < 0)
        rest += DATETIME_DAY_US;
    days = (us - rest) / DATETIME_DAY_US;
    /* days_of() backwards. */
    z = days + 719468;
    era = (z >= 0 ? z : z - 146096) / 146097;
    of_era = z - era * 146097;
    year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    of_year = of_era - (365 * year + year / 4 - year / 100);
    month = (5 * of_year + 2) / 153;
    return (struct parts){
        .year = (int)(year + era * 400 + (month >= 10)),
        .month = (int)(month < 10 ? month + 3 : month - 9),
        .day = (int)(of_year - (153 * month + 2) / 5 + 1),
        .hour = (int)(rest / (3600 * SECOND_US)),
        .minute = (int)(rest / (60 * SECOND_US) % 60),
        .second = (int)(rest / SECOND_US % 60),
        .us = (int)(rest % SECOND_US),
    };
}

void
datetime_write(struct buf *out, int64_t us, unsigned digits)
{
    struct parts t = parts_of(us);

    assert(digits <= DATETIME_EXACT);
    if (digits == DATETIME_EXACT)
        digits = t.us ? 6 : 0;
    buf_addf(out, "%04d-%02d-%02dT%02d:%02d:%02d", t.year, t.month, t.day, t.hour,
            t.minute, t.second);
    if (digits > 0) {
        for (unsigned i = digits; i < 6; i++)
            t.us /= 10;
        buf_addf(out, ".%0*d", (int)digits, t.us);
    }
    buf_add_char(out, 'Z');
}

struct str
datetime_text(struct arena *arena, int64_t us, unsigned digits)
{
    struct buf out = { 0 };
    struct str text;

    datetime_write(&out, us, digits);
    text = str_dup(arena, buf_str(&out));
    buf_fini(&out);
    return text;
}

void
datetime_write_date(struct buf *out, int64_t us)
{
    struct parts t = parts_of(us);

    buf_addf(out, "%04d-%02d-%02d", t.year, t.month, t.day);
}

void
datetime_write_legacy(struct buf *out, int64_t us)
{
    struct parts t = parts_of(us);

    buf_addf(out, "%04d%02d%02dT%02d:%02d:%02d", t.year, t.month, t.day, t.hour,
            t.minute, t.second);
}
