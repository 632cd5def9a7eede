"""estate_contacts.py -- accounts, rosters with every state, shared groups, last activity"""
import time

import pytest

from . import wait, xml
from .estate import NS, Part, get, put, roster, settle, some, soon
from .server import Account
from .stream import SaslFailure


class Accounts(Part):
    """Passwords in the clear and as SCRAM keys, and a name that is not ASCII"""

    PLAIN = "gehe<im> & Zoë"

    def write(self, world):
        world.server.reconfigure(auth_password_format="plain")
        world.account("old", self.PLAIN)
        world.server.reconfigure(auth_password_format="scram")
        for user in ("scram", "zoë", "forgetful", "goner"):
            world.account(user)

    def look(self, world):
        self.can(world, "old", self.PLAIN)
        self.can(world, "scram", "pw of scram")
        self.can(world, "zoë", "pw of zoë")
        self.can(world, "forgetful", "pw of forgetful")
        self.can(world, "goner", "pw of goner")

    def change(self, world):
        world.command("register", user="new", host=world.host, password="brand new")
        world.command("change_password", user="forgetful", host=world.host, newpass="remembered")
        world.command("unregister", user="goner", host=world.host)

    def look_changed(self, world):
        self.can(world, "old", self.PLAIN)
        self.can(world, "scram", "pw of scram")
        self.can(world, "new", "brand new")
        self.can(world, "forgetful", "remembered")
        self.cannot(world, "forgetful", "pw of forgetful")
        self.cannot(world, "goner", "pw of goner")

    def can(self, world, user, password):
        for mechanism in ("SCRAM-SHA-1", "PLAIN"):
            self.stream(world, user, password).login(mechanism=mechanism)
        self.cannot(world, user, password + " not")

    def cannot(self, world, user, password):
        with pytest.raises(SaslFailure):
            self.stream(world, user, password).login(mechanism="PLAIN")

    @staticmethod
    def stream(world, user, password):
        return world.server.stream(Account(user, world.host, password))


SHARED = {"help": "Zażółć \"gęślą\" \\ jaźń", "capulet-a": "House of Capulet",
          "capulet-b": "House of Capulet"}


class Roster(Part):
    modules = ("mod_roster",)

    NAME = "\"Peter\" & <O'Brien> \\ Żółć \U0001F339"
    WISH = "I'd like to\n marry & so on \u017c\u00f3"

    def write(self, world):
        names = "romeo mercutio tybalt benvolio paris gremio lawrence rosaline escalus".split()
        talk = {n: world.enter(n)[0] for n in ["juliet"] + names}
        juliet = talk["juliet"]
        item(juliet, world.bare("romeo"), "Romeo", "Friends", "Montague")
        item(juliet, world.bare("mercutio"), "Mercutio")
        item(juliet, world.bare("peter"), self.NAME, "Zoë's \\ group", "a,b", "{}")
        item(juliet, "conference.example.org", "Rooms", "Services")
        item(juliet, "someone@example.org/Full Res", "With resource")

        def say(a, b, kind, status=""):
            status = f"<status>{xml.escape(status)}</status>" if status else ""
            talk[a].send(f"<presence to='{world.bare(b)}' type='{kind}'>{status}</presence>")
            settle(talk[a], talk[b])

        for n in ("romeo", "mercutio", "lawrence"):
            say("juliet", n, "subscribe")
            say(n, "juliet", "subscribed")
        for n in ("romeo", "tybalt", "rosaline"):
            say(n, "juliet", "subscribe", "answered, so forgotten")
            say("juliet", n, "subscribed")
        say("juliet", "rosaline", "subscribe", "please")
        say("lawrence", "juliet", "subscribe", "let me <in>")
        say("juliet", "benvolio", "subscribe")
        say("paris", "juliet", "subscribe", self.WISH)
        say("gremio", "juliet", "subscribe")
        say("juliet", "escalus", "subscribe")
        say("escalus", "juliet", "subscribe", "order!")

    def look(self, world):
        juliet, came = world.enter("juliet")
        self.wants(juliet, came, world, paris=self.WISH, gremio=None, escalus="order!",
                   lawrence="let me <in>")
        b = world.bare
        none = frozenset()
        self.see(juliet, {
            b("romeo"): ("Romeo", "both", "", frozenset(["Friends", "Montague"])),
            b("mercutio"): ("Mercutio", "to", "", none),
            b("peter"): (self.NAME, "none", "", frozenset(["Zoë's \\ group", "a,b", "{}"])),
            "conference.example.org": ("Rooms", "none", "", frozenset(["Services"])),
            "someone@example.org/Full Res": ("With resource", "none", "", none),
            b("lawrence"): ("", "to", "", none),
            b("tybalt"): ("", "from", "", none),
            b("rosaline"): ("", "from", "subscribe", none),
            b("benvolio"): ("", "none", "subscribe", none),
            b("escalus"): ("", "none", "subscribe", none)})
        benvolio, came = world.enter("benvolio")
        self.wants(benvolio, came, world, juliet=None)
        self.see(benvolio, {})
        paris, _ = world.enter("paris")
        self.see(paris, {b("juliet"): ("", "none", "subscribe", none)})

    def change(self, world):
        juliet, _ = world.enter("juliet")
        b = world.bare
        item(juliet, b("romeo"), "Romeo M.", "Husband")
        item(juliet, b("new"), "N & N", "x", "ż")
        put(juliet, f"<query xmlns='{NS['roster']}'>"
                    f"<item jid='{b('peter')}' subscription='remove'/></query>")
        for to, kind in (("paris", "subscribed"), ("gremio", "unsubscribed"),
                         ("mercutio", "unsubscribe"), ("tybalt", "unsubscribed"),
                         ("lawrence", "subscribed")):
            juliet.send(f"<presence to='{b(to)}' type='{kind}'/>")
        settle(juliet)
        suitor, _ = world.enter("suitor")
        suitor.send(f"<presence to='{b('juliet')}' type='subscribe'>"
                    f"<status>{xml.escape(self.WISH)}</status></presence>")
        settle(suitor, juliet)

    def look_changed(self, world):
        juliet, came = world.enter("juliet")
        self.wants(juliet, came, world, suitor=self.WISH, escalus="order!")
        b = world.bare
        none = frozenset()
        self.see(juliet, {
            b("romeo"): ("Romeo M.", "both", "", frozenset(["Husband"])),
            b("new"): ("N & N", "none", "", frozenset(["x", "ż"])),
            b("mercutio"): ("Mercutio", "none", "", none),
            "conference.example.org": ("Rooms", "none", "", frozenset(["Services"])),
            "someone@example.org/Full Res": ("With resource", "none", "", none),
            b("lawrence"): ("", "both", "", none),
            b("tybalt"): ("", "none", "", none),
            b("rosaline"): ("", "from", "subscribe", none),
            b("benvolio"): ("", "none", "subscribe", none),
            b("paris"): ("", "from", "", none),
            b("escalus"): ("", "none", "subscribe", none)})
        for user, subscription in (("paris", "to"), ("mercutio", "none"), ("tybalt", "none"),
                                   ("gremio", "none"),
                                   ("lawrence", "both"), ("romeo", "both")):
            s, _ = world.enter(user)
            self.see(s, {b("juliet"): ("", subscription, "", none)})

    @staticmethod
    def see(s, wanted):
        got = {jid: i for jid, i in roster(s).items() if jid.partition("@")[0] not in SHARED}
        assert got == wanted

    @staticmethod
    def wants(s, came, world, **requests):
        """
        RFC 6121, 3.1.3: requests that are not answered come at each log-in, as they were.
        came is what has come since; nothing else may have been asked meanwhile.
        """
        def there():
            if len(some(came, "<presence type='subscribe'/>")) < len(requests):
                came.extend(settle(s))
            return len(some(came, "<presence type='subscribe'/>")) >= len(requests)
        wait.until(there, "the requests that are not answered")
        got = {e.get("from"): e.findtext("c:status", None, NS)
               for e in some(came, "<presence type='subscribe'/>")}
        assert got == {world.bare(user): status for user, status in requests.items()}


