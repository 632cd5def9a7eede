/*
 * xmppjs.mjs -- xmpp.js under the control of a test: a line of JSON in, lines of JSON out
 *
 *   xmppjs.mjs SERVICE DOMAIN USER PASSWORD RESOURCE
 *
 * In: {"to", "body"} sends a chat message, {"tree": [name, attributes, child …]} any stanza,
 * {"stop": true} ends the stream.
 * Out: {"event": "online"|"message"|"stanza"|"offline"|"error"|"mechanism", ...}
 */
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const require = createRequire(process.env.STANZAD_NODE + "/package.json");
const { client, xml } = await import(pathToFileURL(require.resolve("@xmpp/client")));

const [service, domain, username, password, resource] = process.argv.slice(2);
const say = (o) => process.stdout.write(JSON.stringify(o) + "\n");
const xmpp = client({ service, domain, username, password, resource });
xmpp.reconnect.stop();

xmpp.on("send", (el) => {
  if (el.is("auth")) say({ event: "mechanism", name: el.attrs.mechanism, tls: xmpp.isSecure() });
});
xmpp.on("error", (err) => say({ event: "error", text: String(err) }));
xmpp.on("offline", () => say({ event: "offline" }));
xmpp.on("stanza", (st) => {
  say({ event: "stanza", name: st.name, attrs: st.attrs, text: st.toString() });
  if (st.is("message"))
    say({ event: "message", from: st.attrs.from, type: st.attrs.type, body: st.getChildText("body") });
});
xmpp.on("online", async (jid) => {
  await xmpp.send(xml("presence"));
  say({ event: "online", jid: jid.toString() });
});

const build = (t) => (typeof t === "string" ? t : xml(t[0], t[1], ...t.slice(2).map(build)));

createInterface({ input: process.stdin }).on("line", async (line) => {
  const order = JSON.parse(line);
  if (order.stop) {
    await xmpp.stop();
    process.exit(0);
  }
  if (order.tree) {
    await xmpp.send(build(order.tree));
    return;
  }
  await xmpp.send(xml("message", { to: order.to, type: "chat" }, xml("body", {}, order.body)));
});

xmpp.start().catch((err) => {
  say({ event: "error", text: String(err) });
  process.exit(1);
});
