"use strict";
// The server renders; this shows what it sends. Without it the page reloads.
const view = document.querySelector("main");
const link = document.getElementById("link");
let updates = 0;
let silence = 0;

function say(state, text) {
  link.className = state;
  link.textContent = text;
}

function alive() {
  say("live", "live");
  clearTimeout(silence);
  silence = setTimeout(() => say("lost", "not connected: these figures are old"), 5000);
}

function connect() {
  const events = new EventSource(location.href);
  events.onmessage = (event) => {
    alive();
    if (!getSelection().isCollapsed) return; // somebody is about to copy
    view.innerHTML = event.data;
    document.body.dataset.updates = ++updates;
  };
  events.onerror = () => { // streams end and are opened again; one that was refused is not
    if (events.readyState === EventSource.CLOSED) setTimeout(connect, 5000);
  };
}
connect();
