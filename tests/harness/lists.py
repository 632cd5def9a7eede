"""lists.py -- what tests of privacy lists and block lists say to a server"""
from . import xml
from .database import sql

NS = "jabber:iq:privacy"
NS_BLOCKING = "urn:xmpp:blocking"
NS_ERRORS = "urn:xmpp:blocking:errors"
MODULES = {"mod_ping": {}, "mod_roster": {}, "mod_privacy": {}, "mod_blocking": {}}


# The database

def execute(server, *statements):
    """Writes as somebody else than the server: each statement with its parameters."""
    for text, *values in statements:
        sql(server, text, *values)


ROSTER = ("insert into rosterusers (username, jid, nick, subscription, approved, ask, askmessage,"
          " server, subscribe, type) values (?, ?, '', ?, ?, 'N', '', 'N', '', 'item')")


def contact(server, account, jid, subscription="B", *groups):
    """A roster item; for an account that is not online."""
    execute(server, (ROSTER, account.user, jid, subscription, False),
            *(("insert into rostergroups (username, jid, grp) values (?, ?, ?)",
               account.user, jid, g) for g in groups))


def friends(server, a, b, groups=()):
    """Two accounts that see each other. groups: where the first one has the second."""
    contact(server, a, b.bare, "B", *groups)
    contact(server, b, a.bare, "B")


# Requests

def item(order, action="deny", kind=None, value=None, *stanzas):
    kind = f" type='{kind}' value='{xml.escape(value)}'" if kind else ""
    return f"<item{kind} action='{action}' order='{order}'>{''.join(f'<{s}/>' for s in stanzas)}</item>"


def query(inner=""):
    return f"<query xmlns='{NS}'>{inner}</query>"


def ok(answer):
    assert answer.get("type") == "result", xml.show(answer)
    return answer


def error(answer, condition, kind=None):
    kind = f" type='{kind}'" if kind else ""
    assert xml.matches(xml.pattern(f"<iq type='error'><error{kind}><{condition}/></error></iq>"),
                       answer), f"{condition}: {xml.show(answer)}"


def ask(s, inner, kind="set"):
    """A request whose answer may come behind pushes: both."""
    i = s.next_id()
    s.send(f"<iq type='{kind}' id='{i}'>{inner}</iq>")
    before = []
    while True:
        got = s.next()
        if got.tag == f"{{{xml.NS_CLIENT}}}iq" and got.get("id") == i:
            return got, before
        before.append(got)


def is_push(got, name=None):
    want = "*" if name is None else xml.escape(name)
    return xml.matches(xml.pattern(f"<iq type='set'>{query(f'''<list name='{want}'/>''')}</iq>"), got)


def set_list(s, name, *items):
    """Makes or replaces a list; the session has its push before the answer."""
    answer, before = ask(s, query(f"<list name='{xml.escape(name)}'>{''.join(items)}</list>"))
    ok(answer)
    assert any(is_push(b, name) for b in before), [xml.show(b) for b in before]
    return [b for b in before if not is_push(b, name)]


def choose(s, what, name=None):
    """Sets or declines the active or the default list; what came with it."""
    name = "" if name is None else f" name='{xml.escape(name)}'"
    answer, before = ask(s, query(f"<{what}{name}/>"))
    ok(answer)
    return before


def names(s):
    """(active, default, all)"""
    q = ok(s.request(query())).find(f"{{{NS}}}query")

    def of(tag):
        return [e.get("name") for e in q if e.tag == f"{{{NS}}}{tag}"]
    assert [e.tag for e in q] == [f"{{{NS}}}{t}" for t in ("active", "default", "list") for _ in of(t)]
    return (of("active") or [None])[0], (of("default") or [None])[0], of("list")


def get_list(s, name):
    """[(order, action, type, value, stanzas)]"""
    q = ok(s.request(query(f"<list name='{xml.escape(name)}'/>"))).find(f"{{{NS}}}query")
    assert len(q) == 1 and q[0].get("name") == name
    return [(int(i.get("order")), i.get("action"), i.get("type"), i.get("value"),
             sorted(c.tag.rpartition("}")[2] for c in i)) for i in q[0]]


# Block lists

def blocklist(s):
    """The addresses; the session gets pushes from now on."""
    q = ok(s.request(f"<blocklist xmlns='{NS_BLOCKING}'/>"))[0]
    assert q.tag == f"{{{NS_BLOCKING}}}blocklist"
    return [i.get("jid") for i in q]


