#ifndef MASTER_DAEMON_H
#define MASTER_DAEMON_H

/* Going into the background, and telling those who wait for us how it went. */
struct daemon {
    int parent_fd; /* the process that was called waits here; -1: nobody does */
};

/*
 * Goes on in the background. The process that was called stays until _ready or _failed,
 * or until we have ended, and exits with 0 or 1 accordingly: it does not return. In the
 * background: 0, or -errno (then nothing has happened).
 */
int daemon_begin(struct daemon *d);

/* Whoever waits is told; the terminal is let go of. Harmless in the foreground. */
void daemon_ready(struct daemon *d);
void daemon_failed(struct daemon *d, const char *reason);

/* A message to the service manager ($NOTIFY_SOCKET of sd_notify), if there is one. */
void daemon_notify(const char *message);

#endif
