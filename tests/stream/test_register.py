"""In-band registration (XEP-0077), before and after authentication (mod_register)"""
import os
import signal
import sqlite3
import time

import pytest

from harness import sasl, wait, xml
from harness.roster import NS as ROSTER, befriend, items, online
from harness.server import Account
from harness.stream import SaslFailure

NS = "jabber:iq:register"
FEATURE = "{http://jabber.org/features/iq-register}register"
MODULES = {"mod_ping": {}, "mod_roster": {}, "mod_offline": {}, "mod_disco": {}, "mod_private": {},
           "mod_register": {"access_from": "helpers", "access": "names",
                            "registration_watchers": ["watcher@example.net"],
                            "welcome_message": {"subject": "Welcome", "body": "Hello there"}}}
RULES = {"acl": {"helpers": {"user": ["helper@example.net"]}, "reserved": {"user_regexp": "^admin"}},
         "access_rules": {"helpers": [{"allow": "helpers"}], "names": [{"deny": "reserved"}, "allow"]},
         "registration_timeout": "infinity"}


def special(**options):
    return {"modules": {"mod_ping": {}, "mod_register": options}}


HOSTS = {
    "example.net": None,
    "redirect.example": special(redirect_url="https://redirect.example/new"),
    "closed.example": special(allow_modules=["mod_register_web"], access_remove="none"),
    "captcha.example": special(captcha_protected=True),
    "elsewhere.example": special(ip_access=[{"allow": {"ip": "192.0.2.0/24"}}]),
    "strong.example": special(password_strength=40),
    "plain.example": special(allow_unencrypted=True),
}


@pytest.fixture(scope="module", params=["sqlite", "pgsql"])
def shared(request, session_maker):
    config = {"modules": MODULES, **RULES,
              "host_config": {h: c for h, c in HOSTS.items() if c}}
    if request.param == "pgsql":
        config["sql_schema_multihost"] = True
    return session_maker(config=config, hosts=tuple(HOSTS), database=request.param)


def name(server, user):
    """Another one in each test"""
    return f"{user}-{server.n_test}"


def newcomer(server, host="example.net", user="nobody", until="tls", **options):
    return server.stream(Account(user, host, "secret"), **options).login(until)


def query(inner=""):
    return f"<query xmlns='{NS}'>{inner}</query>"


def fields(user, password="secret"):
    user = "" if user is None else f"<username>{xml.escape(user)}</username>"
    password = "" if password is None else f"<password>{xml.escape(password)}</password>"
    return query(user + password)


def form(kind="submit", **values):
    inner = f"<field var='FORM_TYPE' type='hidden'><value>{NS}</value></field>"
    inner += "".join(f"<field var='{k}'><value>{v}</value></field>" for k, v in values.items())
    return query(f"<x xmlns='jabber:x:data' type='{kind}'>{inner}</x>")


def done(s, text, to=None):
    answer = s.request(text, "set", to)
    assert answer.get("type") == "result" and len(answer) == 0, xml.show(answer)
    return s


def refused(s, text, condition, kind="set", to=None):
    answer = s.request(text, kind, to)
    pattern = xml.pattern(f"<iq type='error'><error><{condition}/></error></iq>")
    assert xml.matches(pattern, answer), f"{text}: {xml.show(answer)}"
    assert not answer.findall(f"{{{NS}}}query")
    return s


def enter(server, user, password="secret", host="example.net", **options):
    return server.stream(Account(user, host, password), **options).login()


def ends(s, result=None):
    """The account is no more: the answer, if this session has asked; the end of the stream"""
    answers = []
    while (got := s.next()).tag != f"{{{xml.NS_STREAM}}}error":
        if got.tag.endswith("iq"):
            answers.append((got.get("type"), got.get("id")))
        else:  # contacts are gone before
            assert got.get("type") == "unavailable", xml.show(got)
    assert got[0].tag.endswith("not-authorized"), xml.show(got)
    assert answers == ([("result", result)] if result else [])
    s.expect_closed()


def count(server, table, user):
    if server.database == "pgsql":
        cursor = server.cluster.connect(server.db_name).cursor()
        cursor.execute(f"select count(*) from {table} where username = %s", [user])
        return cursor.fetchone()[0]
    c = sqlite3.connect(f"file:{server.dir}/sqlite/example.net.sqlite?mode=ro", uri=True)
    try:
        return c.execute(f"select count(*) from {table} where username = ?", [user]).fetchone()[0]
    finally:
        c.close()


