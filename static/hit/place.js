// A page without a server of its own: who works on it stands in its address, and the places of the
// images follow from the assignment, by the same sum that the researcher's program does.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const form = document.getElementById("task");
  const query = new URLSearchParams(location.search);
  const assignment = query.get("assignmentId") || "ASSIGNMENT_ID_NOT_AVAILABLE";
  const submitTo = (query.get("turkSubmitTo") || "").replace(/\/+$/, "");
  const preview = assignment === "ASSIGNMENT_ID_NOT_AVAILABLE";
  form.elements.namedItem("assignmentId").value = assignment;
  if (!preview && JSON.parse(form.dataset.sites).includes(submitTo)) {
    form.action = `${submitTo}/mturk/externalSubmit`;
  } else {
    form.dataset.preview = "";
    form.querySelectorAll("fieldset, button").forEach((part) => (part.disabled = true));
    const banner = document.createElement("p");
    banner.className = "banner";
    banner.textContent = preview
      ? "Preview. You can look, but not answer yet: accept the HIT to begin."
      : "This page was opened from an unknown site: nothing can be submitted here.";
    form.before(banner);
  }
  // FNV-1a, 32 bits.
  const sum = (text) =>
    [...text].reduce((hash, c) => Math.imul(hash ^ c.charCodeAt(0), 0x01000193) >>> 0, 0x811c9dc5);
  for (const pair of document.querySelectorAll(".pair")) {
    const images = [...pair.querySelectorAll(".stage img")];
    const comparison = pair.querySelector("input[name$='.comparison']").value;
    let number = sum(`${assignment}|${comparison}`);
    const left = images.map((image) => image.dataset.src);
    images.forEach((image) => {
      const chosen = number % left.length;
      number = Math.floor(number / left.length);
      image.src = left.splice(chosen, 1)[0];
    });
  }
});
