// Shows the images at the same moment, times the answers from then, and answers by key.
"use strict";
(() => {
  const form = document.getElementById("task");
  if (!form || "preview" in form.dataset) return;
  const stage = document.getElementById("stage");
  const hint = document.getElementById("hint");
  const questions = [...form.querySelectorAll("fieldset")];
  let shown = null;
  let sending = false;

  stage.classList.add("waiting");
  const decoded = [...stage.querySelectorAll("img")].map((image) => image.decode());
  Promise.allSettled(decoded).then((results) => {
    stage.classList.remove("waiting");
    if (results.some((result) => result.status === "rejected")) {
      hint.textContent = "An image could not be loaded. Reload the page, or return the HIT.";
      return;
    }
    requestAnimationFrame((now) => {
      shown = now;
    });
  });

  const open = () => questions.find((q) => !q.querySelector("input:checked")) || null;

  form.addEventListener("change", (event) => {
    if (event.target.type !== "radio" || shown === null) return;
    const time = event.target.closest("fieldset").querySelector("input[type=hidden]");
    time.value = String(Math.round(performance.now() - shown));
  });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.shiftKey || event.repeat) return;
    if (shown === null) return;
    if (event.key === "Enter" && event.target.closest("summary, button") === null) {
      event.preventDefault();
      form.requestSubmit();
      return;
    }
    const question = open();
    const choice = question && question.querySelector(`input[data-key="${CSS.escape(event.key)}"]`);
    if (!choice) return;
    choice.click();
    const next = open();
    const target = next ? next.querySelector("input") : form.querySelector("button");
    target.focus();
  });

  form.addEventListener("submit", (event) => {
    if (sending) {
      event.preventDefault();
      return;
    }
    sending = true;
    hint.textContent = "Sending your answers…";
  });
  // A page that comes back from the browser's memory may be sent again.
  window.addEventListener("pageshow", () => {
    sending = false;
    hint.textContent = "";
  });
  window.focus();
})();