# Before authentication


def test_the_feature(server):
    """8: offered, but not before TLS; to nobody who may not"""
    s = newcomer(server, until="open")
    assert s.features.find(FEATURE) is None
    assert s.starttls().open().features.find(FEATURE) is not None
    assert newcomer(server, mode="direct").features.find(FEATURE) is not None
    for host, offered in (("redirect.example", True), ("closed.example", False), ("captcha.example", False),
                          ("elsewhere.example", False)):
        assert (newcomer(server, host).features.find(FEATURE) is not None) == offered, host
    s = enter(server, server.account("juliet").user, "pw of juliet")
    assert s.features.find(FEATURE) is None


def test_an_account_is_made(server):
    """3.1: the fields; the account; it is there for authentication on the same stream"""
    user = name(server, "juliet")
    s = newcomer(server, user=user)
    answer = s.request(query())
    assert answer.get("type") == "result" and answer.get("to") is None, xml.show(answer)
    q = answer.find(f"{{{NS}}}query")
    assert [c.tag for c in q] == [f"{{{NS}}}{n}" for n in ("instructions", "username", "password")] \
        + ["{jabber:x:data}x"]
    assert not q.find(f"{{{NS}}}username").text
    done(s, fields(user), to="example.net")
    s.authenticate().open().bind()
    s.presence()
    s.expect("<presence/>")
    s.expect("<message from='example.net'><subject>Welcome</subject><body>Hello there</body></message>")
    assert count(server, "users", user) > 0


def test_who_watches(server):
    watcher = online(server.stream(server.register("watcher")).login())
    user = name(server, "juliet")
    done(newcomer(server), fields(user))
    got = watcher.expect("<message type='chat' from='example.net'/>")
    text = got.find(f"{{{xml.NS_CLIENT}}}body").text
    assert f"{user}@example.net" in text and "127.0.0.1" in text
    server.ctl("unregister", "watcher", "example.net")


def test_everything_at_once(server):
    """Who does not wait for the answer is not read until it has come"""
    user = name(server, "juliet")
    s = newcomer(server, user=user)
    s.send(f"<iq type='set' id='r'>{fields(user)}</iq>")
    s.sasl_send("auth", sasl.plain(user, "secret", ""), "PLAIN")
    s.expect("<iq type='result' id='r'/>")
    s.sasl_next("success")
    s.open().bind()


def test_a_form(server):
    """4: the data form"""
    user = name(server, "juliet")
    s = newcomer(server, user=user)
    done(s, form("cancel"))
    refused(s, form("result", username=user, password="secret"), "bad-request")
    refused(s, form(username=user), "not-acceptable")
    done(s, form(username=user, password="secret"))
    s.authenticate().open().bind()


def test_names(server):
    """3.1: conflict, not-acceptable; Nodeprep"""
    user = name(server, "juliet")
    done(newcomer(server), fields(user.upper()))
    enter(server, user)
    for text, condition in (
            (fields(user), "conflict"), (fields(user.upper(), "other"), "conflict"),
            (fields(None), "not-acceptable"), (fields(""), "not-acceptable"),
            (fields(user + "x", None), "not-acceptable"), (fields(user + "x", ""), "not-acceptable"),
            (fields("ju@liet"), "not-acceptable"), (fields("x" * 1024), "not-acceptable"),
            (fields(user + "x", "a\u2028b"), "not-acceptable"),
            (fields("admin-" + user), "forbidden"), (query(), "not-acceptable"),
            (query("<remove/>"), "unexpected-request")):
        refused(newcomer(server), text, condition)
    enter(server, user)
    assert count(server, "users", user + "x") == 0


def test_what_else_comes_early(server):
    """RFC 6120, 7.1; and no more than some requests"""
    for text in ("<iq type='get' id='a'><query xmlns='jabber:iq:roster'/></iq>",
                 f"<iq type='get'>{query()}</iq>", f"<iq type='result' id='a'>{query()}</iq>",
                 f"<iq type='get' id='a' to='juliet@example.net'>{query()}</iq>",
                 f"<iq type='get' id='a' to='plain.example'>{query()}</iq>",
                 "<message to='juliet@example.net'><body>a</body></message>"):
        newcomer(server).send(text).expect_error("not-authorized")
    s = newcomer(server)
    for _ in range(10):
        assert s.request(query()).get("type") == "result"
    s.send(f"<iq type='get' id='a'>{query()}</iq>").expect_error("policy-violation")


