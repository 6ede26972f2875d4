"use strict";
(function () {
  const PAUSE = 2000;
  const live = document.getElementById("live"), notice = document.getElementById("notice");
  const status = document.getElementById("status"), reason = document.getElementById("reason");
  let version = live.dataset.version;

  // Puts a section in the place of the one that is there; charts that are drawn already move into it.
  function replace(old, section) {
    const drawn = [...old.querySelectorAll(".chart")];
    for (const chart of section.querySelectorAll(".chart")) {
      const before = drawn.shift();
      if (before) chart.replaceWith(before);
    }
    old.replaceWith(section);
  }
  function update(html) {
    const page = document.importNode(new DOMParser().parseFromString(html, "text/html").body, true);
    live.querySelector("header").replaceWith(page.querySelector("header"));
    let last = null;
    for (const section of [...page.querySelectorAll("main > section")]) {
      const old = document.getElementById(section.id);
      if (old) replace(old, section);
      else if (last) last.after(section);
      else live.querySelector("main").prepend(section);
      last = section;
    }
    const links = page.querySelector("nav"), known = live.querySelector("nav");
    if (links.querySelectorAll("a").length >= known.querySelectorAll("a").length) known.replaceWith(links);
    window.evometaDraw();
  }
  function say(words) {
    notice.textContent = words;
    notice.hidden = !words;
  }
  async function poll() {
    let pause = PAUSE;
    try {
      const separator = live.dataset.source.includes("?") ? "&" : "?";
      const answer = await fetch(`${live.dataset.source}${separator}seen=${version}`);
      const found = await answer.json();
      if (answer.ok) {
        say("");
        status.className = `status ${found.status}`;
        status.textContent = found.words;
        reason.textContent = found.reason;
        if (found.html) update(found.html);
        version = found.version;
      } else {
        say(`${found.message} What is shown is the last state.`);
        status.className = "status damaged";
        status.textContent = "not readable";
        reason.textContent = "";
        pause = 3 * PAUSE;
      }
    } catch (error) {
      say("The dashboard does not answer; what is shown is its last state. Trying again.");
      pause = 2 * PAUSE;
    }
    setTimeout(poll, pause);
  }
  setTimeout(poll, PAUSE);
})();
