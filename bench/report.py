"""report.py -- what compare.py found, as Markdown, JSON and SVG

By hand, to make the texts again from what was measured:

    bench/report.py bench/results.json bench
"""
import json
import os
import platform
import statistics
import subprocess
import sys
import time

from runs import CPU, GOALS, MEMORY, RUNS

# Which table a run is in: (heading, sentence, figure, unit, runs)
TABLES = [
    ("CPU time per operation",
     "Microseconds of all processes of the server for a message, a log-in, a delivered presence"
     " or a roster; in parentheses how many times stanzad's.", CPU,
     ("chat", "chat_tls", "chat_sm", "open_1000", "open_10000", "login", "presence", "roster")),
    ("Memory per idle session",
     "Bytes of user memory (Pss of all processes, what they had before the log-ins taken off):"
     " logged in, roster fetched, available, silent.", MEMORY, ("idle", "idle_tls")),
    ("Latency",
     "99th percentile in milliseconds, from the intended time. Wall clock: compare within this"
     " run only.", "p99_us",
     ("chat", "chat_tls", "open_1000", "open_10000", "beside", "login")),
]


def collect(versions, results, rounds, seconds, argv):
    with open("/proc/cpuinfo") as f:
        cpu = next((line.split(":")[1].strip() for line in f if line.startswith("model name")), "?")
    ssl = subprocess.run(["openssl", "version"], capture_output=True, text=True).stdout.split()
    return {
        "when": time.strftime("%Y-%m-%d", time.gmtime()),
        "command": " ".join(argv), "rounds": rounds, "seconds": seconds,
        "machine": f"{os.cpu_count()} cores of {cpu}, Linux {platform.release()}, "
                   f"OpenSSL {ssl[1] if len(ssl) > 1 else '?'}",
        "load_average": os.getloadavg()[0],
        "versions": versions, "results": results,
    }


def median(found, key, server, figure):
    """Of the rounds; None when none of them went well."""
    runs = found["results"].get(key, {}).get(server, [])
    values = [r[figure] for r in runs if "error" not in r and (r["ops"] or "idle" in key)]
    return statistics.median(values) if values else None


def number(v):
    return f"{v:,.0f}" if v >= 100 else f"{v:.1f}" if v >= 10 else f"{v:.2f}"


def tables(found):
    names = list(found["versions"])
    for heading, sentence, figure, keys in TABLES:
        keys = [k for k in keys if k in found["results"]]
        if not keys:
            continue
        yield f"## {heading}\n\n{sentence}\n"
        yield "| | " + " | ".join(names) + " |"
        yield "|---" * (len(names) + 1) + "|"
        for key in keys:
            ours = median(found, key, "stanzad", figure)
            cells = []
            for name in names:
                v = median(found, key, name, figure)
                if v is None:
                    ran = found["results"][key].get(name)
                    cells.append("failed" if ran else "–")
                    continue
                text = number(v / 1000 if figure == "p99_us" else v)
                if ours and name != "stanzad" and figure != "p99_us":
                    text += f" ({v / ours:.2f}×)" if v < 10 * ours else f" ({v / ours:.0f}×)"
                cells.append(text)
            yield f"| {RUNS[key][0]} | " + " | ".join(cells) + " |"
        yield ""


def goals(found):
    yield "## Goals\n\n| | measured | goal | |\n|---|---|---|---|"
    for sentence, key, figure, times, of in GOALS:
        v = median(found, key, "stanzad", figure)
        base = 1
        if of:
            bases = [b for b in (median(found, of[0], s, figure) for s in of[1]) if b]
            base = min(bases) if bases else None
        if v is None or not base:
            continue
        shown = f"{v / base:.{2 if v > base else 3}f} ×" if of else number(v)
        goal = f"{times} ×" if of else f"{times:,}"
        yield f"| {sentence} | {shown} | {goal} | {'met' if v / base <= times else '**not met**'} |"
    yield ""