def test_hosts_with_rules(server):
    user = name(server, "juliet")
    s = newcomer(server, "redirect.example")
    answer = s.request(query())
    oob = "<x xmlns='jabber:x:oob'><url>https://redirect.example/new</url></x>"
    assert xml.matches(xml.pattern(f"<iq type='result'>{query('<instructions/>' + oob)}</iq>"),
                       answer), xml.show(answer)
    refused(s, fields(user), "not-allowed")
    for host in ("closed.example", "captcha.example"):
        refused(newcomer(server, host), query(), "not-allowed", "get")
        refused(newcomer(server, host), fields(user), "not-allowed")
    refused(newcomer(server, "elsewhere.example"), query(), "forbidden", "get")
    refused(newcomer(server, "elsewhere.example"), fields(user), "forbidden")
    s = newcomer(server, "strong.example")
    refused(s, fields(user, "short"), "not-acceptable")
    done(s, fields(user, "Correct horse: 8 staples"))
    s = enter(server, user, "Correct horse: 8 staples", "strong.example")
    refused(s, fields(user, "short"), "not-acceptable")
    s = newcomer(server, "plain.example", user, until="open")
    assert s.features.find(FEATURE) is not None
    done(s, fields(user))
    refused(newcomer(server, until="open"), query(), "not-authorized", "get")


def test_not_too_often(make_server):
    """registration_timeout: one account per address, and per user who makes them"""
    server = make_server(config={"modules": MODULES, **RULES, "registration_timeout": 600})
    server.register("juliet")
    helper = server.stream(server.register("helper")).login()
    refused(newcomer(server), fields("juliet"), "conflict")  # has not made any
    done(newcomer(server), fields("romeo"))
    for i in range(4):
        refused(newcomer(server), fields(f"romeo{i}"), "resource-constraint")
    done(helper, fields("nurse"))
    refused(helper, fields("friar"), "resource-constraint")
    enter(server, "nurse")


# One's own account


def test_who_is_registered(server):
    """3.1"""
    juliet = server.stream("juliet").login()
    for to in (None, "example.net"):
        q = juliet.request(query(), to=to).find(f"{{{NS}}}query")
        assert q.find(f"{{{NS}}}registered") is not None
        assert q.find(f"{{{NS}}}username").text == juliet.user
        assert not q.find(f"{{{NS}}}password").text
    answer = juliet.request("<query xmlns='http://jabber.org/protocol/disco#info'/>", to="example.net")
    assert NS in [f.get("var") for f in answer[0]]


def test_another_password(server):
    """3.3"""
    juliet = server.stream("juliet").login()
    other = server.account("romeo")
    for text, condition in (
            (fields(None, "new"), "bad-request"), (fields(juliet.user, None), "bad-request"),
            (fields(juliet.user, ""), "bad-request"), (fields(other.user, "new"), "forbidden"),
            (fields(juliet.user, "a\u2028b"), "not-acceptable")):
        refused(juliet, text, condition)
    enter(server, juliet.user, juliet.password)
    done(juliet, fields(juliet.user.upper(), "new"), to="example.net")
    enter(server, juliet.user, "new")
    with pytest.raises(SaslFailure):
        enter(server, juliet.user, juliet.password)
    for i in range(3):
        juliet.send(f"<iq type='set' id='p{i}'>{form(username=juliet.user, password=f'new{i}')}</iq>")
    for i in range(3):
        juliet.expect(f"<iq type='result' id='p{i}'/>")
    enter(server, juliet.user, "new2")
    enter(server, other.user, other.password)


def test_for_somebody_else(server):
    """access_from"""
    helper = server.stream(server.register("helper")).login()
    user = name(server, "nurse")
    done(helper, fields(user))
    refused(helper, fields(user), "conflict")
    enter(server, user)
    server.ctl("unregister", "helper", "example.net")


