// Keeps the page fresh: asks for it again and takes over the parts that change.
// All text comes from the server's own page, so nothing is made of strings here.

"use strict";

const EVERY = 2000; // milliseconds between two looks
const PARTS = ["heading", "troubles", "totals", "tunnels", "sessions", "counts"];
const UNITS = ["B/s", "KiB/s", "MiB/s", "GiB/s"];

// Without what stands before the host: a browser that was given user and password in
// the address does not fetch from there.
const HERE = location.origin + location.pathname;

const freshness = document.getElementById("freshness");
const button = document.createElement("button");
let paused = false;
let timer = 0;
let last = new Map();

function shownRate(rate) {
  let unit = 0;
  while (rate >= 1023.95 && unit < UNITS.length - 1) {
    rate /= 1024;
    unit += 1;
  }
  return rate.toFixed(unit ? 1 : 0) + " " + UNITS[unit];
}

// Shows how fast each count of bytes has grown since the last look.
function showRates() {
  const now = performance.now();
  const seen = new Map();
  for (const cell of document.querySelectorAll("[data-bytes]")) {
    const key = cell.closest("[data-key]").dataset.key + " " + cell.dataset.side;
    const bytes = Number(cell.dataset.bytes);
    const before = last.get(key);
    const rate = document.createElement("span");
    rate.className = "rate";
    if (before && bytes > before.bytes) {
      rate.textContent = shownRate((bytes - before.bytes) / ((now - before.at) / 1000));
    }
    cell.append(rate);
    seen.set(key, { bytes, at: now });
  }
  last = seen;
}

// Moments in the reader's own time zone.
function showTimes() {
  for (const time of document.querySelectorAll("time")) {
    time.title = time.textContent;
    time.textContent = new Date(time.dateTime).toLocaleString([], {
      dateStyle: "medium",
      timeStyle: "short",
    });
  }
}

function takeOver(html) {
  const fresh = new DOMParser().parseFromString(html, "text/html");
  for (const id of PARTS) {
    document.getElementById(id).replaceWith(fresh.getElementById(id));
  }
  document.title = fresh.title;
  showTimes();
  showRates();
}

function say(text, stale) {
  freshness.textContent = text;
  freshness.className = stale ? "stale" : "";
}

// Gives what is wrong, or nothing.
async function look() {
  try {
    const answer = await fetch(HERE, { signal: AbortSignal.timeout(10000) });
    if (!answer.ok) {
      return "the server answered " + answer.status;
    }
    const html = await answer.text();
    if (!paused) {
      takeOver(html);
    }
    return "";
  } catch {
    return "the server does not answer";
  }
}

async function lookAgain() {
  const wrong = await look();
  if (!paused) {
    say(wrong && "Not fresh: " + wrong, Boolean(wrong));
    plan();
  }
}

function plan() {
  clearTimeout(timer);
  if (!paused && !document.hidden) {
    timer = setTimeout(lookAgain, EVERY);
  }
}

function pauseOrGoOn() {
  paused = !paused;
  button.textContent = paused ? "Go on" : "Pause";
  say(paused ? "Paused" : "", false);
  plan();
}

button.type = "button";
button.textContent = "Pause";
button.addEventListener("click", pauseOrGoOn);
freshness.after(button);
document.addEventListener("visibilitychange", plan);
showTimes();
showRates();
plan();