def item(s, jid, name, *groups):
    groups = "".join(f"<group>{xml.escape(g)}</group>" for g in groups)
    put(s, f"<query xmlns='{NS['roster']}'><item jid='{xml.escape(jid)}' name='{xml.escape(name)}'>"
           f"{groups}</item></query>")


class SharedRoster(Part):
    """Groups that see themselves, and one that everybody sees"""

    modules = ("mod_roster", "mod_shared_roster")

    def write(self, world):
        h = world.host

        def group(name, label, display, *members):
            world.command("srg_create", group=name, host=h, label=label,
                          description="line 1 é", display=display)
            for m in members:
                world.command("srg_user_add", user=m, host=h, group=name, grouphost=h)

        for user in ("capulet-a", "capulet-b", "help", "anybody"):
            world.account(user)
        group("capulet", SHARED["capulet-a"], "capulet", "capulet-a", "capulet-b")
        group("staff", SHARED["help"], "", "help")
        group("everybody", "Everybody", "staff", "@all@")

    def look(self, world):
        anybody, _ = world.enter("anybody")
        everyone = {world.bare("help"): ("", "both", "", frozenset([SHARED["help"]]))}
        assert roster(anybody) == everyone
        a, _ = world.enter("capulet-a")
        assert roster(a) == {**everyone, world.bare("capulet-b"): (
            "", "both", "", frozenset([SHARED["capulet-b"]]))}
        b, came = world.enter("capulet-b")
        soon(b, came, f"<presence from='{a.full}'/>")
        soon(a, [], f"<presence from='{b.full}'/>")


class Last(Part):
    modules = ("mod_last", "mod_roster")

    def write(self, world):
        for user in ("watcher", "sleeper", "gone", "never"):
            world.account(user)
        for user in ("sleeper", "gone", "never"):
            world.befriend("watcher", user)
        self.sleep(world, "gone to bed é <x>")
        world.leave(world.enter("gone")[0])
        world.notes["Last"] = {u: int(time.time()) for u in ("sleeper", "gone", "never")}

    def look(self, world, status="gone to bed é <x>"):
        watcher, _ = world.enter("watcher")
        for user in ("sleeper", "gone", "never"):
            query = get(watcher, f"<query xmlns='{NS['last']}'/>", world.bare(user))
            seconds = int(time.time()) - world.notes["Last"][user]
            assert abs(int(query.get("seconds")) - seconds) <= 3, (user, xml.show(query), seconds)
            if user == "sleeper":
                assert query.text == status

    def change(self, world):
        time.sleep(1)  # the resolution of what is kept
        self.sleep(world, "Żzz")
        world.notes["Last"]["sleeper"] = int(time.time())

    def look_changed(self, world):
        self.look(world, "Żzz")

    @staticmethod
    def sleep(world, status):
        s, _ = world.enter("sleeper")
        s.send(f"<presence type='unavailable'><status>{xml.escape(status)}</status></presence>")
        world.leave(s)
