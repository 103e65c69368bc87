// Keeps a page that is looked at as new as the server: told by a stream of events, else by asking every 5 s.
(() => {
  "use strict";
  const body = document.body;
  const base = body.dataset.base;
  const pulse = document.getElementById("pulse");
  let stream = null;
  let polling = 0;
  let lastTick = 0;
  let quietUntil = 0;

  const say = (state, text) => {
    if (!pulse) return;
    pulse.dataset.state = state;
    pulse.textContent = text;
  };

  // What is being read or filled in is left alone.
  const isBusy = () => {
    const live = document.getElementById("live");
    const focused = document.activeElement;
    const chosen = document.getSelection();
    return (
      !live ||
      (live.contains(focused) && focused.matches("input, select, textarea, summary")) ||
      live.querySelector("details[open]") !== null ||
      (chosen && !chosen.isCollapsed && live.contains(chosen.anchorNode))
    );
  };

  const refresh = () => {
    if (document.hidden) return;
    if (!isBusy() && Date.now() > quietUntil) htmx.trigger("#live", "refresh");
    charts.forEach((chart) => chart.load());
  };

  const tick = () => {
    lastTick = Date.now();
    clearInterval(polling);
    polling = 0;
    say("live", "live");
    refresh();
  };

  const poll = () => {
    if (polling) return;
    say("polling", "asking every 5 s");
    polling = setInterval(refresh, 5000);
  };

  const connect = () => {
    if (!window.EventSource) return poll();
    stream = new EventSource(`${base}/live`);
    stream.addEventListener("tick", tick);
    stream.onerror = () => {
      if (stream.readyState === EventSource.CLOSED || Date.now() - lastTick > 15000) poll();
    };
  };

  const disconnect = () => {
    if (stream) stream.close();
    stream = null;
    clearInterval(polling);
    polling = 0;
  };

  // ---- charts ----
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  class Chart {
    constructor(place) {
      this.place = place;
      this.columns = place.dataset.columns.split(" ").map(Number);
      this.colours = place.dataset.colours.split(" ");
      this.data = [[], ...this.columns.map(() => [])];
      this.draw();
      new ResizeObserver(() => this.plot.setSize(this.size())).observe(place);
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    }
    size() {
      return { width: Math.max(120, this.place.clientWidth), height: 120 };
    }
    draw() {
      if (this.plot) this.plot.destroy();
      const axis = { stroke: colour("--soft"), grid: { stroke: colour("--rule"), width: 1 }, ticks: { show: false }, font: "11px system-ui" };
      this.plot = new uPlot(
        {
          ...this.size(),
          padding: [6, 6, 0, 0],
          cursor: { y: false, points: { size: 6 } },
          legend: { show: false },
          scales: { x: { range: (_, first, last) => (last ? [Math.min(first, last - 60), last] : [Date.now() / 1000 - 60, Date.now() / 1000]) }, y: { range: (_, low, high) => [0, Math.max(1, high * 1.1 || 1)] } },
          axes: [
            { ...axis, size: 22, space: 70 },
            { ...axis, size: 40, space: 28, values: (_, marks) => marks.map((mark) => (mark >= 1e6 ? `${mark / 1e6}M` : mark >= 1000 ? `${mark / 1000}k` : mark)) },
          ],
          series: [{}, ...this.colours.map((name) => ({ stroke: colour(name), width: 2, fill: `${colour(name)}18`, points: { show: false } }))],
        },
        this.data,
        this.place,
      );
    }
    async load() {
      try {
        const answer = await fetch(`${base}/history`);
        if (!answer.ok) return;
        const all = await answer.json();
        this.data = [all[0], ...this.columns.map((column) => all[column])];
        if (all[0].length === 1) this.data = this.data.map((column, at) => [at ? column[0] : column[0] - 2, column[0]]);
        this.plot.setData(this.data);
      } catch {
        say("lost", "no answer");
      }
    }
  }

  const charts = [...document.querySelectorAll(".plot")].map((place) => new Chart(place));
  charts.forEach((chart) => chart.load());

  // What is said of a change stays long enough to be read.
  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.requestConfig.verb === "post") quietUntil = Date.now() + 4000;
  });
  document.addEventListener("htmx:sendError", () => say("lost", "no answer"));
  if (body.dataset.live === "yes") {
    connect();
    document.addEventListener("visibilitychange", () => (document.hidden ? disconnect() : (refresh(), connect())));
    window.addEventListener("pagehide", disconnect);
  }
})();
