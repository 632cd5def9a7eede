"""Message archives: what an account wants to keep (XEP-0441), and what the host says"""
import pytest

from harness import database, mam, wait, xml

HOSTS = {"always": "always", "roster": "roster", "never": "never"}


def config(**options):
    return {"modules": {"mod_ping": {}, "mod_mam": options}}


@pytest.fixture(scope="module", params=["sqlite", "pgsql"])
def shared(request, session_maker):
    return session_maker(config=config(default="always"), database=request.param)


def prefs(default, always=(), never=()):
    def jids(name, found):
        return f"<{name}>" + "".join(f"<jid>{xml.escape(j)}</jid>" for j in found) + f"</{name}>"
    return f"<prefs xmlns='{mam.NS}' default='{default}'>{jids('always', always)}{jids('never', never)}</prefs>"


def read(answer):
    assert answer.get("type") == "result", xml.show(answer)
    p = answer.find(f"{{{mam.NS}}}prefs")
    return (p.get("default"),) + tuple([j.text for j in p.find(f"{{{mam.NS}}}{n}")]
                                       for n in ("always", "never"))


def get(stream):
    return read(stream.request(f"<prefs xmlns='{mam.NS}'/>"))


def put(stream, *how):
    return read(stream.request(prefs(*how), "set"))


def row(server, user):
    found = database.rows(server, "select def, always, never from archive_prefs where username = ?", user)
    return found[0] if found else None


def kept(sender, recipient):
    """Does the message sent now go into the recipient's archive?"""
    i = sender.next_id()
    sender.send(f"<message to='{recipient.bare}' type='chat' id='{i}'><body>b</body></message>")
    return mam.stanza_id(recipient.expect(f"<message id='{i}'/>"), recipient.bare) is not None


def wait_kept(sender, recipient, wanted):
    """The route table hears of a change a moment after the client."""
    wait.until(lambda: kept(sender, recipient) == wanted, f"kept to be {wanted}")


def test_the_default(server):
    """1.1"""
    juliet = server.stream("juliet").login(until="online")
    assert get(juliet) == ("always", [], [])
    assert row(server, juliet.user) is None


def test_they_are_kept_as_ejabberd_keeps_them(server):
    """Sorted by user and domain, each once, without resources; terms as it prints them"""
    juliet = server.stream("juliet").login(until="online")
    wanted = ("roster", ["example.com", "romeo@example.net", "zoë@example.net", "żółć@example.net"],
              ["example.com", "montague@example.org"])
    assert put(juliet, "roster", ["żółć@example.net", "ROMEO@example.net/Orchard", "zoë@example.net",
                                  "example.com", "romeo@example.net"],
               ["montague@example.org/Res Ö", "example.com"]) == wanted
    assert get(juliet) == wanted
    always, never = row(server, juliet.user)[1:]
    assert row(server, juliet.user)[0] == "roster"
    assert always == ('[{<<>>,<<"example.com">>,<<>>},{<<"romeo">>,<<"example.net">>,<<>>},'
                      '{<<"zoë">>,<<"example.net">>,<<>>},'
                      '{<<197,188,195,179,197,130,196,135>>,<<"example.net">>,<<>>}]')
    assert never == '[{<<>>,<<"example.com">>,<<>>},{<<"montague">>,<<"example.org">>,<<>>}]'
    assert put(juliet, "never") == ("never", [], [])
    assert row(server, juliet.user) == ("never", "[]", "[]")


def test_rows_of_ejabberd_are_read(server):
    """Also with a policy or addresses that make no sense"""
    juliet = server.account("juliet")
    database.change(server, "insert into archive_prefs (username, def, always, never) values (?, ?, ?, ?)",
                    juliet.user, "always", "[{<<\"romeo\">>,<<\"example.net\">>,<<>>},nonsense,{<<>>,<<\"@\">>,<<>>}]",
                    "[{<<197,188,195,179,197,130,196,135>>,<<\"example.net\">>,<<>>}]")
    s = server.stream("juliet").login(until="online")
    assert get(s) == ("always", ["romeo@example.net"], ["żółć@example.net"])
    nurse = server.account("nurse")
    database.change(server, "insert into archive_prefs (username, def, always, never) values (?, ?, ?, ?)",
                    nurse.user, "sometimes", "{", "[]")
    n = server.stream("nurse").login(until="online")
    assert get(n) == ("never", [], [])


# preferences of the recipient, are messages of romeo kept?
CASES = [
    (("always", [], []), True),
    (("never", [], []), False),
    (("always", [], ["romeo"]), False),
    (("always", [], ["nurse"]), True),
    (("never", ["romeo"], []), True),
    (("never", ["nurse"], []), False),
    (("always", ["romeo"], ["romeo"]), True),
    (("roster", [], []), False),
    (("roster", ["romeo"], []), True),
]


def test_for_the_recipient_and_for_the_sender(server):
    """1.3: by `from` of what comes, by `to` of what goes; in two workers"""
    juliet, romeo = server.pair(until="online")
    nurse = server.account("nurse")
    names = {"romeo": romeo.bare, "nurse": nurse.bare}
    for (default, always, never), wanted in CASES:
        put(juliet, default, [names[n] for n in always], [names[n] for n in never])
        wait_kept(romeo, juliet, wanted)
        assert kept(juliet, romeo)  # his own preferences are others
        sent = f"i{juliet.ids}"

        def is_in_archive():
            return sent in [m.get("id") for m in mam.page(juliet, {"before": None}).messages
                            if m.get("from") == juliet.full]

        if wanted:
            wait.until(is_in_archive, f"{sent} in the archive")
        else:
            assert not is_in_archive()


