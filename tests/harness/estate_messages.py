"""estate_messages.py -- offline messages, archives, the message of the day"""
import datetime
import time

from . import xml
from .estate import NS, Part, ask, await_one, bodies, eventually, get, one, put, settle, some

TEXT = "First <é> \U0001F339 & 'quo\"te'\nline 2"


def time_of(stamp):
    return datetime.datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()


class Offline(Part):
    """For every phase somebody who has not been there, as to look is to take away"""

    modules = ("mod_offline",)

    def write(self, world):
        for user in ("absent-middle", "absent-after"):
            self.store(world, user)

    def store(self, world, user):
        """Of two senders; each waits until what was sent before is kept."""
        world.account(user)
        talk = [world.login(sender) for sender in ("writer", "writer-2")]
        for s, attributes, inner in (
                (talk[0], "type='chat' id='m1'",
                 f"<body>{xml.escape(TEXT)}</body><thread>t1</thread>"
                 "<request xmlns='urn:xmpp:receipts'/>"),
                (talk[1], "id='m2' xml:lang='de'",
                 "<subject>Betreff</subject><body>Zweite</body>"
                 "<origin-id xmlns='urn:xmpp:sid:0' id='o-2'/>"),
                (talk[0], "type='headline' id='m3'", "<body>news</body>"),
                (talk[0], "type='chat' id='m4'", "<body>last</body>")):
            s.send(f"<message to='{world.bare(user)}' {attributes}>{inner}</message>")
            assert settle(s) == []
        world.notes[user] = time.time(), [s.full for s in talk]

    def look(self, world):
        self.take(world, f"absent-{world.phase}")

    def take(self, world, user):
        kept, senders = world.notes[user]
        s, came = world.enter(user)
        eventually(lambda: came.extend(settle(s)) or len(some(came, "<message/>")) >= 3,
                   "the offline messages")
        messages = [m for m in some(came, "<message/>") if "@" in m.get("from")]
        assert [m.get("id") for m in messages] == ["m1", "m2", "m4"], [xml.show(m) for m in came]
        first, second, _ = messages
        one([first], f"<message from='{senders[0]}' to='{s.bare}' type='chat'><thread>t1</thread>"
                     f"<request xmlns='urn:xmpp:receipts'/></message>")
        assert bodies(messages) == [TEXT, "Zweite", "last"]
        one([second], f"<message from='{senders[1]}' to='{s.bare}' xml:lang='de'>"
                      "<subject>Betreff</subject>"
                      "<origin-id xmlns='urn:xmpp:sid:0' id='o-2'/></message>")
        assert second.get("type", "normal") == "normal"
        stamps = [m.find("delay:delay", NS).get("stamp") for m in messages]
        assert stamps == sorted(stamps)
        for stamp in stamps:
            assert abs(time_of(stamp) - kept) < 5
        s, came = world.enter(user)
        assert [m for m in some(came, "<message/>") if "@" in m.get("from")] == []

    def change(self, world):
        self.store(world, "absent-changed")

    def look_changed(self, world):
        self.take(world, "absent-changed")
        self.look(world)


