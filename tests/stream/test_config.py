"""The configuration file: ejabberd's language, and what it says about mistakes"""
import re
import subprocess

import pytest
import yaml

from harness import certs, wait
from harness.server import BUILD, ROOT

MINIMAL = {"hosts": ["example.net"]}


@pytest.fixture
def check(tmp_path):
    """check(text) -> (exit code, what was printed) of stanzad -t"""
    def run(text, name="stanzad.yml", **files):
        for other, content in files.items():
            (tmp_path / f"{other}.yml").write_text(content)
        path = tmp_path / name
        path.write_text(text if isinstance(text, str) else yaml.safe_dump(text, sort_keys=False))
        p = subprocess.run([f"{BUILD}/stanzad", "-t", "-c", str(path)], text=True, cwd=tmp_path,
                           capture_output=True, timeout=wait.PATIENCE)
        return p.returncode, p.stdout + p.stderr
    return run


def test_a_good_file(check):
    status, out = check(MINIMAL)
    assert status == 0, out
    assert "example.net" in out


def test_the_shipped_example(check, tmp_path):
    """etc/stanzad.yml needs no change but a certificate"""
    with open(f"{ROOT}/etc/stanzad.yml") as f:
        text = f.read()
    certs.make(tmp_path / "example.pem", ["example.org"])
    status, out = check(re.sub(r"/etc/stanzad/certs/\S*", f"{tmp_path}/example.pem", text))
    assert status == 0, out
    assert "error:" not in out and "no effect" not in out, out


# What is wrong, and what the message must name: the line, and a word that helps.
MISTAKES = {
    "unknown option": ("hosts: [a.example]\nloglevle: info\n", [":2:", "loglevle", "loglevel"]),
    "unknown option of a listener": (
        "hosts: [a.example]\nlisten:\n  -\n    port: 5222\n    module: ejabberd_c2s\n"
        "    startls: true\n", [":6:", "startls", "starttls"]),
    "unknown module": ("hosts: [a.example]\nmodules:\n  mod_pinng: {}\n", [":3:", "mod_ping"]),
    "unknown option of a module": (
        "hosts: [a.example]\nmodules:\n  mod_ping:\n    send_ping: true\n", [":4:", "send_pings"]),
    "bad boolean": ("hosts: [a.example]\nsql_ssl: maybe\n", [":2:", "sql_ssl"]),
    "bad number": ("hosts: [a.example]\nsql_port: 70000\n", [":2:", "sql_port"]),
    "number in quotes": ("hosts: [a.example]\nsql_port: \"5432\"\n", [":2:", "sql_port"]),
    "bad time": ("hosts: [a.example]\nnegotiation_timeout: 5 parsecs\n", [":2:", "negotiation_timeout"]),
    "bad word": ("hosts: [a.example]\nauth_password_format: rot13\n",
                 [":2:", "auth_password_format", "scram"]),
    "bad log level": ("hosts: [a.example]\nloglevel: loud\n", [":2:", "loglevel"]),
    "no hosts": ("loglevel: info\n", ["hosts"]),
    "bad host": ("hosts: [\"a b\"]\n", [":1:"]),
    "bad YAML": ("hosts: [a.example\nloglevel: info\n", [":"]),
    "tabs": ("hosts:\n\t- a.example\n", [":2:"]),
    "duplicate option": ("hosts: [a.example]\nlanguage: en\nlanguage: de\n", [":3:", "language"]),
    "list instead of a map": ("- hosts\n", [":1:"]),
    "unknown shaper": (
        "hosts: [a.example]\nlisten:\n  -\n    port: 5222\n    module: ejabberd_c2s\n    shaper: none\n"
        "shaper:\n  normal: fast\n", [":8:", "rate", "fast"]),
    "circular macros": ("hosts: [a.example]\ndefine_macro:\n  A: B\n  B: A\nlanguage: A\n", ["A"]),
    "missing include": ("hosts: [a.example]\ninclude_config_file: nowhere.yml\n", [":2:", "nowhere.yml"]),
    "global option in host_config": (
        "hosts: [a.example]\nhost_config:\n  a.example:\n    workers: 3\n", [":4:", "workers"]),
    "TLS without a certificate": (
        "hosts: [a.example]\nlisten:\n  -\n    port: 5223\n    module: ejabberd_c2s\n    tls: true\n",
        [":4:", "certfiles"]),
    "listener without port": (
        "hosts: [a.example]\nlisten:\n  -\n    module: ejabberd_c2s\n", ["port"]),
    "listener without module": ("hosts: [a.example]\nlisten:\n  -\n    port: 5222\n", ["module"]),
    "two listeners on one port": (
        "hosts: [a.example]\nlisten:\n  -\n    port: 5222\n    module: ejabberd_c2s\n"
        "  -\n    port: 5222\n    module: ejabberd_c2s\n", ["5222"]),
    "bad acl": ("hosts: [a.example]\nacl:\n  admin:\n    usr: x\n", [":4:", "user"]),
    "no workers": ("hosts: [a.example]\nworkers: 0\n", [":2:", "workers"]),
}


