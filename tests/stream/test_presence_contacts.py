"""Presence among contacts: RFC 6121, section 4 (mod_roster)"""
import os
import signal

import pytest

from harness import wait, xml
from harness.roster import (befriend, expect_nothing_but_unavailable, get, interested, item, online,
                            subscription, take_push)

MODULES = {"mod_ping": {}, "mod_roster": {}}


@pytest.fixture(scope="module")
def shared(session_maker):
    return session_maker(config={"modules": MODULES})


@pytest.fixture
def server(shared):
    shared.new_test()
    yield shared
    shared.new_test()


def pair(server, **options):
    juliet, romeo = server.pair(**options)
    return online(juliet), online(romeo)


def friends(server, **options):
    juliet, romeo = pair(server, **options)
    befriend(juliet, romeo)
    return juliet, romeo


def follow(a, b):
    """Only a sees b."""
    subscription(a, "subscribe", b.bare)
    take_push(a, item(b.bare, ask="subscribe"))
    b.expect(f"<presence type='subscribe' from='{a.bare}'/>")
    subscription(b, "subscribed", a.bare)
    take_push(b, item(a.bare))
    a.expect(f"<presence type='subscribed' from='{b.bare}'/>")
    take_push(a, item(b.bare))
    a.expect(f"<presence from='{b.full}'/>")


def gone(server, s):
    wait.until(lambda: s.full not in server.ctl_lines("connected_users"), "the end of a session")


def process(server, role, slot=0):
    return next(p for p in server.processes(role) if p["slot"] == slot)["pid"]


# 4.2 and 4.3

def test_who_hears_of_initial_presence(server):
    """4.2.2: contacts with a subscription from us, and nobody else"""
    slots = sorted(server.worker_connections())
    juliet, romeo = friends(server)
    tybalt = online(server.stream("tybalt", worker=slots[0]).login())  # sees juliet
    paris = online(server.stream("paris", worker=slots[1]).login())    # juliet sees him
    nurse = online(server.stream("nurse", worker=slots[1]).login())    # has asked only
    follow(tybalt, juliet)
    follow(juliet, paris)
    subscription(nurse, "subscribe", juliet.bare)
    take_push(nurse, item(juliet.bare, ask="subscribe"))
    juliet.expect(f"<presence type='subscribe' from='{nurse.bare}'/>")
    for worker in slots:
        other = server.stream("juliet", worker=worker, resource=f"other{worker}").login()
        other.send("<presence><show>chat</show><status>Here</status></presence>")
        for s in (romeo, tybalt, juliet):
            s.expect(f"<presence from='{other.full}'><show>chat</show><status>Here</status></presence>")
        for s in (paris, nurse):
            s.expect_nothing()
        # 4.3.2: and she learns of those whom she sees.
        found = other.expect_any_order(
            *(f"<presence from='{s.full}'/>" for s in (other, juliet, romeo, paris)),
            f"<presence type='subscribe' from='{nurse.bare}'/>")
        assert len(found) == 5
        other.expect_nothing()
        other.close()
        for s in (romeo, tybalt, juliet):
            s.expect(f"<presence from='{other.full}' type='unavailable'/>")


def test_presence_of_all_resources_of_a_contact(server):
    """4.3.2: with the words that each said last"""
    juliet, romeo = friends(server)
    second = server.stream("romeo", worker=0, resource="second").login()
    second.send("<presence><show>away</show><priority>-5</priority></presence>")
    for s in (romeo, juliet):
        s.expect(f"<presence from='{second.full}'/>")
    server.stream("romeo", resource="silent").login()
    other = server.stream("juliet", worker=1, resource="other").login()
    other.presence()
    found = other.expect_any_order(
        f"<presence from='{other.full}'/>", f"<presence from='{juliet.full}'/>",
        f"<presence from='{romeo.full}' to='{juliet.bare}'/>",
        f"<presence from='{second.full}' to='{juliet.bare}'><show>away</show>"
        "<priority>-5</priority></presence>")
    assert len(found) == 4
    other.expect_nothing()


def test_who_is_not_available_gets_no_presence(server):
    """4.2.1: a resource that has not sent presence, though it has asked for the roster"""
    juliet, romeo = friends(server)
    quiet = interested(server.stream("juliet", worker=1, resource="quiet").login())
    romeo.presence(inner="<show>away</show>")
    juliet.expect(f"<presence from='{romeo.full}'><show>away</show></presence>")
    quiet.expect_nothing()


# 4.4

def test_later_presence(server):
    """4.4.2: to contacts and oneself; contacts are not looked up again"""
    juliet, romeo = friends(server)
    juliet.presence(inner="<show>dnd</show>")
    juliet.expect("<presence><show>dnd</show></presence>")
    romeo.expect(f"<presence from='{juliet.full}' to='{romeo.bare}'><show>dnd</show></presence>")
    juliet.expect_nothing()


