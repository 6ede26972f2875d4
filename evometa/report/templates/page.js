"use strict";
(function () {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const drawn = new WeakMap();  // the JSON that each chart was drawn from
  function colors(printing) {
    if (dark.matches && !printing) return { text: "#e6e9ef", grid: "#363f4d", paper: "#14181f" };
    return { text: "#1c2330", grid: "#d9dde3", paper: "#ffffff" };
  }
  // Fills the colours of the page into a layout of Plotly.
  function themed(layout, printing) {
    const own = colors(printing), copy = JSON.parse(JSON.stringify(layout));
    copy.paper_bgcolor = own.paper;
    copy.plot_bgcolor = own.paper;
    copy.font = { color: own.text, family: "system-ui, sans-serif", size: 13 };
    copy.hoverlabel = { bgcolor: own.paper, font: { color: own.text } };
    copy.uirevision = "kept";  // zoom and hidden curves, when a chart is drawn again
    for (const axis of ["xaxis", "yaxis"]) {
      if (copy[axis]) Object.assign(copy[axis], { gridcolor: own.grid, linecolor: own.grid });
    }
    for (const menu of copy.updatemenus || []) {
      Object.assign(menu, { bgcolor: "#e3e7ec", bordercolor: own.grid, font: { color: "#1c2330" } });  // Plotly's active one is white
    }
    const narrow = window.innerWidth < 600;
    if (narrow && copy.margin) copy.margin = Object.assign({}, copy.margin, { l: 44, r: 8 });
    return copy;
  }
  // Presses the buttons again that are pressed in the chart that is there.
  function pressed(chart, figure) {
    const before = (chart.layout && chart.layout.updatemenus) || [];
    (figure.layout.updatemenus || []).forEach((menu, place) => {
      const active = before[place] ? before[place].active : 0, button = menu.buttons[active];
      if (!active || !button) return;
      menu.active = active;
      figure.data.forEach((trace, number) => { trace.visible = button.args[0].visible[number]; });
      figure.layout.xaxis.title.text = button.args[1]["xaxis.title.text"];
    });
  }
  const config = {
    displaylogo: false, responsive: true, displayModeBar: window.innerWidth < 600 ? false : "hover",
    modeBarButtonsToRemove: ["lasso2d", "select2d"],
  };
  // Draws the charts: all of them, or those whose JSON has changed.
  function draw(printing, all) {
    for (const data of document.querySelectorAll("script.figure")) {
      const chart = data.previousElementSibling, text = data.textContent;
      if (!all && drawn.get(chart) === text) continue;
      const figure = JSON.parse(text);
      pressed(chart, figure);
      chart.style.height = figure.layout.height + "px";
      Plotly.react(chart, figure.data, themed(figure.layout, printing), config);
      drawn.set(chart, text);
    }
  }
  draw(false, false);
  dark.addEventListener("change", () => draw(false, true));
  window.addEventListener("beforeprint", () => draw(true, true));
  window.addEventListener("afterprint", () => draw(false, true));
  window.evometaDraw = () => draw(false, false);
})();
