"""runs.py -- the table of what is measured, and the goals that the figures are held against

RUNS: key: (title, group, arguments of bench/load, who takes part; None for all)
    group "main": one server with 500 accounts that have 20 contacts each; "idle": a new
    server with an account per client and no contacts. {s} is the seconds of a run.
"""

SESSIONS, SESSIONS_PEERS = 20000, 5000  # a peer is one process: 20,000 descriptors at most here

RUNS = {
    "chat": ("Chat, 200 users, plain", "main", "-t none -n 200 -s {s} chat", None),
    "chat_tls": ("Chat, 200 users, TLS", "main", "-t direct -n 200 -s {s} chat", None),
    "chat_sm": ("Chat, 200 users, TLS, XEP-0198", "main", "-t direct -m -n 200 -s {s} chat",
                ("stanzad", "ejabberd", "prosody")),
    "open_1000": ("Open loop, 1,000 messages/s, TLS", "main",
                  "-t direct -n 200 -r 1000 -s {s} open", None),
    "open_10000": ("Open loop, 10,000 messages/s, TLS", "main",
                   "-t direct -n 200 -r 10000 -s {s} open", ("floor", "stanzad")),
    "login": ("Log-in, roster of 20, TLS", "main", "-t direct -n 16 -s {double} login", None),
    "beside": ("Open loop, 1,000 messages/s, beside 200 log-ins/s, TLS", "main",
               "-t direct -n 200 -r 1000 -s {s} open", ("floor", "stanzad")),
    "presence": ("Presence, 500 users, rings of 20", "main",
                 "-t none -n 500 -s {double} presence", None),
    "roster": ("Roster of 20", "main", "-t none -n 50 -s {s} roster", None),
    "idle": ("Idle session, plain", "idle", "-t none -w 8 -s 5 -c idle",
             ("stanzad", "ejabberd", "prosody")),
    "idle_tls": ("Idle session, TLS", "idle", "-t direct -w 8 -s 5 -c idle",
                 ("stanzad", "ejabberd", "prosody")),
}

# What goes on beside a run.
BESIDE = {"beside": "-t direct -i 1000 -n 64 -r 200 -s {long} login"}

CPU, P99, MEMORY, IDLE_CPU = "cpu_us_per_op", "p99_us", "pss_per_client", "cpu_percent"

# (sentence, run, figure, at most so much times what: (run, servers: the best of them) or None)
GOALS = [
    ("Chat, plain: CPU at most 2 x floor", "chat", CPU, 2, ("chat", ("floor",))),
    ("Chat, TLS: CPU at most 2 x floor", "chat_tls", CPU, 2, ("chat_tls", ("floor",))),
    ("Chat, plain: CPU at most a tenth of ejabberd's", "chat", CPU, 0.1, ("chat", ("ejabberd",))),
    ("Chat, plain: CPU at most a tenth of prosody's", "chat", CPU, 0.1, ("chat", ("prosody",))),
    ("Chat, TLS: CPU at most a tenth of ejabberd's", "chat_tls", CPU, 0.1,
     ("chat_tls", ("ejabberd",))),
    ("Chat, TLS: CPU at most a tenth of prosody's", "chat_tls", CPU, 0.1,
     ("chat_tls", ("prosody",))),
    ("Open loop, 1,000/s: p99 at most 2 x floor", "open_1000", P99, 2, ("open_1000", ("floor",))),
    ("Open loop, 10,000/s: p99 at most 2 x floor", "open_10000", P99, 2,
     ("open_10000", ("floor",))),
    ("Idle session, plain: at most 1.5 KiB", "idle", MEMORY, 1536, None),
    ("Idle session, TLS 1.3: at most 2 KiB", "idle_tls", MEMORY, 2048, None),
    ("20,000 idle sessions: less than 1 % of a core", "idle_tls", IDLE_CPU, 1, None),
    ("Log-in: CPU at most 1.5 x floor", "login", CPU, 1.5, ("login", ("floor",))),
    ("Log-in: CPU at most a fifth of the best peer's", "login", CPU, 0.2,
     ("login", ("ejabberd", "prosody"))),
    ("200 log-ins/s raise the p99 of others by at most 20 %", "beside", P99, 1.2,
     ("open_1000", ("stanzad",))),
    ("Presence: CPU per delivery at most a tenth of the better peer's", "presence", CPU, 0.1,
     ("presence", ("ejabberd", "prosody"))),
    ("XEP-0198: CPU per message at most 15 % above without", "chat_sm", CPU, 1.15,
     ("chat_tls", ("stanzad",))),
]