def test_coming_back(server):
    """4.2.2: after unavailable presence it is initial presence again"""
    juliet, romeo = friends(server)
    juliet.send("<presence type='unavailable'/>")
    romeo.expect(f"<presence from='{juliet.full}' type='unavailable'/>")
    juliet.expect(f"<presence from='{juliet.full}' type='unavailable'/>")
    romeo.presence(inner="<show>xa</show>")
    romeo.expect("<presence><show>xa</show></presence>")
    juliet.expect_nothing()
    juliet.presence()
    juliet.expect_any_order(f"<presence from='{juliet.full}'/>",
                            f"<presence from='{romeo.full}'><show>xa</show></presence>")
    romeo.expect(f"<presence from='{juliet.full}'/>")


# 4.5

def test_unavailable_with_words(server):
    """4.5.2: as it was sent, to contacts and resources"""
    juliet, romeo = friends(server)
    juliet.send("<presence type='unavailable'><status>Gone to bed</status></presence>")
    romeo.expect(f"<presence from='{juliet.full}' type='unavailable'><status>Gone to bed</status></presence>")
    juliet.expect(f"<presence from='{juliet.full}' type='unavailable'><status>Gone to bed</status></presence>")
    juliet.close()
    gone(server, juliet)
    romeo.expect_nothing()


def test_last_words(server):
    """4.5.2: those that come with the end of the stream"""
    juliet, romeo = friends(server)
    juliet.send("<presence type='unavailable'><status>Bye</status></presence></stream:stream>")
    juliet.footer_sent = True
    romeo.expect(f"<presence from='{juliet.full}' type='unavailable'><status>Bye</status></presence>")
    juliet.close()
    romeo.expect_nothing()


@pytest.mark.parametrize("how", ["close", "abort", "reset", "kick", "error"])
def test_the_server_says_it_for_a_client(server, how):
    """4.5.2: however a session ends"""
    juliet, romeo = friends(server)
    if how == "kick":
        server.ctl("kick_user", juliet.user, juliet.host)
    elif how == "error":
        juliet.send("<nonsense/>")
    else:
        getattr(juliet, how)()
    romeo.expect(f"<presence from='{juliet.full}' to='{romeo.bare}' type='unavailable'/>")
    romeo.expect_nothing()


def test_a_resource_that_is_taken_over(server):
    """RFC 6120, 7.7.2.2: the old one goes, the new one is seen"""
    juliet, romeo = friends(server, resource="r")
    new = server.stream("juliet", worker=1, resource="r").login()
    juliet.expect_error("conflict")
    romeo.expect(f"<presence from='{new.full}' type='unavailable'/>")
    new.presence()
    new.expect(f"<presence from='{new.full}'/>")
    romeo.expect(f"<presence from='{new.full}'/>")
    romeo.expect_nothing()


def test_a_resource_that_is_taken_over_from_a_slow_worker(make_server):
    """What the old session's worker says late does not undo what the new one has said"""
    server = make_server(config={"modules": MODULES}, workers=3)
    a, b, c = [server.stream(n, worker=i, resource="r").login()
               for i, n in enumerate(("juliet", "romeo", "nurse"))]
    online(a), online(b)
    befriend(a, b)
    pid = process(server, "worker", 0)
    os.kill(pid, signal.SIGSTOP)
    try:
        c.close()
        # Any worker but the one that stands still: who is connected to it is not answered.
        for _ in range(20):
            new = server.stream("juliet", resource="r")
            new.patience = 2
            try:
                new.login(until="bound")
                break
            except AssertionError:
                new.abort()
        new.patience = wait.PATIENCE
        new.presence()
        new.expect(f"<presence from='{new.full}'/>")
        b.expect(f"<presence from='{new.full}'/>")
    finally:
        os.kill(pid, signal.SIGCONT)
    a.expect_error("conflict")
    b.expect_nothing()
    new.expect(f"<presence from='{b.full}'/>")
    b.presence(inner="<show>away</show>")
    new.expect(f"<presence from='{b.full}'><show>away</show></presence>")


def test_nobody_is_left_as_a_ghost(server):
    """A contact that comes online while the end of a session is on its way hears of it"""
    juliet, romeo = friends(server)
    juliet.close()
    gone(server, juliet)
    romeo.expect(f"<presence from='{juliet.full}' type='unavailable'/>")
    juliet = interested(server.stream("juliet", worker=0).login())
    pid = process(server, "router")
    os.kill(pid, signal.SIGSTOP)
    try:
        juliet.presence()
        juliet.ping()
        romeo.abort()
        wait.until(lambda: server.worker_connections()[1] == 0, "the end of the connection")
    finally:
        os.kill(pid, signal.SIGCONT)
    # She sees him in the table, or not any more; in no case she is left with him.
    got = juliet.next()
    if got.get("from") == romeo.full:
        juliet.expect(f"<presence from='{romeo.full}' type='unavailable'/>")
        got = juliet.next()
    assert got.get("from") == juliet.full
    expect_nothing_but_unavailable(juliet)