@pytest.mark.parametrize("case", MISTAKES, ids=lambda c: c.replace(" ", "-"))
def test_mistakes(check, case):
    """An error names file, line, column and, where there is one, the nearest known name"""
    text, words = MISTAKES[case]
    status, out = check(text)
    assert status != 0
    for word in words:
        assert word in out, out


# What is only odd: accepted, with a warning that names the place.
ODDITIES = {
    "host_config of no host": (
        "hosts: [a.example]\nhost_config:\n  b.example:\n    language: de\n", [":3:", "b.example"]),
    "missing certificate": ("hosts: [a.example]\ncertfiles: [/nonexistent/x.pem]\n", [":2:", "x.pem"]),
    "no listener": ("hosts: [a.example]\n", ["listener"]),
    "old name": ("hosts: [a.example]\nnew_sql_schema: true\n", [":2:", "sql_schema_multihost"]),
    "gone": ("hosts: [a.example]\nwatchdog_admins: [a@a.example]\n", [":2:", "watchdog_admins"]),
}


@pytest.mark.parametrize("case", ODDITIES, ids=lambda c: c.replace(" ", "-"))
def test_oddities(check, case):
    """ejabberd starts with these, so do we"""
    text, words = ODDITIES[case]
    status, out = check(text)
    assert status == 0, out
    warnings = [line for line in out.splitlines() if "warning:" in line]
    assert any(all(w in line for w in words) for line in warnings), out


def test_known_options_without_effect_are_accepted(check):
    """With a warning that says so"""
    status, out = check({**MINIMAL, "s2s_timeout": "1 hour", "oauth_expire": 3600,
                         "ldap_base": "dc=example"})
    assert status == 0, out
    for name in ("s2s_timeout", "oauth_expire", "ldap_base"):
        assert any(name in line and "no effect" in line for line in out.splitlines()), out


