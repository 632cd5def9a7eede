"""roster.py -- what tests of contact lists and subscriptions say to a server"""
from . import xml

NS = "jabber:iq:roster"


def query(inner="", ver=None):
    ver = "" if ver is None else f" ver='{xml.escape(ver)}'"
    return f"<query xmlns='{NS}'{ver}>{inner}</query>"


def item(jid, inner="", **attributes):
    text = "".join(f" {k}='{xml.escape(v)}'" for k, v in attributes.items())
    return f"<item jid='{xml.escape(jid)}'{text}>{inner}</item>"


def get(s, ver=None):
    """The query of the answer; None: nothing has changed. The session gets pushes then."""
    answer = s.request(query(ver=ver))
    assert answer.get("type") == "result", xml.show(answer)
    return answer.find(f"{{{NS}}}query")


def items(q):
    """{jid: (subscription, ask, name, groups, approved)}"""
    return {i.get("jid"): (i.get("subscription"), i.get("ask"), i.get("name"),
                           sorted(g.text for g in i), i.get("approved")) for i in q}


def interested(s):
    get(s)
    return s


def take_push(s, pattern=""):
    """The next element must be a push; its query."""
    got = s.expect(f"<iq type='set' from='{s.bare}' to='{s.full}'>{query(pattern)}</iq>")
    q = got.find(f"{{{NS}}}query")
    assert len(q) == 1, xml.show(got)
    s.send(f"<iq type='result' id='{got.get('id')}'/>")
    return q


def change(s, text, *others, pattern=""):
    """A roster set that succeeds: the answer, then pushes to this session and the others."""
    i = s.next_id()
    s.send(f"<iq type='set' id='{i}'>{query(text)}</iq>")
    s.expect(f"<iq type='result' id='{i}'/>")
    return [take_push(other, pattern) for other in (s, *others)][0]


def refused(s, text, condition):
    answer = s.request(query(text), "set")
    pattern = xml.pattern(f"<iq type='error'><error><{condition}/></error></iq>")
    assert xml.matches(pattern, answer), f"{text}: {xml.show(answer)}"


def subscription(s, kind, to, inner=""):
    s.send(f"<presence type='{kind}' to='{xml.escape(to)}'>{inner}</presence>")


def befriend(a, b):
    """Two online, interested sessions of two accounts become contacts, both ways."""
    for x, y in ((a, b), (b, a)):
        subscription(x, "subscribe", y.bare)
        take_push(x, item(y.bare, ask="subscribe"))
        y.expect(f"<presence type='subscribe' from='{x.bare}'/>")
        subscription(y, "subscribed", x.bare)
        take_push(y, item(x.bare))
        x.expect(f"<presence type='subscribed' from='{y.bare}'/>")
        take_push(x, item(y.bare))
        x.expect(f"<presence from='{y.full}'/>")


def online(s):
    """Interested and available: back when it has its own presence."""
    interested(s)
    s.presence()
    s.expect(f"<presence from='{s.full}'/>")
    return s


def take_until_pushes(s, n):
    """
    What comes up to so many pushes: their subscriptions, and what else, without repetition.
    Who came online just before may hear twice that somebody is not to be seen any more.
    """
    pushes, others = [], []
    while len(pushes) < n:
        got = s.next()
        if got.tag.endswith("iq"):
            pushes.append(got[0][0].get("subscription"))
        elif (got.get("type"), got.get("from")) not in others:
            others.append((got.get("type"), got.get("from")))
    return pushes, sorted(others, key=str)


def expect_nothing_but_unavailable(s):
    """A round trip; unavailable presence may come before the answer."""
    i = s.next_id()
    s.send(f"<iq type='get' id='{i}' to='{s.host}'><ping xmlns='urn:xmpp:ping'/></iq>")
    while True:
        got = s.next()
        if got.get("id") == i:
            return
        assert got.get("type") == "unavailable", xml.show(got)