def test_a_session_that_dies_with_its_worker(make_server):
    """4.5.2: worker and keeper are killed at once, so that the connection is lost"""
    server = make_server(config={"modules": MODULES})
    juliet, romeo = friends(server)
    stranger = online(server.stream("paris", worker=1).login())
    for pid in [process(server, role, 0) for role in ("keeper", "worker")]:
        os.kill(pid, signal.SIGKILL)
    romeo.expect(f"<presence from='{juliet.full}' type='unavailable'/>")
    romeo.expect_nothing()
    stranger.expect_nothing()


def test_presence_survives_the_death_of_workers(make_server):
    """Both workers are killed: nobody hears anything, and all goes on"""
    server = make_server(config={"modules": MODULES})
    juliet, romeo = friends(server)
    for slot in (0, 1):
        pid = process(server, "worker", slot)
        os.kill(pid, signal.SIGKILL)
        wait.until(lambda: any(p["slot"] == slot and p["pid"] not in (0, pid)
                               for p in server.processes("worker")), "another worker")
    juliet.presence(inner="<show>away</show>")
    romeo.expect(f"<presence from='{juliet.full}'><show>away</show></presence>")
    juliet.expect(f"<presence from='{juliet.full}'><show>away</show></presence>")
    romeo.abort()
    juliet.expect(f"<presence from='{romeo.full}' type='unavailable'/>")


# 4.6

def test_directed_presence_to_a_contact(server):
    """4.6.3: it hears of the end once"""
    juliet, romeo = friends(server)
    juliet.send(f"<presence to='{romeo.full}'><show>chat</show></presence>")
    romeo.expect(f"<presence from='{juliet.full}' to='{romeo.full}'><show>chat</show></presence>")
    juliet.close()
    romeo.expect(f"<presence from='{juliet.full}' type='unavailable'/>")
    romeo.expect_nothing()


def test_directed_presence_without_being_available(server):
    """4.6.3: contacts do not see it, who got it hears of the end, with the words"""
    juliet, romeo = friends(server)
    paris = online(server.stream("paris", worker=1).login())
    other = server.stream("juliet", worker=0, resource="other").login()
    for s in (romeo, paris):
        other.send(f"<presence to='{s.bare}'/>")
        s.expect(f"<presence from='{other.full}'/>")
    other.send("<presence type='unavailable'><status>Bye</status></presence>")
    for s in (romeo, paris):
        s.expect(f"<presence from='{other.full}' type='unavailable'><status>Bye</status></presence>")
    juliet.expect_nothing()
    other.close()
    gone(server, other)
    romeo.expect_nothing()
    paris.expect_nothing()


def test_there_may_be_so_much_directed_presence(server):
    """One more is refused, and not sent: the end could not be told"""
    juliet, romeo = pair(server)
    juliet.send("".join(f"<presence to='c{i}@example.net'/>" for i in range(1000)))
    juliet.send(f"<presence id='more' to='{romeo.full}'/>")
    juliet.expect("<presence id='more' type='error'><error><resource-constraint/></error></presence>")
    romeo.expect_nothing()
    juliet.send("<presence to='c7@example.net' type='unavailable'/>"
                f"<presence to='{romeo.full}'/>")
    romeo.expect(f"<presence from='{juliet.full}'/>")


def test_strangers_see_nothing(server):
    """4.2.2, 4.5.2: a roster item without a subscription is none"""
    juliet, romeo = pair(server)
    for s, other in ((juliet, romeo), (romeo, juliet)):
        s.send(f"<iq type='set' id='s'><query xmlns='jabber:iq:roster'>{item(other.bare)}</query></iq>")
        s.expect("<iq type='result' id='s'/>")
        take_push(s, item(other.bare, subscription="none"))
    juliet.presence(inner="<show>away</show>")
    juliet.expect("<presence><show>away</show></presence>")
    juliet.close()
    gone(server, juliet)
    romeo.expect_nothing()
    juliet = server.stream("juliet").login(until="online")
    juliet.expect_nothing()
    romeo.expect_nothing()


def test_a_client_does_not_probe(server):
    """4.3.1"""
    juliet, romeo = friends(server)
    juliet.send(f"<presence type='probe' id='p' to='{romeo.bare}'/>")
    juliet.expect("<presence type='error' id='p'><error><forbidden/></error></presence>")
    romeo.expect_nothing()
    assert xml.show(get(juliet))