def test_for_somebody_absent(server):
    """The home decides, by the preferences in the database"""
    juliet, romeo = server.stream("juliet").login(until="online"), server.account("romeo")
    s = server.stream("romeo").login(until="online")
    put(s, "always", [], [juliet.bare])
    s.close()
    wait.until(lambda: server.ctl("num_resources", romeo.user, romeo.host) == "0", "romeo to be gone")
    juliet.send(f"<message to='{romeo.bare}' type='chat'><body>b</body></message>")
    juliet.expect("<message type='error'><error><service-unavailable/></error></message>")
    assert mam.rows(server, romeo) == []


def test_they_hold_in_all_sessions(server):
    """A change in one worker is one in the other"""
    a = server.stream("juliet", worker=0).login(until="online")
    b = server.stream("juliet", worker=1).login(until="online")
    a.expect(f"<presence from='{b.full}'/>")
    b.expect(f"<presence from='{a.full}'/>")
    nurse = server.stream("nurse").login(until="online")
    for default in ("never", "always"):
        put(a, default)
        assert get(b) == (default, [], [])
        before = mam.page(a, {"max": 0}).count
        for s in (a, b):
            s.send(f"<message to='{nurse.bare}' type='chat'><body>b</body></message>")
            nurse.expect(f"<message from='{s.full}'/>")
        n = before + 2 * (default == "always")
        wait.until(lambda: mam.page(a, {"max": 0}).count == n, f"{n} messages")


WRONG = [
    (f"<prefs xmlns='{mam.NS}'/>", "bad-request"),
    (f"<prefs xmlns='{mam.NS}' default='sometimes'/>", "bad-request"),
    (prefs("always", ["a@b@c"]), "bad-request"),
    (prefs("always", [], [""]), "bad-request"),
    (prefs("always", [f"u{i}@example.net" for i in range(2001)]), "policy-violation"),
]


def test_what_is_wrong_changes_nothing(server):
    juliet = server.stream("juliet").login(until="online")
    put(juliet, "roster", ["romeo@example.net"])
    for text, condition in WRONG:
        assert mam.error(juliet, text) == (condition, "modify")
        assert get(juliet) == ("roster", ["romeo@example.net"], [])


def test_many_addresses(server):
    juliet, romeo = server.pair(until="online")
    wanted = sorted([f"u{i}@example.net" for i in range(1999)] + [romeo.bare], key=lambda j: j.split("@"))
    assert put(juliet, "never", wanted)[1] == wanted
    wait_kept(romeo, juliet, True)


def test_access_preferences(make_server):
    """Who may not change them may read them"""
    server = make_server(workers=1, config={
        **config(default="always", access_preferences="some"),
        "acl": {"some": {"user": "juliet"}}, "access_rules": {"some": [{"allow": "some"}]}})
    juliet, romeo = (server.stream(n).login(until="online") for n in ("juliet", "romeo"))
    assert put(juliet, "never") == ("never", [], [])
    assert mam.error(romeo, prefs("never")) == ("forbidden", "auth")
    assert get(romeo) == ("always", [], [])


@pytest.mark.parametrize("kind", ["sqlite", "pgsql"])
def test_request_activates_archiving(make_server, kind):
    """Nothing is kept before the first query, whatever the default is"""
    server = make_server(database=kind, config=config(default="always", request_activates_archiving=True))
    juliet, romeo = server.pair(until="online")
    assert get(juliet) == ("never", [], [])
    assert not kept(romeo, juliet)
    assert mam.page(juliet).ids == []
    wait.until(lambda: row(server, juliet.user) == ("always", "[]", "[]"), "it to be noted")
    wait_kept(romeo, juliet, True)
    assert not kept(juliet, romeo)
    assert mam.rows(server, romeo) == []


def test_a_reload_changes_the_default(make_server):
    """For sessions that are there, too"""
    server = make_server(config=config(default="never"))
    juliet, romeo = server.pair(until="online")
    put(romeo, "never")
    assert not kept(juliet, romeo) and not kept(romeo, juliet)
    server.write_config(**config(default="always"))
    server.ctl("reload_config")
    wait_kept(romeo, juliet, True)
    assert not kept(juliet, romeo)
    assert get(juliet) == ("always", [], [])
    server.write_config(**config(default="never"))
    server.ctl("reload_config")
    wait_kept(romeo, juliet, False)


def test_a_killed_worker_knows_what_to_keep(make_server):
    """The flags of idle sessions are as before, from the first message on"""
    import os
    import signal
    server = make_server(config=config(default="never"))
    juliet, romeo = server.pair(until="online")
    put(juliet, "always")
    wait_kept(romeo, juliet, True)
    slot = next(p for p in server.processes("worker") if p["slot"] == juliet.worker)
    for _ in range(3):
        pid = next(p["pid"] for p in server.processes("worker") if p["slot"] == slot["slot"])
        os.kill(pid, signal.SIGKILL)
        for _ in range(5):
            assert kept(romeo, juliet)
        wait.until(lambda: any(p["slot"] == slot["slot"] and p["pid"] not in (0, pid)
                               for p in server.processes("worker")), "a new worker")