def test_a_file_of_ejabberd(check, tmp_path):
    """The one that upstream ships is understood as it is, with a certificate"""
    certs.make(tmp_path / "localhost.pem", ["localhost"])
    status, out = check(f"certfiles: [{tmp_path}/localhost.pem]\n" """
hosts:
  - localhost
loglevel: info
ca_file: /etc/ssl/certs/ca-certificates.crt
listen:
  -
    port: 5222
    ip: "::"
    module: ejabberd_c2s
    max_stanza_size: 262144
    shaper: c2s_shaper
    access: c2s
    starttls_required: true
  -
    port: 5223
    ip: "::"
    module: ejabberd_c2s
    max_stanza_size: 262144
    shaper: c2s_shaper
    access: c2s
    tls: true
  -
    port: 5269
    ip: "::"
    module: ejabberd_s2s_in
    max_stanza_size: 524288
    shaper: s2s_shaper
  -
    port: 5443
    ip: "::"
    module: ejabberd_http
    tls: true
    request_handlers:
      /admin: ejabberd_web_admin
      /api: mod_http_api
      /bosh: mod_bosh
      /captcha: ejabberd_captcha
      /upload: mod_http_upload
      /ws: ejabberd_http_ws
  -
    port: 3478
    ip: "::"
    transport: udp
    module: ejabberd_stun
    use_turn: true
    turn_ipv4_address: 203.0.113.3
  -
    port: 1883
    ip: "::"
    module: mod_mqtt
    backlog: 1000
s2s_use_starttls: optional
acl:
  local:
    user_regexp: ""
  loopback:
    ip:
      - 127.0.0.0/8
      - ::1/128
access_rules:
  local:
    allow: local
  c2s:
    deny: blocked
    allow: all
  announce:
    allow: admin
  configure:
    allow: admin
  muc_create:
    allow: local
  pubsub_createnode:
    allow: local
  trusted_network:
    allow: loopback
api_permissions:
  "console commands":
    from: ejabberd_ctl
    who: all
    what: "*"
  "admin access":
    who:
      access:
        allow:
          - acl: loopback
          - acl: admin
    what:
      - "*"
      - "!stop"
      - "!start"
shaper:
  normal:
    rate: 3000
    burst_size: 20000
  fast: 100000
shaper_rules:
  max_user_sessions: 10
  max_user_offline_messages:
    5000: admin
    100: all
  c2s_shaper:
    none: admin
    normal: all
  s2s_shaper: fast
modules:
  mod_adhoc: {}
  mod_admin_extra: {}
  mod_announce:
    access: announce
  mod_avatar: {}
  mod_blocking: {}
  mod_bosh: {}
  mod_caps: {}
  mod_carboncopy: {}
  mod_client_state: {}
  mod_configure: {}
  mod_disco: {}
  mod_fail2ban: {}
  mod_http_api: {}
  mod_http_upload:
    put_url: https://@HOST@:5443/upload
    custom_headers:
      "Access-Control-Allow-Origin": "https://@HOST@"
      "Access-Control-Allow-Methods": "GET,HEAD,PUT,OPTIONS"
      "Access-Control-Allow-Headers": "Content-Type"
  mod_last: {}
  mod_mam:
    assume_mam_usage: true
    default: always
  mod_mqtt: {}
  mod_muc:
    access:
      - allow
    access_admin:
      - allow: admin
    access_create: muc_create
    access_persistent: muc_create
    access_mam:
      - allow
    default_room_options:
      mam: true
  mod_muc_admin: {}
  mod_muc_occupantid: {}
  mod_offline:
    access_max_user_messages: max_user_offline_messages
  mod_ping: {}
  mod_privacy: {}
  mod_private: {}
  mod_proxy65:
    access: local
    max_connections: 5
  mod_pubsub:
    access_createnode: pubsub_createnode
    plugins:
      - flat
      - pep
    force_node_config:
      storage:bookmarks:
        access_model: whitelist
  mod_push: {}
  mod_push_keepalive: {}
  mod_register:
    ip_access: trusted_network
  mod_roster:
    versioning: true
  mod_s2s_bidi: {}
  mod_s2s_dialback: {}
  mod_shared_roster: {}
  mod_stream_mgmt:
    resend_on_timeout: if_offline
  mod_stun_disco: {}
  mod_vcard: {}
  mod_vcard_xupdate: {}
  mod_version:
    show_os: false
""")
    assert status == 0, out


def test_macros_and_includes(check):
    """define_macro, @MACRO@ within strings, include_config_file with allow_only"""
    status, out = check(
        "define_macro:\n  DOMAIN: macro.example\n  LIST:\n    - included.example\n"
        "include_config_file:\n  more.yml:\n    allow_only: [language]\n"
        "hosts:\n  - DOMAIN\n  - \"sub.@DOMAIN@\"\n", more="language: de\nloglevel: debug\n")
    assert status == 0, out
    assert "macro.example" in out and "sub.macro.example" in out


def test_warnings_name_the_line(check):
    """file:line:column: warning: …"""
    status, out = check("hosts: [a.example]\ns2s_timeout: 5\n")
    assert status == 0
    assert any("stanzad.yml:2:" in line and "s2s_timeout" in line for line in out.splitlines()), out


def test_a_server_refuses_a_bad_file(make_server):
    """Start fails with the reason, and without a half-started service"""
    server = make_server(start=False, config={"no_such_option": 1})
    p = server.spawn("-f", "-c", server.conf_file, "-d", server.dir)
    assert p.wait(wait.PATIENCE) != 0
    assert "no_such_option" in server.stderr()
    assert server.ctl_status("status")[0] == 3


