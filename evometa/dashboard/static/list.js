"use strict";
(function () {
  const PAUSE = 2000;
  const table = document.getElementById("runs"), filter = document.getElementById("filter");
  const compare = document.getElementById("compare"), counts = document.getElementById("counts");
  const notice = document.getElementById("notice");
  const lines = new Map();   // name -> {run, row, box, words}
  const groups = new Map();  // folder -> {body, box, note}
  let identity = "", version = 0;

  const natural = new Intl.Collator("en", { numeric: true }).compare;

  function element(kind, name, text) {
    const made = document.createElement(kind);
    if (name) made.className = name;
    if (text !== undefined) made.textContent = text;
    return made;
  }
  function number(value) {
    if (value === null || value === undefined) return "–";
    return Number(value.toPrecision(5)).toString();
  }
  function duration(seconds) {
    if (seconds === null) return "–";
    const whole = Math.floor(seconds), two = (value) => String(value).padStart(2, "0");
    const hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
    return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
  }
  function moment(seconds) {
    if (seconds === null) return "–";
    const at = new Date(1000 * seconds), today = at.toDateString() === new Date().toDateString();
    return today ? at.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" }) : at.toLocaleDateString("en-CA");
  }
  function checkbox(label) {
    const box = element("input");
    box.type = "checkbox";
    box.setAttribute("aria-label", label);
    box.addEventListener("change", chosen);
    return box;
  }

  function groupOf(run) {
    let group = groups.get(run.group);
    if (group) return group;
    const body = element("tbody"), row = body.insertRow(), cell = element("td"), head = element("th");
    const box = checkbox(`Select all of ${run.group || "this directory"}`), note = element("small");
    box.addEventListener("change", () => {
      for (const line of lines.values()) if (line.run.group === run.group && !line.row.hidden) line.box.checked = box.checked;
      chosen();
    });
    row.className = "group";
    head.colSpan = 10;
    head.scope = "rowgroup";
    head.append(run.group || "in the directory itself", note);
    cell.append(box);
    row.append(cell, head);
    const after = [...groups].filter(([name]) => natural(name, run.group) > 0).sort(([a], [b]) => natural(a, b))[0];
    table.insertBefore(body, after ? after[1].body : null);
    group = { body, box, note };
    groups.set(run.group, group);
    return group;
  }

  function rowOf(run) {
    const row = element("tr"), box = checkbox(`Select ${run.name}`), first = element("td");
    first.append(box);
    row.append(first);
    const group = groupOf(run), last = group.body.lastElementChild, later = (other) => natural(other.dataset.name, run.name) > 0;
    const after = last.dataset.name && later(last) ? [...group.body.rows].slice(1).find(later) : null;
    row.dataset.name = run.name;
    group.body.insertBefore(row, after);
    return { row, box };
  }

  function fill(line) {
    const { run, row } = line;
    while (row.cells.length > 1) row.deleteCell(1);
    const name = element("td"), link = element("a", "", run.group ? run.name.slice(run.group.length + 1) : run.name);
    link.href = `/run?path=${encodeURIComponent(run.name)}`;
    link.title = run.settings;
    const of = [run.problem, run.strategy, run.seed === null ? "" : `seed ${run.seed}`].filter(Boolean).join(" · ");
    name.append(link, element("span", "small", of));
    const status = element("td");
    status.append(element("span", `status ${run.status}`, run.status));
    if (run.reason && run.status !== "ended") status.append(element("span", "reason", run.reason));
    if (run.reason) status.title = run.reason;
    const best = element("td", "number", number(run.best));
    best.append(element("span", "small", run.generations ? `generation ${run.generations.toLocaleString("en")}` : ""));
    row.append(
      name, element("td", "wide", run.problem), element("td", "wide", run.strategy),
      element("td", "wide number", run.seed === null ? "–" : run.seed), status,
      element("td", "wide number", run.generations.toLocaleString("en")), best,
      element("td", "wide number", number(run.held_out)), element("td", "wide number", duration(run.seconds)),
      element("td", "wide number", moment(run.written)),
    );
    line.words = [run.name, run.problem, run.strategy, run.settings, `seed ${run.seed}`, run.status, run.reason, run.created]
      .join(" ").toLowerCase();
  }

  function show() {
    const wanted = filter.value.toLowerCase().split(/\s+/).filter(Boolean), count = {};
    const members = new Map([...groups.keys()].map((name) => [name, []]));
    let shown = 0;
    for (const line of lines.values()) {
      line.row.hidden = !wanted.every((word) => line.words.includes(word));
      if (line.row.hidden) continue;
      shown += 1;
      count[line.run.status] = (count[line.run.status] || 0) + 1;
      members.get(line.run.group).push(line);
    }
    for (const [name, group] of groups) {
      const own = members.get(name), running = own.filter((line) => line.run.status === "running").length;
      group.body.hidden = !own.length;
      const what = own.some((line) => line.run.sweep) ? "sweep, " : "";
      group.note.textContent = `${what}${own.length} run${own.length === 1 ? "" : "s"}${running ? `, ${running} running` : ""}`;
    }
    const parts = Object.entries(count).sort().map(([status, many]) => `${many} ${status}`);
    const of = shown < lines.size ? ` of ${lines.size}` : "";
    counts.textContent = lines.size
      ? `${shown}${of} run${lines.size === 1 ? "" : "s"}${parts.length ? ": " : ""}${parts.join(", ")}`
      : "No runs yet. They appear here as soon as a search with a run directory begins.";
    table.hidden = !lines.size;
  }

  function chosen() {
    const names = [...lines.values()].filter((line) => line.box.checked).map((line) => line.run.name);
    compare.textContent = names.length ? `Compare ${names.length}` : "Compare";
    if (names.length > 1) {
      compare.href = `/compare?${names.map((name) => `run=${encodeURIComponent(name)}`).join("&")}`;
      compare.removeAttribute("aria-disabled");
    } else {
      compare.removeAttribute("href");
      compare.setAttribute("aria-disabled", "true");
    }
  }

  function remove(name) {
    const line = lines.get(name);
    if (!line) return;
    line.row.remove();
    lines.delete(name);
    const group = groups.get(line.run.group);
    if (group && group.body.rows.length === 1) {
      group.body.remove();
      groups.delete(line.run.group);
    }
  }

  async function poll() {
    let pause = PAUSE;
    try {
      const answer = await fetch(`/runs.json?identity=${identity}&since=${version}`);
      if (!answer.ok) throw new Error(await answer.text());
      const changes = await answer.json();
      if (changes.identity !== identity) [...lines.keys()].forEach(remove);
      changes.gone.forEach(remove);
      for (const run of changes.runs.sort((one, other) => natural(one.name, other.name))) {
        const line = lines.get(run.name) || Object.assign(rowOf(run), {});
        line.run = run;
        lines.set(run.name, line);
        fill(line);
      }
      if (changes.runs.length || changes.gone.length || !version) {
        show();
        chosen();
      }
      ({ identity, version } = changes);
      notice.hidden = true;
    } catch (error) {
      notice.textContent = "The dashboard does not answer; what is shown is its last state. Trying again.";
      notice.hidden = false;
      pause = 2 * PAUSE;
    }
    setTimeout(poll, pause);
  }
  filter.addEventListener("input", show);
  poll();
})();
