// Counts the time down, and gives the task the keyboard.
"use strict";
(() => {
  const timer = document.getElementById("timer");
  const frame = document.getElementById("task");
  if (frame) frame.addEventListener("load", () => frame.focus());
  addEventListener("message", (event) => {
    // Whatever the frame claims, this only shows a link.
    const next = document.getElementById("next");
    if (!frame || event.source !== frame.contentWindow || !event.data?.submitted || !next) return;
    next.hidden = false;
    for (const done of document.querySelectorAll("#time, .bar form")) done.hidden = true;
  });
  if (!timer) return;
  const end = performance.now() + Number(timer.dataset.seconds) * 1000;
  const tick = () => {
    const left = Math.max(0, Math.round((end - performance.now()) / 1000));
    timer.textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    if (left > 0) setTimeout(tick, 500);
  };
  tick();
})();