def test_reload_of_a_bad_file_changes_nothing(make_server):
    """The old configuration stays in force"""
    server = make_server(workers=1)
    juliet = server.stream().login(until="online")
    server.write_config(no_such_option=1)
    status, out, err = server.ctl_status("reload_config")
    assert status == 1
    assert "no_such_option" in out + err + server.log()
    juliet.ping()
    server.stream("romeo").login().ping()


def test_reload_adds_a_host(make_server):
    """ejabberd: reload_config starts new virtual hosts; connections stay"""
    server = make_server(workers=2)
    juliet = server.stream().login(until="online")
    server.hosts.append("example.org")
    server.make_certificates()
    server.write_config(hosts=server.hosts, certfiles=[server.cert_file(h) for h in server.hosts])
    server.ctl("reload_config")
    romeo = server.stream("romeo", "example.org").login(until="online")
    juliet.send(f"<message to='{romeo.full}'/>")
    romeo.expect(f"<message from='{juliet.full}'/>")


def test_reload_by_signal(make_server):
    """SIGHUP is reload_config"""
    import signal
    server = make_server(workers=1)
    server.write_config(disable_sasl_mechanisms=["PLAIN"])
    server.process.send_signal(signal.SIGHUP)

    def gone():
        s = server.stream("juliet").login(until="tls")
        s.close()
        return "PLAIN" not in s.mechanisms()

    wait.until(gone, "the new configuration")


def test_access_rules_of_a_listener(make_server):
    """ejabberd: access; who may not use the listener is told not-authorized"""
    from harness.stream import SaslFailure
    server = make_server(workers=1, listen={"access": "c2s"}, config={
        "acl": {"blocked": {"user": ["mercutio@example.net"]}},
        "access_rules": {"c2s": [{"deny": "blocked"}, {"allow": "all"}]}})
    juliet = server.stream(server.register("juliet")).login()
    juliet.ping()
    bad = server.stream(server.register("mercutio")).login(until="tls")
    try:
        bad.authenticate().open()
        answer = bad.request("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>", "set")
        assert answer.get("type") == "error"
    except SaslFailure as e:
        assert e.condition in ("not-authorized", "account-disabled")


def test_settings_of_one_host(make_server):
    """host_config: language, and a database of its own"""
    server = make_server(workers=1, hosts=("example.net", "example.org"), config={
        "language": "en", "host_config": {"example.org": {"language": "de"}}})
    lang = "{http://www.w3.org/XML/1998/namespace}lang"
    assert server.stream("j", "example.net").login(until="open").header.get(lang) == "en"
    assert server.stream("j", "example.org").login(until="open").header.get(lang) == "de"
    s = server.stream("juliet", "example.net").login()
    s.ping()
    assert server.ctl_lines("registered_users", "example.org") == ["j"]
    assert "juliet" in server.ctl_lines("registered_users", "example.net")


def test_a_listener_on_a_unix_socket(make_server):
    """ejabberd: port unix:PATH"""
    import os
    import socket
    server = make_server(start=False, workers=1)
    path = os.path.join(server.dir, "c2s.sock")
    server.config["listen"].append(
        {"port": f"unix:{path}", "module": "ejabberd_c2s", "starttls": True})
    server.write_config()
    server.start()
    juliet = server.stream()
    juliet.sock = socket.socket(socket.AF_UNIX)
    juliet.sock.connect(path)
    juliet.open().starttls().open()
    juliet.authenticate().open()
    juliet.bind().ping()


@pytest.mark.parametrize("header", [
    b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 5222\r\n",
    b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x07\xc6\x33\x64\x01\x12\x67\x14\x66"],
    ids=["v1", "v2"])
def test_the_proxy_protocol(make_server, header):
    """ejabberd: use_proxy_protocol; the address in the header counts"""
    server = make_server(workers=1, listen={"use_proxy_protocol": True})
    juliet = server.stream().connect()
    juliet.send_raw(header)
    juliet.open().starttls().open()
    juliet.authenticate().open()
    juliet.bind()
    assert "192.0.2.7" in server.ctl("connected_users_info")