def test_the_end_of_an_account(server):
    """3.2: subscriptions end, sessions end, nothing is kept"""
    juliet, romeo = (online(s) for s in server.pair())
    befriend(juliet, romeo)
    other = online(server.stream("juliet", worker=1, resource="other").login())
    for s in (juliet, romeo):
        s.expect(f"<presence from='{other.full}'/>")
        other.expect("<presence/>")
    answer = juliet.request("<query xmlns='jabber:iq:private'><a xmlns='urn:a'>b</a></query>", "set")
    assert answer.get("type") == "result"
    refused(juliet, query("<remove/><username/>"), "bad-request")
    juliet.send(f"<iq type='set' id='end'>{query('<remove/>')}</iq>")
    ends(juliet, "end")
    ends(other)
    seen = []  # a session may say twice that it is gone: to a former contact, and at its end
    while not {"none", "unsubscribe", "unsubscribed", juliet.full, other.full} <= set(seen):
        got = romeo.next()
        kind = got.get("type")
        seen.append(got[0][0].get("subscription") if got.tag.endswith("iq")
                    else got.get("from") if kind == "unavailable" else kind)
    assert [k for k in seen if k in ("to", "none")] == ["to", "none"]
    romeo.send(f"<iq type='get' id='roster'><query xmlns='{ROSTER}'/></iq>")
    while (got := romeo.next()).get("id") != "roster":
        assert got.get("type") == "unavailable", xml.show(got)
    assert items(got.find(f"{{{ROSTER}}}query"))[juliet.bare][0] == "none"
    for table in ("users", "rosterusers", "rostergroups", "private_storage", "roster_version"):
        wait.until(lambda: count(server, table, juliet.user) == 0, table)
    with pytest.raises(SaslFailure):
        enter(server, juliet.user, juliet.password)
    done(newcomer(server), fields(juliet.user, "again"))
    enter(server, juliet.user, "again")


def test_who_may_not_end_his_account(server):
    """access_remove"""
    account = server.register(name(server, "juliet"), "closed.example")
    s = server.stream(account).login()
    refused(s, query("<remove/>"), "forbidden")
    done(s, fields(account.user, "new"))


# Processes die


@pytest.mark.parametrize("role", ["worker", "auth", "sql"])
def test_killed_while_an_account_is_made(server, role):
    """It is made once, and whoever made it is told so"""
    user = name(server, "juliet")
    s = newcomer(server, user=user)
    stop = [p["pid"] for p in server.processes("auth")] if role == "worker" else []
    victims = [p["pid"] for p in server.processes(role)]
    for pid in stop or victims:
        os.kill(pid, signal.SIGSTOP)
    s.send(f"<iq type='set' id='r'>{fields(user)}</iq>")
    if role == "worker":
        wait.until(lambda: "FEATURES -> IQ_WAIT" in server.log(), "the request")
        server.kill_workers()
        for pid in stop:
            os.kill(pid, signal.SIGCONT)
    else:
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
    s.expect("<iq type='result' id='r'/>")
    s.authenticate().open().bind()


def test_the_answer_is_lost(server):
    """The account is there, and nobody knows: asked again, it is no conflict"""
    user = name(server, "juliet")
    s = newcomer(server, user=user)
    sql, auth = (server.processes(role)[0]["pid"] for role in ("sql", "auth"))
    os.kill(sql, signal.SIGSTOP)
    s.send(f"<iq type='set' id='r'>{fields(user)}</iq>")
    time.sleep(0.3)  # auth has asked; if not, this tests less
    os.kill(auth, signal.SIGSTOP)
    os.kill(sql, signal.SIGCONT)
    deadline = time.monotonic() + 3
    while count(server, "users", user) == 0 and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(auth, signal.SIGKILL)
    s.patience = 30
    s.expect("<iq type='result' id='r'/>")
    s.authenticate().open().bind()


@pytest.mark.parametrize("role", ["worker", "auth"])
def test_killed_while_an_account_ends(server, role):
    juliet, romeo = (online(s) for s in server.pair())
    befriend(juliet, romeo)
    auth = server.processes("auth")[0]["pid"]
    os.kill(auth, signal.SIGSTOP)
    juliet.send(f"<iq type='set' id='end'>{query('<remove/>')}</iq>")
    while romeo.next().get("type") != "unsubscribed":
        pass
    if role == "worker":
        server.kill_workers()
        os.kill(auth, signal.SIGCONT)
    else:
        os.kill(auth, signal.SIGKILL)
    ends(juliet, "end")
    for table in ("users", "rosterusers"):
        wait.until(lambda: count(server, table, juliet.user) == 0, table)


def test_killed_while_a_password_changes(server):
    juliet = server.stream("juliet").login()
    auth = server.processes("auth")[0]["pid"]
    os.kill(auth, signal.SIGSTOP)
    juliet.send(f"<iq type='set' id='p'>{fields(juliet.user, 'new')}</iq>")
    juliet.expect_nothing()
    server.kill_workers()
    os.kill(auth, signal.SIGKILL)
    juliet.expect("<iq type='result' id='p'/>")
    enter(server, juliet.user, "new")