def block_text(what, *jids):
    items = "".join(f"<item jid='{xml.escape(j)}'/>" for j in jids)
    return f"<{what} xmlns='{NS_BLOCKING}'>{items}</{what}>"


def block(s, *jids, what="block"):
    """Returns what came before the answer, but pushes of privacy lists."""
    answer, before = ask(s, block_text(what, *jids))
    ok(answer)
    return [b for b in before if not is_push(b)]


def unblock(s, *jids):
    return block(s, *jids, what="unblock")


# Deliveries

def fence(sender, *receivers):
    """What the sender caused before has come, if it comes at all: through the home, too."""
    for r in receivers:
        i = sender.next_id()
        sender.send(f"<iq type='get' id='{i}' to='{r.full}'><f xmlns='fence'/></iq>")
        got = r.expect(f"<iq type='get' id='{i}' from='{sender.full}'/>")
        r.send(f"<iq type='result' id='{got.get('id')}' to='{sender.full}'/>")
        sender.expect(f"<iq type='result' id='{i}' from='{r.full}'/>")


def goes(sender, receiver, to=None, kind="chat"):
    i = sender.next_id()
    sender.send(f"<message type='{kind}' id='{i}' to='{to or receiver.full}'><body>m</body></message>")
    receiver.expect(f"<message type='{kind}' id='{i}' from='{sender.full}'/>")


def bounces(sender, to, condition="service-unavailable", kind="chat", inner=""):
    i = sender.next_id()
    sender.send(f"<message type='{kind}' id='{i}' to='{to}'><body>m</body></message>")
    return sender.expect(f"<message type='error' id='{i}'><error type='cancel'><{condition}/>{inner}"
                         "</error></message>")


def asks(sender, receiver):
    """A get to a full JID, and its result."""
    i = sender.next_id()
    sender.send(f"<iq type='get' id='{i}' to='{receiver.full}'><q xmlns='x'/></iq>")
    receiver.expect(f"<iq type='get' id='{i}' from='{sender.full}'/>")
    receiver.send(f"<iq type='result' id='{i}' to='{sender.full}'/>")
    sender.expect(f"<iq type='result' id='{i}' from='{receiver.full}'/>")


def is_refused(sender, to):
    """A get is answered as if nobody were there."""
    answer = sender.request("<q xmlns='x'/>", to=to)
    error(answer, "service-unavailable", "cancel")


def drain(s):
    """What has come up to now."""
    i = s.next_id()
    s.send(f"<iq type='get' id='{i}' to='{s.host}'><ping xmlns='urn:xmpp:ping'/></iq>")
    came = []
    while True:
        got = s.next()
        if got.tag == f"{{{xml.NS_CLIENT}}}iq" and got.get("id") == i:
            return came
        came.append(got)


def come(server, name, resource=None, slot=None, until="online"):
    """One more session, available, with all that it hears at first behind it."""
    options = {} if slot is None else {"worker": sorted(server.worker_connections())[slot]}
    s = server.stream(name, resource=resource, **options).login()
    if until == "online":
        s.presence()
        while s.next().get("from") != s.full:
            pass
        drain(s)
    return s


def two(server, a="juliet", b="romeo", subscriptions="BB", groups=()):
    """
    Sessions of two accounts, in two workers, available; what each has in its roster of the
    other: B both, T to, F from, N none, - no item. groups: of b in the roster of a.
    """
    x, y = server.account(a), server.account(b)
    for who, other, kind, grp in ((x, y, subscriptions[0], groups), (y, x, subscriptions[1], ())):
        if kind != "-":
            contact(server, who, other.bare, kind, *grp)
    first, second = come(server, a, slot=0), come(server, b, slot=1)
    if subscriptions[0] in "BT" and subscriptions[1] in "BF":
        first.expect(f"<presence from='{second.full}'/>")
    return first, second


def unavailable(s, sender):
    s.expect(f"<presence type='unavailable' from='{sender}'/>")


def available(s, sender):
    got = s.expect(f"<presence from='{sender}'/>")
    assert got.get("type") is None, xml.show(got)


def until_message(s, sender):
    """What comes before a message that the sender sends now, through the home of its account."""
    i = sender.next_id()
    sender.send(f"<message type='headline' id='{i}' to='{s.full}'/>")
    came = []
    while True:
        got = s.next()
        if got.tag == f"{{{xml.NS_CLIENT}}}message" and got.get("id") == i:
            return came
        came.append(got)
