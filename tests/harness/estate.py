"""estate.py -- what one server leaves to its heir: who writes it, and who looks

A Part is one kind of data. It is written through ejabberd itself, never by SQL, and then
looked at through whichever server has the database now:

    part.write(world)           once, by ejabberd
    part.look(world)            by any server, as often as one likes
    part.change(world)          once, by any server
    part.look_changed(world)    by any server after that

No part has accounts in common with another, so that none has to know what the others did.
"""
from . import wait, xml
from .server import Account

NS = {
    "roster": "jabber:iq:roster", "vcard": "vcard-temp", "private": "jabber:iq:private",
    "privacy": "jabber:iq:privacy", "last": "jabber:iq:last", "search": "jabber:iq:search",
    "data": "jabber:x:data", "block": "urn:xmpp:blocking", "mam": "urn:xmpp:mam:2",
    "rsm": "http://jabber.org/protocol/rsm", "forward": "urn:xmpp:forward:0",
    "delay": "urn:xmpp:delay", "sid": "urn:xmpp:sid:0", "c": xml.NS_CLIENT,
}


class Part:
    modules = ()  # without them a server can do nothing with it

    def write(self, world):
        pass

    def look(self, world):
        pass

    change = None  # or a method; look_changed() then sees what it did

    def look_changed(self, world):
        self.look(world)

    @classmethod
    def name(cls):
        return cls.__name__


class World:
    """The accounts, and the server that has them now; phase is "write", "middle" or "after"."""

    def __init__(self, host):
        self.host = host
        self.accounts = {}
        self.server = None
        self.phase = "write"
        self.n_sessions = 0
        self.notes = {}  # what a part wants to remember, under its name

    def bare(self, user):
        return f"{user}@{self.host}"

    def account(self, user, password=None, host=None):
        """Registers it, the first time."""
        host = host or self.host
        if (user, host) not in self.accounts:
            password = password or f"pw of {user}"
            self.command("register", user=user, host=host, password=password)
            self.accounts[user, host] = Account(user, host, password)
        return self.accounts[user, host]

    def command(self, name, **arguments):
        """A command with the names that ejabberd's arguments have, in their order."""
        if hasattr(self.server, "call"):
            answer = self.server.call(name, **arguments)
            assert answer == 0 or not isinstance(answer, int), f"{name} {arguments}: {answer}"
            return answer
        return self.server.ctl(name, *(str(a) for a in arguments.values()))

    def befriend(self, a, b):
        """Both are in each other's roster with subscription both."""
        for x, y in ((a, b), (b, a)):
            self.command("add_rosteritem", localuser=x, localhost=self.host, user=y,
                         host=self.host, nick="", group="", subs="both")

    def login(self, user, host=None):
        """A session more; leave() ends it."""
        self.n_sessions += 1
        return self.server.stream(self.account(user, host=host),
                                  resource=f"r{self.n_sessions}").login()

    def leave(self, *streams):
        """In order, all at once: ejabberd takes a tenth of a second. Without names: everybody"""
        streams = streams or self.server.streams
        for s in streams:
            if s.sock is not None and not s.closed:
                s.footer_sent = True
                s.send_unless_cut("</stream:stream>")
        for s in streams:
            s.close()

    def enter(self, user, host=None):
        """Online, with an interest in the roster; (stream, what the server then sent)"""
        s = self.login(user, host)
        roster(s)
        s.presence()
        return s, settle(s)


# Talking to a server that may say other things in between


def ask(s, inner, kind="get", to=None):
    """(the answer to an IQ, what came before it)"""
    i = s.next_id()
    to = f" to='{to}'" if to else ""
    s.send(f"<iq type='{kind}' id='{i}'{to}>{inner}</iq>")
    before = []
    while True:
        e = s.next()
        if e.tag == f"{{{xml.NS_CLIENT}}}iq" and e.get("id") == i \
                and e.get("type") in ("result", "error"):
            return e, before
        before.append(e)


def get(s, inner, to=None):
    """The element in the result."""
    answer, _ = ask(s, inner, to=to)
    assert answer.get("type") == "result" and len(answer) == 1, xml.show(answer)
    return answer[0]


def put(s, inner, to=None):
    """What came before the result."""
    answer, before = ask(s, inner, "set", to)
    assert answer.get("type") == "result", xml.show(answer)
    return before


def settle(*streams):
    """What has come to each by now; what they sent before has been dealt with."""
    found = [ask(s, "<ping xmlns='urn:xmpp:ping'/>", to=s.host)[1] for s in streams]
    return found[0] if len(found) == 1 else found


def await_one(s, text):
    """Skips what comes until there is one like this."""
    wanted = xml.pattern(text)
    while True:
        e = s.next()
        if xml.matches(wanted, e):
            return e


def some(elements, text):
    """Those that match."""
    wanted = xml.pattern(text)
    return [e for e in elements if xml.matches(wanted, e)]


def one(elements, text):
    found = some(elements, text)
    assert len(found) == 1, f"one {text}, not {len(found)}, in {[xml.show(e) for e in elements]}"
    return found[0]


def soon(s, came, text):
    """The one among what came, or what will come: other sessions answer in their own time."""
    found = some(came, text)
    return found[0] if found else await_one(s, text)


def leaves(element):
    """What it says, in no particular order: elements' paths and their texts"""
    found = []

    def walk(e, path):
        path = f"{path}/{e.tag}"
        found.append((path, (e.text or "") if not len(e) else "", tuple(sorted(e.attrib.items()))))
        for child in e:
            walk(child, path)

    walk(element, "")
    return sorted(found)


def roster(s):
    """{jid: (name, subscription, ask, groups)}"""
    return {i.get("jid"): (i.get("name", ""), i.get("subscription"), i.get("ask", ""),
                           frozenset(g.text for g in i))
            for i in get(s, f"<query xmlns='{NS['roster']}'/>")}


def bodies(elements):
    """Texts of the messages."""
    return [e.findtext("c:body", None, NS) for e in some(elements, "<message/>")]


def eventually(question, what):
    """For what a server does after it has answered."""
    return wait.until(question, what, pause=0.1)
