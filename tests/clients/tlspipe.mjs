// tlspipe.mjs -- Node's TLS between standard input and output
//
// tlspipe.mjs direct|starttls port host cafile [suite [session-file]]
// A session file that is there is resumed; otherwise the session goes into it.
import fs from "node:fs";
import net from "node:net";
import tls from "node:tls";

const [mode, port, host, cafile, suite, sessionFile] = process.argv.slice(2);
const options = { host: "127.0.0.1", port, servername: host, ca: fs.readFileSync(cafile),
                  minVersion: "TLSv1.3" };
if (suite)
    options.ciphers = suite;
if (sessionFile && fs.existsSync(sessionFile))
    options.session = fs.readFileSync(sessionFile);

function begin(more) {
    const socket = tls.connect({ ...options, ...more }, () => {
        process.stderr.write(`${socket.isSessionReused() ? "reused" : "new"} ` +
                             `${socket.getProtocol()} connected\n`);
        process.stdin.on("data", (d) => socket.write(d));
        process.stdin.on("end", () => socket.end());
    });
    socket.on("session", (session) => {
        if (sessionFile) { // whole, or not there: we may be killed at the second ticket
            fs.writeFileSync(`${sessionFile}.new`, session);
            fs.renameSync(`${sessionFile}.new`, sessionFile);
        }
        process.stderr.write("ticket\n");
    });
    socket.on("data", (d) => process.stdout.write(d));
    socket.on("end", () => process.stderr.write("ended\n"));
    socket.on("close", () => process.exit(0));
    socket.on("error", (e) => {
        process.stderr.write(`error ${e.message}\n`);
        process.exit(1);
    });
}

if (mode === "direct") {
    begin({});
} else {
    const plain = net.connect(port, "127.0.0.1");
    let seen = "", asked = false;

    plain.write(`<stream:stream to='${host}' version='1.0' xmlns='jabber:client' ` +
                `xmlns:stream='http://etherx.jabber.org/streams'>`);
    plain.on("data", function on(d) {
        seen += d;
        if (seen.includes("</stream:features>") && !asked) {
            asked = true;
            plain.write("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
        }
        if (seen.includes("<proceed")) {
            plain.off("data", on);
            begin({ socket: plain });
        }
    });
}