def wrong(found):
    """Messages that were lost or came twice, operations that never ended, runs that failed."""
    for key, servers_ in found["results"].items():
        for name, runs in servers_.items():
            bad = [r["error"] if "error" in r else
                   f"{r['lost']} lost, {r['repeated']} twice, {r['stalled_pairs']} still open"
                   for r in runs if "error" in r or r["lost"] or r["repeated"]
                   or r["stalled_pairs"]]
            if bad:
                yield f"* {name}, {RUNS[key][0]}: {bad[0]} ({len(bad)} of {len(runs)} runs)"


def text(found):
    lines = ["# Results", "",
             "Made by `make bench-compare` (`bench/compare.py`); how to read it is in"
             " [doc/PERFORMANCE.md](../doc/PERFORMANCE.md).", "",
             f"* {found['when']}, {found['machine']}, everything on it, on loopback; other work"
             f" ran on it, too (load average {found['load_average']:.1f})",
             f"* `{found['command']}`: medians of {found['rounds']} rounds, {found['seconds']} s"
             " a run"]
    lines += [f"* {name}: {version}" for name, version in found["versions"].items()]
    lines += ["", *tables(found), *goals(found)]
    bad = list(wrong(found))
    if bad:
        lines += ["## What did not go as it should", "", *bad, ""]
    return "\n".join(lines)


COLOUR = {"floor": "#9aa0a6", "stanzad": "#1a73e8", "ejabberd": "#e8710a", "prosody": "#a142f4"}


def svg(found):
    """Bars on a logarithmic scale: CPU time per operation, memory per session."""
    import math
    rows = [(k, CPU, "µs") for k in ("chat", "chat_tls", "login", "presence", "roster")]
    rows += [(k, MEMORY, "bytes") for k in ("idle", "idle_tls")]
    rows = [r for r in rows if r[0] in found["results"]]
    names = [n for n in COLOUR if n in found["versions"]]
    left, width, bar, y = 230, 420, 13, 46
    out = []
    for key, figure, unit in rows:
        values = {n: median(found, key, n, figure) for n in names}
        values = {n: v for n, v in values.items() if v and v > 0}
        if not values:
            continue
        low = min(values.values()) / 2
        scale = width / math.log10(max(max(values.values()) / low, 10))
        out.append(f'<text x="{left - 10}" y="{y + bar * len(values) / 2 + 4:.0f}" '
                   f'text-anchor="end">{RUNS[key][0]}</text>')
        for n, v in values.items():
            w = math.log10(v / low) * scale
            out.append(f'<rect x="{left}" y="{y}" width="{w:.0f}" height="{bar - 2}" '
                       f'fill="{COLOUR[n]}"/><text class="v" x="{left + w + 5:.0f}" '
                       f'y="{y + bar - 3}">{number(v)} {unit}</text>')
            y += bar
        y += 14
    legend = "".join(
        f'<rect x="{left + 105 * i}" y="24" width="11" height="11" fill="{COLOUR[n]}"/>'
        f'<text x="{left + 105 * i + 16}" y="34">{n}</text>' for i, n in enumerate(names))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="780" height="{y + 6}" '
            f'font-family="sans-serif" font-size="12">\n'
            '<style>.v{font-size:10px;fill:#444}</style>\n'
            f'<rect width="780" height="{y + 6}" fill="white"/>\n'
            '<text x="10" y="16">CPU time of the server per operation, memory per idle session '
            '(logarithmic; shorter is better)</text>\n' + legend + "\n" + "\n".join(out)
            + "\n</svg>\n")


def write(found, folder):
    with open(f"{folder}/results.json", "w") as f:
        json.dump(found, f, indent=1)
        f.write("\n")
    with open(f"{folder}/RESULTS.md", "w") as f:
        f.write(text(found))
    with open(f"{folder}/results.svg", "w") as f:
        f.write(svg(found))


if __name__ == "__main__":
    with open(sys.argv[1]) as saved:
        write(json.load(saved), sys.argv[2])