class Archive(Part):
    """Two archives of one conversation; IDs are for ever"""

    modules = ("mod_mam",)

    def write(self, world):
        antony, cleopatra = world.enter("antony")[0], world.enter("cleopatra")[0]
        self.exchange(antony, cleopatra, "w")
        antony.send(f"<message to='{world.bare('enobarbus')}' type='chat'>"
                    "<body>to a third</body></message>")
        settle(antony)
        put(antony, f"""<prefs xmlns='{NS['mam']}' default='roster'>
            <always><jid>{cleopatra.bare}</jid><jid>żółć@{world.host}</jid></always>
            <never><jid>octavia@example.org</jid></never></prefs>""")
        self.remember(world, antony, cleopatra)

    @staticmethod
    def exchange(a, b, mark):
        for sender, to, text in ((a, b.bare, TEXT), (b, a.full, "Ciao"), (a, b.full, "third")):
            sender.send(f"<message to='{to}' type='chat' id='{mark}-{text[0]}'>"
                        f"<body>{xml.escape(text)}</body>"
                        f"<origin-id xmlns='urn:xmpp:sid:0' id='o-{mark}-{text[0]}'/></message>")
            settle(sender)
            await_one(a if sender is b else b, f"<message id='{mark}-{text[0]}'/>")
        a.send(f"<message to='{b.full}' type='chat'><body>secret</body>"
               "<no-store xmlns='urn:xmpp:hints'/></message>")
        settle(a, b)

    @classmethod
    def remember(cls, world, *streams):
        """As the server that wrote it tells it; that this is right is for its own tests."""
        for s in streams:
            world.notes[s.bare] = cls.read(s)

    def look(self, world):
        antony, cleopatra = world.login("antony"), world.login("cleopatra")
        for s, count in ((antony, 4), (cleopatra, 3)):
            found = self.read(s)
            assert len(found) >= count
            assert found == world.notes[s.bare]
            assert [f[0] for f in found] == sorted(f[0] for f in found)
        assert [f[3] for f in self.read(cleopatra)][:3] == [TEXT, "Ciao", "third"]
        # RSM (XEP-0059) with IDs that ejabberd gave, and a filter
        ids = [f[0] for f in world.notes[antony.bare]]
        page = f"<set xmlns='{NS['rsm']}'><max>2</max><after>{ids[0]}</after></set>"
        assert [f[0] for f in self.read(antony, page)] == ids[1:3]
        assert [f[3] for f in self.read(antony, with_=world.bare("enobarbus"))] == ["to a third"]
        self.prefer(antony, "roster", [f"cleopatra@{world.host}", f"żółć@{world.host}"],
                    ["octavia@example.org"])
        self.prefer(cleopatra, "always", [], [])

    @staticmethod
    def prefer(s, default, always, never):
        prefs = get(s, f"<prefs xmlns='{NS['mam']}'/>")
        assert prefs.get("default") == default
        for kind, wanted in (("always", always), ("never", never)):
            got = [j.text for j in prefs.findall(f"mam:{kind}/mam:jid", NS)]
            assert sorted(got) == sorted(wanted)

    @staticmethod
    def read(s, inner="", with_=None):
        """[(id, from, to, body, origin id)]"""
        if with_:
            inner += (f"<x xmlns='{NS['data']}' type='submit'><field var='FORM_TYPE' type='hidden'>"
                      f"<value>{NS['mam']}</value></field>"
                      f"<field var='with'><value>{with_}</value></field></x>")
        answer, before = ask(s, f"<query xmlns='{NS['mam']}'>{inner}</query>", "set")
        assert answer.get("type") == "result", xml.show(answer)
        found = []
        for e in before:
            result = e.find("mam:result", NS)
            if result is None:
                continue
            message = result.find("forward:forwarded/c:message", NS)
            if "@" not in message.get("from"):
                continue  # the message of the day
            origin = message.find("sid:origin-id", NS)
            stamp = result.find("forward:forwarded/delay:delay", NS).get("stamp")
            assert abs(int(result.get("id")) / 1e6 - time_of(stamp)) < 1  # the ID is the time
            found.append((result.get("id"), message.get("from"), message.get("to"),
                          message.findtext("c:body", None, NS),
                          None if origin is None else origin.get("id")))
        return found

    def change(self, world):
        antony, cleopatra = world.enter("antony")[0], world.enter("cleopatra")[0]
        self.exchange(antony, cleopatra, "c")
        self.grow(world, antony, cleopatra, 3, 3)
        put(cleopatra, f"""<prefs xmlns='{NS['mam']}' default='never'><always/><never>
            <jid>{antony.bare}</jid></never></prefs>""")

        # Other processes hear of it in their own time.
        def unkept():
            self.remember(world, cleopatra)
            antony.send(f"<message to='{cleopatra.full}' type='chat'><body>?</body></message>")
            settle(antony, cleopatra)
            return self.read(cleopatra) == world.notes[cleopatra.bare]
        eventually(unkept, "what is not kept")
        self.remember(world, antony)
        self.exchange(antony, cleopatra, "unkept")
        self.grow(world, antony, cleopatra, 3, 0)

    def grow(self, world, antony, cleopatra, *by):
        """The archives, by so many"""
        old = [world.notes[s.bare] for s in (antony, cleopatra)]
        self.remember(world, antony, cleopatra)
        for s, before, n in zip((antony, cleopatra), old, by):
            now = world.notes[s.bare]
            assert now[:len(before)] == before
            assert len(now) == len(before) + n, "\n".join(map(str, now))

    def look_changed(self, world):
        antony, cleopatra = world.login("antony"), world.login("cleopatra")
        for s in (antony, cleopatra):
            assert self.read(s) == world.notes[s.bare]
        self.prefer(cleopatra, "never", [], [antony.bare])


class Motd(Part):
    """Each user gets it once; for every phase there is one who has not got it yet."""

    modules = ("mod_announce",)
    TEXT = "Maintenance & é tonight"

    def write(self, world):
        for user in ("late-middle", "late-after", "late-changed"):
            world.account(user)
        early, admin = world.enter("early")[0], world.enter("admin")[0]
        self.announce(admin, "motd", self.TEXT)
        self.got(early, self.TEXT)

    @staticmethod
    def announce(admin, node, text):
        admin.send(f"<message to='{admin.host}/announce/{node}'><subject>Hear ye</subject>"
                   f"<body>{xml.escape(text)}</body></message>")
        settle(admin)

    @staticmethod
    def got(s, text):
        e = await_one(s, f"<message from='{s.host}'><subject>Hear ye</subject></message>")
        assert bodies([e]) == [text]

    def look(self, world):
        self.once(world, f"late-{world.phase}", self.TEXT)
        self.never_again(world, "early")

    def once(self, world, user, text):
        s = world.login(user).presence()
        self.got(s, text)
        self.never_again(world, user)

    @staticmethod
    def never_again(world, user):
        s, came = world.enter(user)
        assert some(came, f"<message from='{world.host}'/>") == []

    def change(self, world):
        admin = world.enter("admin")[0]
        self.announce(admin, "motd/update", "Changed: ż")
        # ejabberd deals with it in another process, so that settle() does not tell. Whoever is
        # new gets one of the two.
        eventually(lambda: self.first(world) == ["Changed: ż"], "the new message of the day")
        self.once(world, "late-changed", "Changed: ż")

    @staticmethod
    def first(world):
        """What an account that was never online finds"""
        user = f"newcomer-{len(world.accounts)}"
        s = world.login(user).presence()
        return bodies([await_one(s, f"<message from='{world.host}'/>")])

    def look_changed(self, world):
        """Also who has seen the old one gets what it was changed to."""
        self.once(world, "early", "Changed: ż")
        self.once(world, "late-after", "Changed: ż")
        self.never_again(world, "late-changed")
