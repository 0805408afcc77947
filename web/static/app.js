// Freshness is computed where the reader is: no beat for 12 s means the node is lost. Reads only; never sends a command.
"use strict";
(() => {
  const focus = document.querySelector("[data-focus]");
  if (focus) focus.focus();

  const lost = document.getElementById("lost");
  let last = Date.now();
  let shown = false;
  const say = (isLost) => {
    if (isLost === shown) return;
    shown = isLost;
    if (lost) lost.hidden = !isLost;
    const word = document.getElementById("link-node"); // looked up each time: a refresh puts another in its place
    if (word && isLost) {
      word.dataset.said = word.textContent;
      word.dataset.tone = word.className;
      word.textContent = word.dataset.lost;
      word.className = "bad";
    } else if (word && word.dataset.said) {
      word.textContent = word.dataset.said;
      word.className = word.dataset.tone;
    }
  };
  const beat = () => { last = Date.now(); say(false); };

  const topics = document.body.dataset.live;
  if (topics && window.EventSource) {
    const source = new EventSource("/live?topics=" + encodeURIComponent(topics));
    let wanted = false;
    let busy = false;
    // A page that answered a form has no address of its own to fetch again; it only listens for the beat.
    const refreshes = document.body.dataset.refresh === "yes";
    const refresh = async () => {
      if (!refreshes) return;
      if (busy) { wanted = true; return; }
      busy = true;
      try {
        const answer = await fetch(location.href, { headers: { "X-Part": "live" }, redirect: "follow" });
        if (answer.ok && !answer.redirected) {
          const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
          for (const part of document.querySelectorAll("[data-part]")) {
            const other = fresh.querySelector('[data-part="' + part.dataset.part + '"]');
            if (other && other.innerHTML !== part.innerHTML && !part.contains(document.activeElement)) {
              part.innerHTML = other.innerHTML;
            }
          }
          const links = fresh.querySelector(".links");
          const mine = document.querySelector(".links");
          if (links && mine && !shown) mine.innerHTML = links.innerHTML;
          beat();
        }
      } catch (error) { /* the watchdog below speaks */ }
      busy = false;
      if (wanted) { wanted = false; refresh(); }
    };
    source.addEventListener("beat", beat);
    source.addEventListener("changed", () => { beat(); refresh(); });
    setInterval(() => { if (Date.now() - last > 12000) say(true); }, 1000);
  }

  // A running total beside marks; the server computes the one that counts.
  const total = document.getElementById("total");
  if (total) {
    const marks = [...document.querySelectorAll("input[data-mark]")];
    const add = () => {
      let centi = 0;
      for (const mark of marks) {
        const match = /^([0-9]{1,5})(?:\.([0-9]{1,2}))?$/.exec(mark.value.trim());
        if (match) centi += Number(match[1]) * 100 + Number(((match[2] || "") + "00").slice(0, 2));
      }
      total.textContent = (Math.floor(centi / 100)) + "." + String(centi % 100).padStart(2, "0");
    };
    for (const mark of marks) mark.addEventListener("input", add);
    add();
  }
})();
