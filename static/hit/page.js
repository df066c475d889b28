// Shows images at the same moment, times the answers from then, answers by key, saves on the way.
"use strict";
document.documentElement.classList.add("js");
document.addEventListener("DOMContentLoaded", () => {
  const form = document.getElementById("task");
  const stages = [...document.querySelectorAll(".stage")];
  const pictures = (stage) => [...stage.querySelectorAll("img")];

  // Images are hidden until all of a comparison are decoded: the quicker side would be looked at
  // first.
  const loading = new Map();
  function load(stage) {
    if (!loading.has(stage)) {
      const decoded = pictures(stage).map((image) => {
        image.loading = "eager";
        return image.decode();
      });
      loading.set(
        stage,
        Promise.allSettled(decoded).then((results) => {
          stage.classList.add("ready");
          return results.every((result) => result.status === "fulfilled");
        }),
      );
    }
    return loading.get(stage);
  }

  const hint = document.getElementById("hint");
  const say = (text) => {
    if (hint.textContent !== text) hint.textContent = text;
  };
  if ("preview" in form.dataset) {
    stages.forEach(load);
    return;
  }

  // One comparison at a time.
  const pairs = [...document.querySelectorAll(".pair")].map((section) => ({
    section,
    stage: section.querySelector(".stage"),
    questions: [...section.querySelectorAll("fieldset")],
    counts: { focus_losses: 0, zooms: 0 },
    order: [],
    shown: null,
  }));
  const go = document.getElementById("go");
  const back = document.getElementById("back");
  let current = 0;
  let sending = false;
  const pair = () => pairs[current];
  const answered = (question) => question.querySelector("input:checked") !== null;
  const open = () => pair().questions.find((question) => !answered(question)) || null;
  const last = () => current === pairs.length - 1;

  function turnTo(number) {
    current = number;
    pairs.forEach((each, index) => (each.section.hidden = index !== current));
    back.hidden = current === 0;
    go.firstElementChild.textContent = last() ? "Submit" : "Next";
    const here = pair();
    load(here.stage).then((whole) => {
      if (!whole) {
        say("An image could not be loaded. Reload the page; your answers are kept.");
        return;
      }
      requestAnimationFrame((now) => {
        here.shown = here.shown ?? now;
        if (pairs[number + 1]) load(pairs[number + 1].stage);
      });
    });
    say("");
  }

  const field = (name) => form.elements.namedItem(name);
  const numberOf = (each) => pairs.indexOf(each) + 1;

  // Saving: again until it arrives. The form itself holds every answer too.
  let saving = false;
  let unsaved = false;
  async function save() {
    if (!form.dataset.save) return;
    unsaved = true;
    if (saving) return;
    saving = true;
    for (let wait = 1000; unsaved && !sending; wait = Math.min(wait * 2, 15000)) {
      unsaved = false;
      try {
        const body = new URLSearchParams(new FormData(form));
        body.delete("assignmentId");
        const answer = await fetch(form.dataset.save, { method: "POST", body, keepalive: true });
        if (answer.status >= 500) throw new Error(String(answer.status));
        if (answer.ok && hint.dataset.offline) {
          delete hint.dataset.offline;
          say("Connected again: your answers are saved.");
        }
      } catch {
        unsaved = true;
        hint.dataset.offline = "1";
        say("No connection. Your answers are kept on this page; trying again…");
        await new Promise((done) => setTimeout(done, wait));
      }
    }
    saving = false;
  }

  function record() {
    field("viewport").value = `${innerWidth}x${innerHeight}`;
    field("pixel_ratio").value = String(devicePixelRatio);
    for (const each of pairs) {
      for (const [name, count] of Object.entries(each.counts)) {
        if (each.shown !== null) field(`${numberOf(each)}.${name}`).value = String(count);
      }
    }
  }

  const tooSoon = () =>
    pair().shown === null || performance.now() - pair().shown < 1000 * Number(form.dataset.min);

  form.addEventListener("click", (event) => {
    if (event.target.type === "radio" && tooSoon()) {
      event.preventDefault();
      say("Please look at the images first.");
    }
  });

  form.addEventListener("change", (event) => {
    if (event.target.type !== "radio") return;
    const question = event.target.closest("fieldset");
    const here = pairs.find((each) => each.questions.includes(question));
    if (here.shown !== null) {
      const time = Math.round(performance.now() - here.shown);
      question.querySelector("input[type=hidden]").value = String(time);
    }
    here.order = [...here.order.filter((each) => each !== question), question];
    if (!hint.dataset.offline) say("");
    record();
    save();
    zoom.label();
  });

  function choose(key) {
    const question = open();
    const choice = question && question.querySelector(`input[data-key="${CSS.escape(key)}"]`);
    if (!choice) return false;
    choice.click();
    const next = open();
    if (!zoom.isOpen()) (next ? next.querySelector("input") : go).focus();
    return true;
  }

  // Back one answer; from a comparison without any, to the one before.
  function undo() {
    const question = pair().order.pop() || [...pair().questions].reverse().find(answered);
    if (!question) {
      if (current > 0) turnTo(current - 1);
      return;
    }
    question.querySelectorAll("input:checked").forEach((input) => (input.checked = false));
    question.querySelector("input").focus();
    zoom.label();
  }

  function goOn() {
    const missing = open();
    if (missing) {
      say(`Please answer: ${missing.querySelector("legend").textContent}.`);
      missing.querySelector("input").focus();
    } else if (!last()) {
      turnTo(current + 1);
    } else {
      return true;
    }
    return false;
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.shiftKey || event.repeat) return;
    const target = event.target;
    if (target.closest && target.closest("summary, a") && event.key === "Enter") return;
    if (zoom.key(event)) return;
    if (event.key === "Enter" && !target.closest("button")) {
      event.preventDefault();
      form.requestSubmit(go);
    } else if (event.key === "Backspace") {
      event.preventDefault();
      undo();
    } else if (event.key.toLowerCase() === "z") {
      zoom.open(0);
    } else {
      choose(event.key);
    }
  });

  // Not the browser's own check: it would point into comparisons that are not shown.
  form.noValidate = true;
  form.addEventListener("submit", (event) => {
    if (sending || !goOn()) {
      event.preventDefault();
      return;
    }
    const skipped = pairs.findIndex((each) => !each.questions.every(answered));
    if (skipped >= 0) {
      event.preventDefault();
      turnTo(skipped);
      return;
    }
    if (!navigator.onLine) {
      event.preventDefault();
      say("No connection. Your answers are kept here: submit when you are connected again.");
      return;
    }
    record();
    sending = true;
    say("Sending your answers…");
  });
  back.addEventListener("click", () => turnTo(current - 1));

  // A page that comes back from the browser's memory may be sent again.
  window.addEventListener("pageshow", (event) => {
    sending = false;
    if (event.persisted) say("");
  });
  window.addEventListener("pagehide", () => {
    if (!sending && form.dataset.left) navigator.sendBeacon(form.dataset.left);
  });
  window.addEventListener("online", () => save());
  // Keys reach a frame only when it has the focus.
  const call = document.getElementById("focus");
  const focused = () => (call.hidden = document.hasFocus());
  window.addEventListener("focus", focused);
  window.addEventListener("blur", () => {
    if (pair().shown !== null && open()) pair().counts.focus_losses += 1;
    setTimeout(focused);
  });

  const zoom = makeZoom({ pair, open, choose, opened: () => (pair().counts.zooms += 1) });
  stages.forEach((stage) =>
    pictures(stage).forEach((image, index) =>
      image.addEventListener("click", (event) => zoom.open(index, event)),
    ),
  );
  const unfinished = pairs.findIndex((each) => !each.questions.every(answered));
  turnTo(unfinished < 0 ? pairs.length - 1 : unfinished);
  window.focus();
  focused();

  // All images of a comparison large, at the same point and size, with the answers at hand.
  function makeZoom({ pair, open, choose, opened }) {
    const dialog = document.getElementById("zoom");
    const panes = dialog.querySelector(".panes");
    const labels = dialog.querySelector(".labels");
    let view = { x: 0.5, y: 0.5, scale: 1 };

    function draw() {
      for (const pane of panes.children) {
        const image = pane.firstElementChild;
        const fit = Math.min(pane.clientWidth / image.width, pane.clientHeight / image.height);
        const size = fit * view.scale;
        const at = (whole, part, point) =>
          part <= whole ? (whole - part) / 2 : Math.min(0, Math.max(whole - part, whole / 2 - part * point));
        const left = at(pane.clientWidth, image.width * size, view.x);
        const top = at(pane.clientHeight, image.height * size, view.y);
        image.style.transform = `translate(${left}px, ${top}px) scale(${size})`;
      }
    }
    const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
    function change(scale, x = view.x, y = view.y) {
      view = { scale: clamp(scale, 1, 8), x: clamp(x, 0, 1), y: clamp(y, 0, 1) };
      draw();
    }
    function label() {
      if (!dialog.open) return;
      const question = open();
      dialog.querySelector(".asked").textContent = question
        ? question.querySelector("legend").textContent
        : "All answered";
      labels.replaceChildren(
        ...[...(question ? question.querySelectorAll("label") : [])].map((choice) => {
          const button = document.createElement("button");
          button.type = "button";
          button.append(...choice.querySelector("span").cloneNode(true).childNodes);
          button.addEventListener("click", () => choose(choice.querySelector("input").dataset.key));
          return button;
        }),
      );
    }
    function show() {
      if (pair().shown === null || dialog.open) return;
      opened();
      panes.className = `panes places-${pair().stage.children.length}`;
      panes.replaceChildren(
        ...[...pair().stage.querySelectorAll("img")].map((image) => {
          const pane = document.createElement("div");
          const copy = image.cloneNode();
          copy.className = "";
          copy.draggable = false;
          pane.append(copy);
          return pane;
        }),
      );
      dialog.showModal();
      label();
      change(1, 0.5, 0.5);
    }
    dialog.addEventListener("click", (event) => {
      const tool = event.target.closest("[data-zoom]");
      if (!tool) return;
      if (tool.dataset.zoom === "close") dialog.close();
      else change(view.scale * (tool.dataset.zoom === "in" ? 1.5 : 1 / 1.5));
    });
    panes.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        change(view.scale * Math.exp(-event.deltaY / 400));
      },
      { passive: false },
    );
    let held = null;
    panes.addEventListener("pointerdown", (event) => {
      held = { x: event.clientX, y: event.clientY };
      panes.setPointerCapture(event.pointerId);
    });
    panes.addEventListener("pointermove", (event) => {
      if (!held || !panes.firstElementChild) return;
      const image = panes.firstElementChild.firstElementChild.getBoundingClientRect();
      change(view.scale, view.x - (event.clientX - held.x) / image.width, view.y - (event.clientY - held.y) / image.height);
      held = { x: event.clientX, y: event.clientY };
    });
    for (const name of ["pointerup", "pointercancel"]) panes.addEventListener(name, () => (held = null));
    panes.addEventListener("dblclick", () => change(view.scale > 1 ? 1 : 3));
    window.addEventListener("resize", () => dialog.open && draw());

    function key(event) {
      if (!dialog.open) return false;
      const step = 0.12 / view.scale;
      const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
      if (event.key.toLowerCase() === "z" || (event.key === "Enter" && !event.target.closest("button"))) dialog.close();
      else if (event.key === "+" || event.key === "=") change(view.scale * 1.5);
      else if (event.key === "-") change(view.scale / 1.5);
      else if (moves[event.key]) change(view.scale, view.x + moves[event.key][0], view.y + moves[event.key][1]);
      else if (!choose(event.key)) return event.key !== "Backspace";
      event.preventDefault();
      return true;
    }
    return { open: show, label, key, isOpen: () => dialog.open };
  }
});
