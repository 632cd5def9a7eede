#!/usr/bin/python3
"""
scale.py -- how many workers are worth their cores? A simulation, for want of 64 cores

Pairs of users whose sessions are on workers by chance, one message under way in each, as in
`bench/load chat`. A worker's turn takes what waits for it: messages of its clients, and packets
of other workers with frames in them; at its end each other worker gets one packet with all that
goes there. Nothing else is shared on this path (doc/PERFORMANCE.md, Scaling), so that this is
what changes with the number of workers. Memory bandwidth and caches are not in it.

    bench/scale.py [-m MICROSECONDS] [-p MICROSECONDS] [-f MICROSECONDS] [-u USERS]

-m  a message within one worker, all of it: measured with `compare.py -k chat`, one worker
-p  a packet between two workers, both ends, awake: build/bench/hop, 1 frame
-f  a frame more in it: build/bench/hop, (16 frames - 1 frame) / 15
-u  users per worker
"""
import argparse
import heapq
import random

SEND = 0.55          # of a message's cost is its last part, send() to the client
TURN_US = 1.5        # a turn of the loop by itself
THINK_US = 100       # until a client answers: network and the client
SIMULATED_US = 20000


def simulate(n, args):
    """Messages per second of all workers, packets per message, messages in a turn."""
    rng = random.Random(n)
    n_users = args.users * n
    worker_of = [rng.randrange(n) for _ in range(n_users)]
    order = list(range(n_users))
    rng.shuffle(order)
    other = [0] * n_users
    for i in range(0, n_users - 1, 2):
        other[order[i]], other[order[i + 1]] = order[i + 1], order[i]
    t_send, t_in = args.message * SEND, args.message * (1 - SEND)
    t_packet, t_frame = args.packet / 2, args.frame / 2  # each end
    events, serial = [], 0  # (time, serial, kind, worker, what)
    clients = [[] for _ in range(n)]   # users whose message waits
    packets = [[] for _ in range(n)]   # lists of users who are to get one
    busy = [False] * n
    done = n_packets = n_turns = 0

    def at(time, *event):
        nonlocal serial
        serial += 1
        heapq.heappush(events, (time, serial, *event))

    for i in range(0, n_users - 1, 2):
        at(rng.random() * THINK_US, "message", worker_of[order[i]], order[i])
    while events:
        now, _, kind, w, what = heapq.heappop(events)
        if now > SIMULATED_US:
            break
        if kind == "message":
            clients[w].append(what)
        elif kind == "packet":
            packets[w].append(what)
        else:
            busy[w] = False
        if busy[w] or not (clients[w] or packets[w]):
            continue
        mine, theirs, out = clients[w], packets[w], {}
        clients[w], packets[w] = [], []
        cost, given = TURN_US + t_packet * len(theirs), []
        for user in mine:
            to = other[user]
            cost += t_in
            if worker_of[to] == w:
                given.append(to)
            else:
                out.setdefault(worker_of[to], []).append(to)
                cost += t_frame
        for frames in theirs:
            cost += t_frame * len(frames)
            given += frames
        cost += t_send * len(given) + t_packet * len(out)
        done += len(given)
        n_packets += len(out)
        n_turns += 1
        busy[w] = True
        at(now + cost, "free", w, None)
        for peer, users in out.items():
            at(now + cost, "packet", peer, users)
        for user in given:
            at(now + cost + THINK_US, "message", w, user)
    return done / SIMULATED_US * 1e6, n_packets / done, done / n_turns


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("-m", dest="message", type=float, default=10.0)
    p.add_argument("-p", dest="packet", type=float, default=3.4)
    p.add_argument("-f", dest="frame", type=float, default=0.3)
    p.add_argument("-u", dest="users", type=int, default=200)
    args = p.parse_args()
    one = None
    print(f"{'workers':>8} {'messages/s':>11} {'x one':>7} {'us each':>8} {'packets each':>13}"
          f" {'messages a turn':>16}")
    for n in (1, 2, 4, 8, 16, 32, 64):
        rate, packets, batch = simulate(n, args)
        one = one or rate
        print(f"{n:8} {rate:11,.0f} {rate / one:7.1f} {n / rate * 1e6:8.2f} {packets:13.2f}"
              f" {batch:16.1f}")


if __name__ == "__main__":
    main()
